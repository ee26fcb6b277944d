"""The models folder: what is there, and how a model set is opened from it. Runs on the thread that opens models.

Files put there by hand are as good as fetched ones. The folder holds what was published under the names of the
catalogue, each with its pinned digest, and below `converted` what is really read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from generator.checkpoints.catalogue import PERCEPTORS, SourceFile, find_perceptor, find_set
from generator.errors import CheckpointError

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from torch import Tensor

SUFFIXES = (".ckpt", ".pt", ".pth", ".bin", ".safetensors")


class OpenedSet(NamedTuple):
    """The weights of a model set, mapped from disk in the dtypes of their files (fp16 or fp32, mixed in a CLIP).

    Attributes:
        name: of the set, or of the VQGAN's file.
        config: of the VQGAN, in taming's form.
        vqgan: its state dict by taming's names.
        perceptors: name and state dict (of clip.model.CLIP) of each.
    """

    name: str
    config: DictConfig
    vqgan: dict[str, Tensor]
    perceptors: tuple[tuple[str, dict[str, Tensor]], ...]


def default_folder() -> Path:
    """`models` in the data folder: that of REVERIE_DATA, else `data` where the program was started."""
    return Path(os.environ.get("REVERIE_DATA") or "data") / "models"


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
    judges = entry.perceptors if perceptors is None else perceptors
    return _open(name, entry.vqgan, entry.config, judges, folder or default_folder(), digests or {})


def open_files(
    vqgan: Path,
    config: Path,
    perceptors: Sequence[str | Path],
    folder: Path | None = None,
    digests: Mapping[str, str] | None = None,
) -> OpenedSet:
    """Open a person's own VQGAN by its yaml, with perceptors that are names of the catalogue or files.

    Raises:
        InvalidRequest: for a perceptor that is neither.
        CheckpointError: as `open_set`.
    """
    if not perceptors:
        raise CheckpointError("No perceptor is named; name one, such as ViT-B/32, or a file.")
    return _open(vqgan.stem, vqgan, config, perceptors, folder or default_folder(), digests or {})


def place_of(file: SourceFile, folder: Path) -> Path:
    """Where a file of the catalogue is, under any of its names; its own name where it is not there."""
    places = [folder / name for name in (file.name, *file.others)]
    return next((place for place in places if place.is_file()), places[0])


def is_present(file: SourceFile, folder: Path) -> bool:
    """Whether a file of the catalogue can be opened without the network: itself, or what was converted from it."""
    from generator.checkpoints.conversion import manifest_of, target_in

    return place_of(file, folder).is_file() or manifest_of(target_in(folder, file.name)).is_file()


def _open(
    name: str,
    vqgan: SourceFile | Path,
    config_file: Path,
    perceptors: Sequence[str | Path],
    folder: Path,
    digests: Mapping[str, str],
) -> OpenedSet:
    from generator.checkpoints.clip_weights import CLIPWeights
    from generator.checkpoints.conversion import Weights, open_converted, target_in
    from generator.checkpoints.vqgan_config import read_config
    from generator.checkpoints.vqgan_weights import VQGANWeights

    def opened(file: SourceFile | Path, weights: Weights) -> dict[str, Tensor]:
        if isinstance(file, Path):
            return open_converted(file, target_in(folder, _own_name(file)), weights, digests.get(file.name), False)
        place, digest = place_of(file, folder), digests.get(file.name) or file.sha256
        if not is_present(file, folder):
            raise CheckpointError(
                f"{place} is missing; fetch it with: python -m generator models fetch {_fetchable(name, file)}"
            )
        return open_converted(place, target_in(folder, file.name), weights, digest)

    config = read_config(config_file)
    weights = opened(vqgan, VQGANWeights(config))
    judges = [_perceptor(given) for given in perceptors]
    return OpenedSet(name, config, weights, tuple((label, opened(file, CLIPWeights())) for label, file in judges))


def _perceptor(given: str | Path) -> tuple[str, SourceFile | Path]:
    """What a perceptor is called and where it is: a name of the catalogue, or a file."""
    if isinstance(given, str) and given in PERCEPTORS:
        return given, PERCEPTORS[given]
    path = Path(given)
    if isinstance(given, str) and path.suffix.lower() not in SUFFIXES and not path.exists():
        return given, find_perceptor(given)
    return path.stem, path


def _own_name(path: Path) -> str:
    """A name for the converted form of a person's own file: two files of one name in two folders differ."""
    return f"{path.stem}-{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"


def _fetchable(name: str, file: SourceFile) -> str:
    perceptor = next((label for label, known in PERCEPTORS.items() if known is file), None)
    return perceptor or name
