"""Model files opened for reading: their description, and their tensors one by one, in every format.

Formats: torch.save's zip files and the ones before (2020 and older), TorchScript archives such as OpenAI's, and
safetensors. The file is mapped, so only requested tensors are read. Nothing in it is executed; see `pickles`.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, cast

import safetensors
import torch
from torch import Tensor

from generator.checkpoints.descriptions import Storage, StoredTensor
from generator.checkpoints.faults import AGAIN, Fault
from generator.checkpoints.pickles import MAX_PICKLE_BYTES, Window, read_pickle
from generator.checkpoints.zips import Span, check, records

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_SAFETENSORS_DTYPES = {
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "I64": "int64",
    "I32": "int32",
    "U8": "uint8",
    "BOOL": "bool",
}
_DTYPES = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
    "int64": torch.int64,
    "int32": torch.int32,
    "int16": torch.int16,
    "int8": torch.int8,
    "uint8": torch.uint8,
    "bool": torch.bool,
}
# Other kinds of files often saved under a model's name, by their first bytes, with advice.
_STRANGERS = {
    b"version https://git-lfs": f"is only a pointer of Git LFS, not the model; {AGAIN} with git lfs, or download it.",
    b"\x1f\x8b": "is a gzip file; unpack it first.",
    b"\x89HDF": "is an HDF5 file, of Keras perhaps; Reverie reads files of PyTorch only.",
    b"\x93NUMPY": "is a numpy array, not a model of PyTorch.",
    b"Rar!": "is a rar folder; unpack it first.",
    b"7z\xbc\xaf": "is a 7z folder; unpack it first.",
    b"\x89PNG": "is a picture, not a model.",
    b"\xff\xd8\xff": "is a picture, not a model.",
    b"\x00\x00\x00\x00\x00\x00\x00\x00": f"is empty inside; {AGAIN}.",
}


class Archive(Protocol):
    """An open model file.

    Attributes:
        tree: its description: mappings, plain values, StoredTensor and Foreign.
        size: bytes of the file.
    """

    tree: Any
    size: int

    def read(self, stored: StoredTensor) -> Tensor:
        """Copy one tensor, contiguous, in the file's own dtype.

        Raises:
            Fault: if the file does not hold what it describes.
        """


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open a model file of any known format.

    Raises:
        Fault: if the format is unknown, or the file is damaged or hostile.
        OSError: if it cannot be read at all.
    """
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            raise Fault(f"is empty; {AGAIN}.")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            head = data[:512]
            # safetensors begin with the length of a header, whose bytes can be those that begin the other formats.
            if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < len(data):
                yield _SafetensorsFile(path)
            elif head.startswith(b"PK"):
                yield _open_zip(data)
            elif head.startswith(b"\x80"):
                yield _open_legacy(data)
            else:
                raise Fault(_unknown_format(head))


class _TorchFile:
    """A file with tensors in mapped parts of it, by storage key."""

    def __init__(self, data: mmap.mmap, tree: object, spans: Mapping[str, Span]) -> None:
        self.tree, self.size = tree, len(data)
        self._data, self._spans = data, spans
        self._checked: set[str] = set()

    def read(self, stored: StoredTensor) -> Tensor:
        dtype, storage = _dtype(stored.dtype), stored.storage
        span = self._spans.get(storage.key)
        if span is None:
            raise Fault(f"lacks the numbers of a tensor that it describes; {AGAIN}.")
        extent = _extent(stored)
        begin = storage.first * _dtype(storage.dtype).itemsize + stored.offset * dtype.itemsize
        if begin + extent * dtype.itemsize > span.size or not _fits(storage, stored, extent, dtype.itemsize):
            raise Fault(f"describes a tensor that reaches beyond its numbers; {AGAIN} from a source you trust.")
        if storage.key not in self._checked:
            check(self._data, span)
            self._checked.add(storage.key)
        if extent == 0:
            return torch.empty(stored.shape, dtype=dtype)
        start = span.start + begin
        numbers = torch.frombuffer(bytearray(self._data[start : start + extent * dtype.itemsize]), dtype=dtype)
        return numbers.as_strided(stored.shape, stored.stride).contiguous()


class _SafetensorsFile:
    """A safetensors file; its own library checks it."""

    def __init__(self, path: Path) -> None:
        self.tree: dict[str, StoredTensor] = {}
        self.size = path.stat().st_size
        try:
            self._file = cast("Any", safetensors.safe_open(path, "pt"))  # its methods have no types
            for name in self._file.keys():  # noqa: SIM118 - it is no mapping
                part = self._file.get_slice(name)
                shape, dtype = tuple(part.get_shape()), _SAFETENSORS_DTYPES.get(part.get_dtype(), "unknown")
                self.tree[name] = StoredTensor(Storage(name, dtype, 0), dtype, 0, shape, ())
        except safetensors.SafetensorError as exc:
            raise Fault(f"is a damaged safetensors file ({str(exc)[:80]}); {AGAIN}.") from exc

    def read(self, stored: StoredTensor) -> Tensor:
        _dtype(stored.dtype)
        tensor: Tensor = self._file.get_tensor(stored.storage.key)
        return tensor


def _open_zip(data: mmap.mmap) -> _TorchFile:
    spans = records(data)
    pickle = spans.get("data.pkl")
    if pickle is None:
        raise Fault("was compressed after it was saved; unpack it and use the original file.")
    if pickle.size > MAX_PICKLE_BYTES:
        raise Fault(f"describes itself in more than {MAX_PICKLE_BYTES >> 20} MB, as no model does; do not use it.")
    order = spans.get("byteorder")
    if order is not None and data[order.start : order.start + min(order.size, 16)] == b"big":
        raise Fault("was saved on a big-endian machine; save it again with torch on an ordinary one.")
    check(data, pickle)
    tree = read_pickle(Window(data, pickle.start, pickle.start + pickle.size))
    tensors = {name.removeprefix("data/"): span for name, span in spans.items() if name.startswith("data/")}
    return _TorchFile(data, tree, tensors)


def _open_legacy(data: mmap.mmap) -> _TorchFile:
    """torch.save's format of 2020 and before: five pickles (magic, protocol, system, tree, keys), then the numbers.

    Each storage is its element count (int64), then its elements, in the order of the keys.
    """
    window = Window(data, 0, len(data))
    if read_pickle(window) != _MAGIC:
        raise Fault("is a pickle, but not one that torch.save wrote; Reverie does not open it.")
    protocol, system = read_pickle(window), read_pickle(window)
    if protocol != _PROTOCOL or not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Fault("has an old format that Reverie does not read; load it in PyTorch and save it again.")
    dtypes: dict[str, str] = {}
    tree, keys = read_pickle(window, dtypes), read_pickle(window)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise Fault(f"is damaged: its list of storages makes no sense; {AGAIN}.")
    spans, at = {}, window.tell()
    for key in keys:
        count = int.from_bytes(data[at : at + 8], "little")
        size = count * _dtype(dtypes.get(key, "uint8")).itemsize
        if at + 8 + size > len(data):
            raise Fault(f"is cut off; {AGAIN}.")
        spans[key] = Span(at + 8, size, 0)
        at += 8 + size
    return _TorchFile(data, tree, spans)


def _dtype(name: str) -> torch.dtype:
    dtype = _DTYPES.get(name)
    if dtype is None:
        raise Fault(f"holds numbers of a kind ({name[:20]}) that Reverie does not use; save it as float16 or float32.")
    return dtype


def _extent(stored: StoredTensor) -> int:
    """Count the elements from a tensor's first to its last one, both included; 0 for an empty tensor."""
    if 0 in stored.shape:
        return 0
    return 1 + sum((size - 1) * step for size, step in zip(stored.shape, stored.stride, strict=True))


def _fits(storage: Storage, stored: StoredTensor, extent: int, item_size: int) -> bool:
    """True if a tensor stays inside its storage and has no more elements than it: none is repeated by stride 0."""
    available = storage.count * _dtype(storage.dtype).itemsize
    elements = 1
    for size in stored.shape:
        elements *= size
    return (stored.offset + extent) * item_size <= available and elements * item_size <= available


def _unknown_format(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<script")):
        return f"is a web page, not a model: the download answered with a page; {AGAIN}."
    if text.startswith((b"{", b"[")):
        return f"is a text of JSON, not a model: perhaps the answer of a server that refused; {AGAIN}."
    for start, words in _STRANGERS.items():
        if head.startswith(start):
            return words
    return f"is no model file of PyTorch; {AGAIN}, or name the right file."
