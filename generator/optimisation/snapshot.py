"""Snapshots: a dream as safetensors bytes with a header, written and read as data only.

Layout: the dream's tensors by name; in the metadata the format's name and version, the request's recipe, the facts that
are not tensors (JSON) and a digest over all of it, so that a damaged file is detected and not resumed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from generator.errors import CheckpointError

FORMAT = "reverie.dream"
VERSION = "1"


class Snapshot(NamedTuple):
    """Contents of a snapshot: the request's recipe (JSON), tensors by name, and facts that JSON can hold."""

    recipe: str
    facts: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


def pack(snapshot: Snapshot) -> bytes:
    """Pack a snapshot into safetensors bytes."""
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in sorted(snapshot.tensors.items())}
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "recipe": snapshot.recipe,
        "facts": json.dumps(snapshot.facts, sort_keys=True, allow_nan=False),
    }
    metadata["digest"] = _digest(metadata, tensors)
    return safetensors.torch.save(tensors, metadata)


def unpack(data: bytes) -> Snapshot:
    """Read bytes written by `pack`.

    Raises:
        CheckpointError: if the bytes are damaged, of another kind, or of another version.
    """
    metadata = _metadata(data)
    if metadata.get("format") != FORMAT:
        raise CheckpointError("This is not the snapshot of a dream; start the picture anew from its recipe.")
    if metadata.get("version") != VERSION:
        raise CheckpointError(
            f"This snapshot has version {str(metadata.get('version'))[:20]!r} and this program reads {VERSION!r}; "
            "start the picture anew from its recipe."
        )
    try:
        tensors = safetensors.torch.load(data)
        facts = json.loads(metadata["facts"])
        recipe = metadata["recipe"]
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, RecursionError) as exc:
        raise damaged(exc) from exc
    if metadata.get("digest") != _digest(metadata, tensors) or not isinstance(facts, dict):
        raise damaged("its digest does not match")
    return Snapshot(recipe, facts, tensors)


def latent_of(data: bytes) -> Tensor:
    """The latent `[1, C, h, w]` that a snapshot's picture is decoded from, for follow-up requests.

    Raises:
        CheckpointError: as `unpack`.
    """
    latent = unpack(data).tensors.get("average")
    if latent is None or latent.dim() != 4 or latent.dtype != torch.float32:
        raise damaged("it holds no latent")
    return latent


def damaged(reason: object) -> CheckpointError:
    """Error for a snapshot whose header is valid but whose content is not."""
    return CheckpointError(f"This snapshot is damaged ({reason}); start the picture anew from its recipe.")


def _metadata(data: bytes) -> dict[str, str]:
    """Read the metadata of safetensors bytes: 8 bytes little-endian length, then a JSON header; {} if there is none."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        raise CheckpointError("This snapshot is cut off or is no snapshot; start the picture anew from its recipe.")
    try:
        metadata = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    except (ValueError, AttributeError, RecursionError) as exc:
        raise CheckpointError("This is not the snapshot of a dream; start the picture anew from its recipe.") from exc
    return metadata if isinstance(metadata, dict) else {}


def _digest(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for key in ("format", "version", "recipe", "facts"):
        digest.update(f"{key}={metadata[key]}\0".encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
