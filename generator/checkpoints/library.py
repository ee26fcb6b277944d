"""Model sets, opened from the models folder or from custom files."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig
from torch import Tensor

from generator.checkpoints.catalogue import CLIP_CONFIGS, PERCEPTORS, SourceFile, find_perceptor, find_set
from generator.checkpoints.clip.config import config_beside, folder_config, read_clip_config, read_folder_config
from generator.checkpoints.clip.weights import CLIPWeights
from generator.checkpoints.conversion import Converted, Weights, open_converted
from generator.checkpoints.digests import sha256_of
from generator.checkpoints.places import SUFFIXES, default_folder, is_present, own_name, place_of, target_in
from generator.checkpoints.upscaler_weights import UpscalerWeights
from generator.checkpoints.vqgan_config import read_config
from generator.checkpoints.vqgan_weights import VQGANWeights
from generator.errors import CheckpointError
from generator.models.clip import DEFAULT_CONFIG, ClipConfig

_LOG = logging.getLogger(__name__)


class OpenedSet(NamedTuple):
    """The weights of a model set, mapped from disk in the dtypes of their files (fp16 or fp32, mixed in a CLIP).

    Attributes:
        name: of the set, or of the VQGAN's file.
        config: of the VQGAN, in taming's form.
        vqgan: its state dict by taming's names.
        perceptors: name, state dict (of clip.model.CLIP) and config of each.
        files: SHA-256 of the published files, by name.
    """

    name: str
    config: DictConfig
    vqgan: dict[str, Tensor]
    perceptors: tuple[tuple[str, dict[str, Tensor], ClipConfig], ...]
    files: Mapping[str, str] = {}


def open_set(
    name: str,
    folder: Path | None = None,
    perceptors: Sequence[str | Path] | None = None,
    digests: Mapping[str, str] | None = None,
) -> OpenedSet:
    """Open a model set of the catalogue, with its own perceptors or with others (names or files).

    `digests` are the SHA-256 that files of those names must have, as config.yaml may pin them.

    Raises:
        InvalidRequest: for a name that is not in the catalogue.
        CheckpointError: if a file is missing, damaged, hostile, changed, or holds another model; the message names it.
    """
    entry = find_set(name)
    clips = entry.perceptors if perceptors is None else perceptors
    return _open(name, entry.vqgan, entry.config, clips, folder, digests)


def open_files(
    vqgan: Path,
    config: Path,
    perceptors: Sequence[str | Path],
    folder: Path | None = None,
    digests: Mapping[str, str] | None = None,
) -> OpenedSet:
    """Open a custom VQGAN by its yaml, with perceptors that are names of the catalogue or files.

    Raises:
        InvalidRequest: for a perceptor that is neither.
        CheckpointError: as `open_set`.
    """
    if not perceptors:
        raise CheckpointError("No perceptor is named; name one, such as ViT-B/32, or a file.")
    return _open(vqgan.stem, vqgan, config, perceptors, folder, digests)


def open_perceptor(
    given: str | Path, folder: Path | None = None, digests: Mapping[str, str] | None = None
) -> tuple[str, dict[str, Tensor]]:
    """Open a perceptor: its name and its state dict; `given` is a name of the catalogue, or a file.

    Raises:
        InvalidRequest: if it is neither.
        CheckpointError: as `open_set`.
    """
    label, clip, _ = _opened_perceptor(given, folder, digests)
    return label, clip.tensors


def open_upscaler(
    name: str,
    file: SourceFile | Path,
    scale: int | None,
    folder: Path | None = None,
    digests: Mapping[str, str] | None = None,
) -> Converted:
    """Open an upscaler of the catalogue or a custom file, which must enlarge by `scale` unless that is None.

    Raises:
        CheckpointError: as `open_set`.
    """
    return _opened(name, file, UpscalerWeights(scale), folder, digests)


def _open(
    name: str,
    vqgan: SourceFile | Path,
    config_file: Path,
    perceptors: Sequence[str | Path],
    folder: Path | None,
    digests: Mapping[str, str] | None,
) -> OpenedSet:
    config = read_config(config_file)
    # The smaller files first: a VQGAN's conversion takes a minute, and a perceptor that cannot be run ends all.
    clips = [_opened_perceptor(given, folder, digests) for given in perceptors]
    vqgan_file = _opened(name, vqgan, VQGANWeights(config), folder, digests)
    files: dict[str, str] = {}
    for opened in (vqgan_file, *(clip for _, clip, _ in clips)):
        taken = files.get(opened.source, opened.sha256) != opened.sha256  # files of one name in two folders
        files[f"{opened.source} {opened.sha256[:8]}" if taken else opened.source] = opened.sha256
    for file in (file for _, file in map(_perceptor, perceptors) if isinstance(file, Path)):
        described = config_beside(file) if config_beside(file).is_file() else folder_config(file)
        if described is not None:
            files[described.name] = sha256_of(described)
    named = tuple((label, clip.tensors, clip_config) for label, clip, clip_config in clips)
    return OpenedSet(name, config, vqgan_file.tensors, named, files)


def _opened_perceptor(
    given: str | Path, folder: Path | None, digests: Mapping[str, str] | None
) -> tuple[str, Converted, ClipConfig]:
    """Open a perceptor by its name or file; without a config next to its file, OpenAI's applies.

    A file of the catalogue has the config of its name.
    """
    label, file = _perceptor(given)
    beside = config_beside(file) if isinstance(file, Path) else None
    if beside is not None and beside.is_file():
        config = read_clip_config(beside)
        return label, _opened(label, file, CLIPWeights(config, stated=True), folder, digests), config
    if isinstance(file, Path) and (described := folder_config(file)) is not None:
        config = read_folder_config(described)
        return label, _opened(label, file, CLIPWeights(config, stated=True), folder, digests), config
    if label in CLIP_CONFIGS and not isinstance(file, Path):
        config = ClipConfig(**CLIP_CONFIGS[label])
        return label, _opened(label, file, CLIPWeights(config), folder, digests), config
    opened = _opened(label, file, CLIPWeights(), folder, digests)
    if beside is not None and opened.sha256 not in {each.sha256 for each in PERCEPTORS.values()}:
        text = "%s is none of OpenAI's files; its activation is taken for QuickGELU. If it is GELU, say so in %s."
        _LOG.warning(text, file.name, beside.name)
    return label, opened, DEFAULT_CONFIG


def _perceptor(given: str | Path) -> tuple[str, SourceFile | Path]:
    if isinstance(given, str) and given in PERCEPTORS:
        return given, PERCEPTORS[given]
    path = Path(given)
    if isinstance(given, str) and path.suffix.lower() not in SUFFIXES and not path.exists():
        return given, find_perceptor(given)
    return path.stem, path


def _opened(
    name: str, file: SourceFile | Path, weights: Weights, folder: Path | None, digests: Mapping[str, str] | None
) -> Converted:
    """Open a file of the catalogue, or a custom file, which may change at any time."""
    folder, given = folder or default_folder(), (digests or {}).get(file.name)
    if isinstance(file, Path):
        return open_converted(file, target_in(folder, own_name(file)), weights, given, pinned=False)
    place = place_of(file, folder)
    if not is_present(file, folder):
        raise CheckpointError(f"{place} is missing; fetch it with: python -m generator models fetch {name}")
    return open_converted(place, target_in(folder, file.name), weights, given or file.sha256)
