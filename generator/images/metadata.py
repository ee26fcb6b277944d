"""Text (a recipe) inside a picture file: PNG iTXt, JPEG and WebP XMP. Bytes only, nothing is decoded; any thread.

Files are untrusted, so reading has its own limits: false lengths, thousands of empty parts and texts that unpack to
gigabytes return None or an error message, without large cost in memory or time.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping

from PIL.PngImagePlugin import PngInfo

from generator.errors import InvalidRequest
from generator.images import xmp
from generator.messages import Message

KEYWORD = "reverie:recipe"
MAX_TEXT_BYTES = 24 * 2**20
MAX_PARTS = 10_000
MAX_PACKETS = 4
"""Limit for XMP in a JPEG file."""

_NAME = "recipe"
_NOTE_NAMESPACE, _NOTE_NAME = "http://ns.adobe.com/xmp/note", "HasExtendedXMP"
_XMP_KEYWORD = "XML:com.adobe.xmp"
_XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENSION_SEGMENT = b"http://ns.adobe.com/xmp/extension/\0"
_SEGMENT_BYTES = 65_000
"""Capacity of one JPEG segment; its length field allows 65,533."""


def find_text(data: bytes) -> str | None:
    """Read the text that Reverie wrote into a PNG, JPEG or WebP file; None if there is none.

    Raises:
        InvalidRequest: for a text that is too long, also when unpacked, or does not unpack.
    """
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png_find(data)
    if data.startswith(b"\xff\xd8"):
        return _jpeg_find(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        packets = (body for kind, body in _webp_chunks(data) if kind == b"XMP ")
        return _properties(next(packets, b"")).get((xmp.NAMESPACE, _NAME))
    return None


def png_text(text: str) -> PngInfo:
    """Build the chunk for Pillow's PNG writer: iTXt, uncompressed, so that any tool shows it."""
    info = PngInfo()
    info.add_itxt(KEYWORD, text)
    return info


def png_chunk_kinds(data: bytes) -> set[bytes]:
    """List the chunk types of a PNG file; empty for another file."""
    return {kind for kind, _ in png_chunks(data)}


def xmp_packet(text: str) -> bytes:
    """Build an XMP packet that holds `text`, which is JSON in ASCII."""
    for char in "<>&'":  # ExifTool does not escape the apostrophe when it makes an attribute
        text = text.replace(char, f"\\u{ord(char):04x}")  # the same JSON, and plain text for XML
    return xmp.write(_NAME, text)


def with_jpeg_segments(data: bytes, text: str) -> bytes:
    """Add `text` to a JPEG file as XMP, in one segment or in as many as it needs (XMP part 3, 1.1.3.1)."""
    packet = xmp_packet(text)
    if len(packet) <= _SEGMENT_BYTES:
        segments = _segment(_XMP_SEGMENT + packet)
    else:
        import hashlib  # Hardly any recipe is that long.

        guid = hashlib.md5(packet, usedforsecurity=False).hexdigest().upper()
        segments = _segment(_XMP_SEGMENT + xmp.write(_NOTE_NAME, guid, f"{_NOTE_NAMESPACE}/", "xmpNote"))
        for at in range(0, len(packet), _SEGMENT_BYTES):
            head = _EXTENSION_SEGMENT + guid.encode() + struct.pack(">II", len(packet), at)
            segments += _segment(head + packet[at : at + _SEGMENT_BYTES])
    (app0_length,) = struct.unpack(">H", data[4:6])
    behind_jfif = 4 + app0_length
    return data[:behind_jfif] + segments + data[behind_jfif:]


def _segment(body: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and body of each chunk of a PNG file, up to MAX_PARTS; nothing for another file."""
    at = 8
    for _ in range(MAX_PARTS):
        if not data.startswith(b"\x89PNG\r\n\x1a\n") or at + 12 > len(data):
            return
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        if at + 12 + length > len(data):
            return
        yield kind, data[at + 8 : at + 8 + length]
        at += 12 + length


def _png_find(data: bytes) -> str | None:
    """Read our own chunk, or XMP, where programs store text that they found in a JPEG or WebP file."""
    packet = b""
    for kind, body in png_chunks(data):
        if kind not in (b"iTXt", b"zTXt", b"tEXt"):
            continue
        if body.startswith(KEYWORD.encode() + b"\0"):
            return _text(_png_text_of(kind, body))
        if body.startswith(_XMP_KEYWORD.encode() + b"\0") and not packet:
            packet = _png_text_of(kind, body)
    return _properties(packet).get((xmp.NAMESPACE, _NAME))


def _png_text_of(kind: bytes, body: bytes) -> bytes:
    rest = body.split(b"\0", 1)[1]
    if kind == b"iTXt":
        packed = rest[:1] == b"\1"
        rest = rest[2:].split(b"\0", 2)[-1]
        return _unpacked(rest) if packed else rest
    return _unpacked(rest[1:]) if kind == b"zTXt" else rest


def _unpacked(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, MAX_TEXT_BYTES + 1)
    except zlib.error as exc:
        raise InvalidRequest(Message("The recipe in this picture is broken: it does not unpack."), "recipe") from exc


def _bounded(data: bytes) -> bytes:
    if len(data) > MAX_TEXT_BYTES:
        text = "The recipe in this picture is too long; at most {most} MiB are allowed."
        raise InvalidRequest(Message(text, most=MAX_TEXT_BYTES // 2**20), "recipe")
    return data


def _text(data: bytes) -> str:
    try:
        return _bounded(data).decode()
    except UnicodeDecodeError as exc:  # Replacing millions of wrong bytes takes seconds.
        raise InvalidRequest(Message("The recipe in this picture is broken: it is no text."), "recipe") from exc


def _properties(packet: bytes) -> Mapping[tuple[str, str], str]:
    try:
        return xmp.read(_bounded(packet))
    except ValueError as exc:
        raise InvalidRequest(Message("The recipe in this picture is broken: it is no text."), "recipe") from exc


def _jpeg_segments(data: bytes) -> Iterator[bytes]:
    """Yield the bodies of the APP1 segments before the pixels."""
    at = 2
    for _ in range(MAX_PARTS):
        marker = data[at : at + 4]
        if len(marker) < 4 or marker[0] != 0xFF or marker[1] == 0xDA:
            return
        length = int.from_bytes(marker[2:], "big")
        if marker[1] == 0xE1:
            yield data[at + 4 : at + 2 + length]
        at += 2 + max(length, 2)


def _jpeg_find(data: bytes) -> str | None:
    """Find the recipe in the main packet, or in the parts of its extension."""
    packets: list[bytes] = []
    parts: dict[bytes, dict[int, bytes]] = {}
    for body in _jpeg_segments(data):
        if body.startswith(_XMP_SEGMENT):
            packets.append(body[len(_XMP_SEGMENT) :])
        elif body.startswith(_EXTENSION_SEGMENT):
            guid, rest = body[len(_EXTENSION_SEGMENT) :][:32], body[len(_EXTENSION_SEGMENT) + 32 :]
            parts.setdefault(guid, {})[int.from_bytes(rest[4:8], "big")] = rest[8:]
    main = {name: value for packet in reversed(packets[:MAX_PACKETS]) for name, value in _properties(packet).items()}
    if (xmp.NAMESPACE, _NAME) in main:
        return main[xmp.NAMESPACE, _NAME]
    extension = parts.get(main.get((_NOTE_NAMESPACE, _NOTE_NAME), "").encode(), {})
    packet = b"".join(extension[offset] for offset in sorted(extension))
    return _properties(packet).get((xmp.NAMESPACE, _NAME))


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    for _ in range(MAX_PARTS):
        if at + 8 > len(data):
            return
        kind, length = struct.unpack("<4sI", data[at : at + 8])
        yield kind, data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
