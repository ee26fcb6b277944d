"""A text (a recipe) inside a picture's file: PNG iTXt, JPEG and WebP XMP. Bytes only, nothing is decoded; any thread.

Reading walks the containers with bounds of its own, since the files come from anywhere: lengths that lie, thousands of
empty parts and texts that unpack to gigabytes end in None or in a sentence, not in memory or time.
"""

from __future__ import annotations

import hashlib
import re
import struct
import sys
import zlib
from collections.abc import Iterator
from xml.sax.saxutils import unescape

from PIL.PngImagePlugin import PngInfo

from generator.errors import InvalidRequest
from generator.messages import Message

KEYWORD = "reverie:recipe"
MAX_TEXT_BYTES = 24 * 2**20
MAX_PARTS = 10_000
MAX_ENTITIES = 200_000

_OPENING, _CLOSING = f"<{KEYWORD}>", f"</{KEYWORD}>"
_XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENSION_SEGMENT = b"http://ns.adobe.com/xmp/extension/\0"
_SEGMENT_BYTES = 65_000
"""What goes into one JPEG segment; its length field allows 65,533."""


def find_text(data: bytes) -> str | None:
    """The text that a PNG, JPEG or WebP file of ours carries; None where there is none.

    Raises:
        InvalidRequest: for a text that is too long, also when unpacked, or does not unpack.
    """
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png_find(data)
    if data.startswith(b"\xff\xd8"):
        return _jpeg_find(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        packets = (body for kind, body in _webp_chunks(data) if kind == b"XMP ")
        return _from_xmp(next(packets, b""))
    return None


def png_text(text: str) -> PngInfo:
    """The chunk for Pillow's PNG writer: iTXt, not packed, so that any tool shows it."""
    info = PngInfo()
    info.add_itxt(KEYWORD, text)
    return info


def png_chunk_kinds(data: bytes) -> set[bytes]:
    """The kinds of chunk in a PNG file; empty for another file."""
    return {kind for kind, _ in png_chunks(data)}


def xmp(text: str) -> bytes:
    """An XMP packet (ISO 16684-1) that holds `text`, which is JSON in ASCII."""
    return _packet(f'<rdf:Description rdf:about="" xmlns:reverie="urn:reverie:1">{_element(text)}</rdf:Description>')


def with_jpeg_segments(data: bytes, text: str) -> bytes:
    """A JPEG file with `text` as XMP: in one segment, or in as many as it needs (XMP part 3, 1.1.3.1)."""
    packet = xmp(text)
    if len(packet) <= _SEGMENT_BYTES:
        segments = _segment(_XMP_SEGMENT + packet)
    else:
        guid = hashlib.md5(packet, usedforsecurity=False).hexdigest().upper()
        note = 'xmlns:xmpNote="http://ns.adobe.com/xmp/note/"'
        main = _packet(f'<rdf:Description rdf:about="" {note} xmpNote:HasExtendedXMP="{guid}"/>')
        segments = _segment(_XMP_SEGMENT + main)
        for at in range(0, len(packet), _SEGMENT_BYTES):
            head = _EXTENSION_SEGMENT + guid.encode() + struct.pack(">II", len(packet), at)
            segments += _segment(head + packet[at : at + _SEGMENT_BYTES])
    (app0_length,) = struct.unpack(">H", data[4:6])
    behind_jfif = 4 + app0_length
    return data[:behind_jfif] + segments + data[behind_jfif:]


def _element(text: str) -> str:
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")  # the same JSON, and plain text for XML
    return f"{_OPENING}{text}{_CLOSING}"


def _packet(description: str) -> bytes:
    rdf = f'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{description}</rdf:RDF>'
    meta = f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{rdf}</x:xmpmeta>'
    return f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{meta}<?xpacket end="r"?>'.encode()


def _segment(body: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and body of each chunk of a PNG file, up to MAX_PARTS; nothing for another file."""
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
    prefix = KEYWORD.encode() + b"\0"
    for kind, body in png_chunks(data):
        if kind not in (b"iTXt", b"zTXt", b"tEXt") or not body.startswith(prefix):
            continue
        rest = body[len(prefix) :]
        if kind == b"iTXt":
            packed = rest[:1] == b"\1"
            rest = rest[2:].split(b"\0", 2)[-1]
            return _text(_unpacked(rest) if packed else rest)
        return _text(_unpacked(rest[1:]) if kind == b"zTXt" else rest)
    return None


def _unpacked(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, MAX_TEXT_BYTES + 1)
    except zlib.error as exc:
        raise InvalidRequest(Message("The recipe in this picture is broken: it does not unpack."), "recipe") from exc


def _text(data: bytes) -> str:
    if len(data) > MAX_TEXT_BYTES:
        text = "The recipe in this picture is too long; at most {most} MiB are allowed."
        raise InvalidRequest(Message(text, most=MAX_TEXT_BYTES // 2**20), "recipe")
    try:
        return data.decode()
    except UnicodeDecodeError as exc:  # To replace millions of wrong bytes takes seconds.
        raise InvalidRequest(Message("The recipe in this picture is broken: it is no text."), "recipe") from exc


def _from_xmp(packet: bytes) -> str | None:
    text = _text(packet)
    start = text.find(_OPENING)
    end = text.find(_CLOSING, start)
    if start < 0 or end < 0:
        return None
    return _plain(text[start + len(_OPENING) : end])


def _plain(text: str) -> str:
    """XML's own entities and those of single characters, which other tools may have written, as what they stand for."""
    if text.count("&#") > MAX_ENTITIES:
        raise InvalidRequest(Message("The recipe in this picture is broken: it is no text."), "recipe")
    numbered = re.sub(r"&#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}));", _character, text)
    return unescape(numbered, {"&quot;": '"', "&apos;": "'"})


def _character(found: re.Match[str]) -> str:
    code = int(found[1], 16) if found[1] else int(found[2])
    return chr(code) if code <= sys.maxunicode else found[0]


def _jpeg_segments(data: bytes) -> Iterator[bytes]:
    """The bodies of the APP1 segments before the pixels."""
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
    parts: dict[int, bytes] = {}
    for body in _jpeg_segments(data):
        if body.startswith(_XMP_SEGMENT):
            found = _from_xmp(body[len(_XMP_SEGMENT) :])
            if found is not None:
                return found
        elif body.startswith(_EXTENSION_SEGMENT):
            head = len(_EXTENSION_SEGMENT) + 32
            offset = int.from_bytes(body[head + 4 : head + 8], "big")
            parts[offset] = body[head + 8 :]
    return _from_xmp(b"".join(parts[offset] for offset in sorted(parts)))


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    for _ in range(MAX_PARTS):
        if at + 8 > len(data):
            return
        kind, length = struct.unpack("<4sI", data[at : at + 8])
        yield kind, data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
