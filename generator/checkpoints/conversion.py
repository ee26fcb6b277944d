"""Other people's model files become safetensors once; from then on only that is read, mapped into memory.

Beside each converted file lies a manifest: which file it came from (name, size, time of change, SHA-256), for which
yaml, by which version of this converter. Runs on the thread that opens models.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from generator.checkpoints.archives import Archive, open_archive
from generator.checkpoints.descriptions import StoredTensor
from generator.checkpoints.digests import beside, compare, pin, sha256_of, write_beside
from generator.checkpoints.faults import Fault, blaming
from generator.checkpoints.places import manifest_of

CONVERTER_VERSION = 1
_LOG = logging.getLogger(__name__)


class Weights(Protocol):
    """A kind of model: which tensors of a file are its weights, and whether they fit."""

    fingerprint: str

    def choose(self, tree: object) -> dict[str, StoredTensor]:
        """The model's tensors in what a file describes; raises Fault if it holds no such model."""

    def check(self, tensors: Mapping[str, Tensor]) -> None:
        """Raise Fault unless these are all the tensors of the model."""


@dataclass(frozen=True)
class Manifest:
    """What a converted file was made from; `fingerprint` is that of the Weights, `bytes` is its own size."""

    source: str
    size: int
    changed_ns: int
    sha256: str
    fingerprint: str
    bytes: int
    converter: int = CONVERTER_VERSION


class Converted(NamedTuple):
    """The tensors of a model file by name, mapped from disk; the name and SHA-256 of the file that was published."""

    tensors: dict[str, Tensor]
    source: str
    sha256: str


def open_converted(
    source: Path, target: Path, weights: Weights, digest: str | None = None, pinned: bool = True
) -> Converted:
    """Open a model file in its converted form, which is made first where need be.

    Where the converted form is there, the source need not be, and is not read again while its size and time of change
    stay. `digest` is the SHA-256 that the source must have; with `pinned`, without it, that of its first use.

    Raises:
        CheckpointError: if a file is missing, damaged, hostile, changed, or holds another model; the message names it.
    """
    with blaming(source):
        manifest = _fresh(source, target, weights, digest, pinned)
        if manifest is None:
            manifest = _convert(source, target, weights, digest, pinned)
    with blaming(target):
        return Converted(_mapped(target, weights), manifest.source, manifest.sha256)


def _fresh(source: Path, target: Path, weights: Weights, digest: str | None, pinned: bool) -> Manifest | None:
    """The manifest of the converted file, if that is whole and still stands for the source."""
    manifest = read_manifest(target)
    if manifest is None or manifest.fingerprint != weights.fingerprint or manifest.converter != CONVERTER_VERSION:
        return None
    if not target.is_file() or target.stat().st_size != manifest.bytes:
        return None
    if source.exists():
        state = source.stat()
        if (state.st_size, state.st_mtime_ns) != (manifest.size, manifest.changed_ns):
            return None
    if digest is not None or pinned:
        compare(source, manifest.sha256, digest)
    return manifest


def _convert(source: Path, target: Path, weights: Weights, digest: str | None, pinned: bool) -> Manifest:
    state = source.stat()
    with open_archive(source) as archive:
        found = sha256_of(source)
        if digest is not None or pinned:
            compare(source, found, digest)
        tensors = _read(archive, weights.choose(archive.tree))
    weights.check(tensors)
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise Fault(f"holds numbers in {name[:80]} that are infinite or none at all; get the file again.")
    if digest is None and pinned:
        pin(source, found)
    _write(target, tensors)
    manifest = Manifest(
        source.name, state.st_size, state.st_mtime_ns, found, weights.fingerprint, target.stat().st_size
    )
    write_beside(manifest_of(target), json.dumps(asdict(manifest), indent=1).encode())
    _LOG.info("Converted %s (SHA-256 %s) to %s", source, found, target)
    return manifest


def _read(archive: Archive, chosen: Mapping[str, StoredTensor]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    size = 0
    for name, stored in chosen.items():
        tensor = archive.read(stored)
        size += tensor.nbytes
        if size > archive.size:
            raise Fault("uses the same numbers for many tensors, as no model does; do not use it.")
        tensors[name] = tensor.float() if tensor.dtype == torch.float64 else tensor
    return tensors


def _write(target: Path, tensors: dict[str, Tensor]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    needed = sum(tensor.nbytes for tensor in tensors.values()) + 2**20
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise Fault(
            f"cannot be converted: that takes {needed / 1e6:.0f} MB in {target.parent} and only {free / 1e6:.0f} MB "
            "are free; make room."
        )
    temporary = beside(target)
    try:
        safetensors.torch.save_file(tensors, temporary, {"format": "pt"})
        os.replace(temporary, target)
    except safetensors.SafetensorError as exc:
        raise Fault(f"cannot be converted to {target} ({str(exc)[:80]}); look at the disk.") from exc
    finally:
        temporary.unlink(missing_ok=True)


def read_manifest(target: Path) -> Manifest | None:
    """The manifest of a converted file; None if there is none that this version wrote, so that it is made anew."""
    try:
        return Manifest(**json.loads(manifest_of(target).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError, RecursionError):
        return None


def _mapped(target: Path, weights: Weights) -> dict[str, Tensor]:
    try:
        with safetensors.safe_open(target, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        weights.check(tensors)
    except (safetensors.SafetensorError, Fault) as exc:
        raise Fault(f"is damaged; delete {target} so that it is made again.") from exc
    return tensors
