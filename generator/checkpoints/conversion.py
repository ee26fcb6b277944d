"""Conversion of published model files to safetensors, once; afterwards only those are read, mapped into memory.

Each converted file has a manifest next to it: the source file (name, size, modification time, SHA-256), the yaml, and
the version of this converter.
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
from generator.checkpoints.faults import Fault, naming_file
from generator.checkpoints.places import manifest_of

CONVERTER_VERSION = 1
_LOG = logging.getLogger(__name__)


class Weights(Protocol):
    """A kind of model: selection of its tensors in a file, and a check that they fit."""

    fingerprint: str

    def choose(self, tree: object) -> dict[str, StoredTensor]:
        """Find the model's tensors in a file's description; raise Fault if it holds no such model."""

    def arrange(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of the file by the model's own names; raise Fault if they cannot be."""

    def check(self, tensors: Mapping[str, Tensor]) -> None:
        """Raise Fault unless these are all the tensors of the model."""


@dataclass(frozen=True)
class Manifest:
    """The source of a converted file; `fingerprint` is that of the Weights, `bytes` is the converted file's size."""

    source: str
    size: int
    changed_ns: int
    sha256: str
    fingerprint: str
    bytes: int
    converter: int = CONVERTER_VERSION


class Converted(NamedTuple):
    """The tensors of a model file by name, mapped from disk, with the name and SHA-256 of the published file."""

    tensors: dict[str, Tensor]
    source: str
    sha256: str


def open_converted(
    source: Path, target: Path, weights: Weights, digest: str | None = None, pinned: bool = True
) -> Converted:
    """Open a model file in its converted form, converting it first if necessary.

    If the converted form exists, the source may be missing, and is not read again while its size and modification time
    stay. `digest` is the SHA-256 that the source must have; with `pinned` and no `digest`, that of its first use.

    Raises:
        CheckpointError: if a file is missing, damaged, hostile, changed, or holds another model; the message names it.
    """
    with naming_file(source):
        manifest = _fresh(source, target, weights, digest, pinned)
        if manifest is None:
            manifest = _convert(source, target, weights, digest, pinned)
    with naming_file(target):
        return Converted(_mapped(target, weights), manifest.source, manifest.sha256)


def _fresh(source: Path, target: Path, weights: Weights, digest: str | None, pinned: bool) -> Manifest | None:
    """Return the manifest of the converted file if the file is complete and up to date."""
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
        tensors = weights.arrange(_read(archive, weights.choose(archive.tree)))
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
    """Read the manifest of a converted file; None unless this version wrote it, so that it is converted again."""
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
