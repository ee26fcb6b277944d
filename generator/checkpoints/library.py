"""Model sets, opened from the models folder or from custom files."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig
from torch import Tensor

from generator.checkpoints.catalogue import PERCEPTORS, SourceFile, find_set
from generator.checkpoints.clip.source import PerceptorSource
from generator.checkpoints.clip.text_weights import DenseWeights, TextWeights
from generator.checkpoints.clip.weights import CLIPWeights
from generator.checkpoints.conversion import Converted, Weights, open_converted
from generator.checkpoints.digests import sha256_of
from generator.checkpoints.places import default_folder, is_present, own_name, place_of, target_in
from generator.checkpoints.upscaler_weights import UpscalerWeights
from generator.checkpoints.vqgan_config import read_config
from generator.checkpoints.vqgan_weights import VQGANWeights
from generator.errors import CheckpointError
from generator.models.clip import ClipConfig

_LOG = logging.getLogger(__name__)
_OF_PICTURES = ("visual.", "logit_scale")
"""Beginnings of the names that a text tower alone takes from the perceptor that sees for it."""


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


class OpenedPerceptor(NamedTuple):
    """The weights of a perceptor.

    Attributes:
        name: for people and recipes.
        tensors: its state dict, see `Perceptor.from_state`.
        config: what that does not contain.
        files: name and SHA-256 of each file that it was read from, its weights first.
    """

    name: str
    tensors: dict[str, Tensor]
    config: ClipConfig
    files: tuple[tuple[str, str], ...]


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
    opened = _opened_perceptor(PerceptorSource.of(given), folder, digests)
    return opened.name, opened.tensors


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
    # All that is small first: a file is converted in a minute, and a perceptor that cannot be run ends all.
    sources = [PerceptorSource.of(given) for given in perceptors]
    clips = [_opened_perceptor(source, folder, digests) for source in sources]
    vqgan_file = _opened(name, vqgan, VQGANWeights(config), folder, digests)
    files: dict[str, str] = {}
    for file, sha256 in ((vqgan_file.source, vqgan_file.sha256), *(each for clip in clips for each in clip.files)):
        taken = files.get(file, sha256) != sha256  # files of one name in two folders
        files[f"{file} {sha256[:8]}" if taken else file] = sha256
    named = tuple((clip.name, clip.tensors, clip.config) for clip in clips)
    return OpenedSet(name, config, vqgan_file.tensors, named, files)


def _opened_perceptor(
    source: PerceptorSource, folder: Path | None, digests: Mapping[str, str] | None
) -> OpenedPerceptor:
    """Open a perceptor, and for a text tower alone the one that sees for it."""
    described = tuple((path.name, sha256_of(path)) for path in source.described)
    if source.pictures is None:
        weights = CLIPWeights(source.config, source.stated)
        clip = _opened(source.name, source.file, weights, folder, digests)
        known = clip.sha256 in {each.sha256 for each in PERCEPTORS.values()}
        if isinstance(source.file, Path) and not source.stated and not known:
            text = "%s is none of OpenAI's files; its activation is taken for QuickGELU. If it is GELU, say so in %s."
            _LOG.warning(text, source.file.name, f"{source.file.name}.yaml")
        return OpenedPerceptor(source.name, clip.tensors, source.config, ((clip.source, clip.sha256), *described))
    parts = [_opened(source.name, source.file, TextWeights(source.config), folder, digests)]
    if source.dense is not None:
        parts.append(_opened(source.name, source.dense, DenseWeights(), folder, digests))
    seeing = _opened_perceptor(source.pictures, folder, digests)
    tensors = {name: each for name, each in seeing.tensors.items() if name.startswith(_OF_PICTURES)}
    for part in parts:
        tensors |= part.tensors
    names = (*((part.source, part.sha256) for part in parts), *seeing.files, *described)
    return OpenedPerceptor(source.name, tensors, source.config, names)


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
