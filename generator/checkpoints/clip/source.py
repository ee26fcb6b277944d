"""Perceptors as hosts and users name them, with all that is known of them before their weights are read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from generator.checkpoints.catalogue import CLIP_CONFIGS, PERCEPTORS, SourceFile, find_perceptor
from generator.checkpoints.clip.config import (
    config_beside,
    folder_config,
    read_clip_config,
    read_folder_config,
    read_pictures,
)
from generator.checkpoints.clip.text_weights import dense_beside
from generator.checkpoints.places import SUFFIXES
from generator.errors import CheckpointError
from generator.models.clip import DEFAULT_CONFIG, ClipConfig
from generator.models.language.pieces import require

_USUAL_NAMES = ("model", "pytorch_model", "open_clip_model", "open_clip_pytorch_model")
"""Names of files on Hugging Face, which tell nothing; the folder's name does."""
_LONGER_CONTEXT = 128
"""Tokens that a text tower alone reads: those that sentence-transformers' was taught with."""


@dataclass(frozen=True)
class PerceptorSource:
    """A perceptor whose weights were not opened yet.

    Attributes:
        name: for people and recipes.
        file: its weights.
        config: what they do not contain.
        stated: the config was given with the file.
        described: files beside it that it was described by.
        pictures: the perceptor that sees for a text tower alone.
        dense: file of the projection after a text tower alone, if it has one.
    """

    name: str
    file: SourceFile | Path
    config: ClipConfig = DEFAULT_CONFIG
    stated: bool = False
    described: tuple[Path, ...] = ()
    pictures: PerceptorSource | None = None
    dense: Path | None = None

    @classmethod
    def of(cls, given: str | Path) -> PerceptorSource:
        """Find a perceptor by its name in the catalogue, or by its file.

        Without a config next to its file, OpenAI's applies; a file of the catalogue has the config of its name.

        Raises:
            InvalidRequest: if it is neither.
            CheckpointError: if its config is invalid, or its tokenizer, or the package for that, is missing.
        """
        if isinstance(given, str) and given in PERCEPTORS:
            config = ClipConfig(**CLIP_CONFIGS[given]) if given in CLIP_CONFIGS else DEFAULT_CONFIG
            return cls(given, PERCEPTORS[given], config)
        file = Path(given)
        if isinstance(given, str) and file.suffix.lower() not in SUFFIXES and not file.exists():
            find_perceptor(given)
        beside = config_beside(file)
        pictures = read_pictures(beside) if beside.is_file() else None
        if beside.is_file():
            described: Path | None = beside
            config = read_clip_config(beside)
        else:
            described = folder_config(file)
            config = DEFAULT_CONFIG if described is None else read_folder_config(described)
        found = cls(file.stem, file, config, described is not None, () if described is None else (described,))
        if config.tokenizer is None:
            return found
        require(config.tokenizer)
        name = file.absolute().parent.name if file.stem in _USUAL_NAMES else file.stem
        found = replace(found, name=name, described=(*found.described, config.tokenizer))
        return found if pictures is None else found._seeing(pictures, beside)

    def _seeing(self, pictures: str, beside: Path) -> PerceptorSource:
        """This text tower with the perceptor that sees for it."""
        seeing = PerceptorSource.of(pictures)
        if seeing.config.tokenizer is not None:
            raise CheckpointError(
                f"{beside.name} has pictures: {pictures[:80]!r}, which reads text by a tokenizer of its own; name a "
                "CLIP there, such as ViT-B/32."
            )
        if not isinstance(self.file, Path):
            raise TypeError("only files have a yaml beside them")
        ours = self.config
        config = replace(
            seeing.config,
            text=ours.text,
            text_heads=ours.text_heads,
            context=_LONGER_CONTEXT,
            tokenizer=ours.tokenizer,
        )
        return replace(self, config=config, pictures=seeing, dense=dense_beside(self.file))
