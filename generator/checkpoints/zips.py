"""Positions of the records in a zip file, so that they can be read in place. No torch; any thread.

torch.save and TorchScript write zip files with tensors stored, not compressed. Nothing is ever unpacked: a record is a
range of the file, so names cannot point elsewhere and a small file cannot become a large one.
"""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
import zlib
from typing import NamedTuple

from generator.checkpoints.faults import AGAIN, Fault

MAX_DIRECTORY_BYTES = 8 * 2**20
_LOCAL_HEADER = struct.Struct("<4s22xHH")


class Span(NamedTuple):
    """The range of one record: from `start`, `size` bytes, and their CRC-32, 0 if it was not recorded."""

    start: int
    size: int
    crc: int


def records(data: mmap.mmap) -> dict[str, Span]:
    """List the stored records of a torch file by name, without the folder that all of them share.

    Raises:
        Fault: if it is no torch file, is damaged, or is made to mislead.
    """
    if data.find(b"PK\x05\x06", max(0, len(data) - 2**16 - 22)) < 0:
        raise Fault(f"is cut off: its table of contents is missing; {AGAIN}.")
    try:
        with zipfile.ZipFile(_Bounded(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, OverflowError, EOFError) as exc:
        raise Fault(f"is damaged ({str(exc)[:80]}); {AGAIN}.") from exc
    root = _root([entry.filename for entry in entries])
    found: dict[str, Span] = {}
    for entry in entries:
        name = entry.filename.removeprefix(root)
        if name in found:
            raise Fault(f"holds two records named {name[:60]!r}, as no honest file does; do not use it.")
        # TorchScript compresses its source code, which is never read.
        if entry.compress_type == zipfile.ZIP_STORED and not entry.flag_bits & 0x1:
            found[name] = _span(data, entry)
    return found


def check(data: mmap.mmap, span: Span) -> None:
    """Compare the bytes of a record with its checksum.

    Raises:
        Fault: if they differ.
    """
    with memoryview(data) as view, view[span.start : span.start + span.size] as content:
        if span.crc and zlib.crc32(content) != span.crc:
            raise Fault(f"is damaged: the checksum of a part does not match; {AGAIN}.")


class _Bounded(io.RawIOBase):
    """A file for zipfile that returns no more at once than a table of contents can need."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._at = data, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._data)}[whence]
        if self._at < 0:
            raise ValueError("a place before the beginning")
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        end = len(self._data) if size < 0 else min(self._at + size, len(self._data))
        if end - self._at > MAX_DIRECTORY_BYTES:
            raise ValueError("its table of contents is longer than that of any model")
        content = bytes(self._data[self._at : end])
        self._at = max(end, self._at)
        return content


def _root(names: list[str]) -> str:
    """Find the folder of `data.pkl`, with its slash; torch keeps everything in it."""
    if any(name.startswith("/") or ".." in name.split("/") or "\\" in name for name in names):
        raise Fault("holds records whose names lead out of it, as no honest file does; do not use it.")
    roots = [name.removesuffix("data.pkl") for name in names if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(roots) == 1 and all(name.startswith(roots[0]) for name in names):
        return roots[0]
    inside = next((name for name in names if name.lower().endswith((".ckpt", ".pth", ".pt", ".safetensors"))), None)
    if inside is not None:
        raise Fault(f"is a zip folder; unpack it and use {inside.rpartition('/')[2][:80]} from inside.")
    raise Fault("is a zip file, but not one that torch.save or TorchScript wrote; it holds no model.")


def _span(data: mmap.mmap, entry: zipfile.ZipInfo) -> Span:
    """Find the start of a record's bytes: behind its local header, the only place with that header's length."""
    header = data[entry.header_offset : entry.header_offset + _LOCAL_HEADER.size]
    if len(header) < _LOCAL_HEADER.size:
        raise Fault(f"is cut off; {AGAIN}.")
    signature, name_length, extra_length = _LOCAL_HEADER.unpack(header)
    start = entry.header_offset + _LOCAL_HEADER.size + name_length + extra_length
    if signature != b"PK\x03\x04" or entry.file_size != entry.compress_size:
        raise Fault(f"is damaged: its table of contents does not match it; {AGAIN}.")
    if start + entry.file_size > len(data):
        raise Fault(f"is cut off; {AGAIN}.")
    return Span(start, entry.file_size, entry.CRC)
