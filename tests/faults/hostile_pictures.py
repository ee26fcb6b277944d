"""Attachments that could break the bot, by name; each is made on request."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from io import BytesIO

from PIL import Image

MEGA = 2**20
SIGNATURE = b"\x89PNG\r\n\x1a\n"
SIDE = 4_000
"""Of large pictures that are allowed."""


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def header(width: int, height: int, depth: int = 8, colours: int = 2) -> bytes:
    """The beginning of a PNG file."""
    return SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0))


def flat_png(width: int, height: int, depth: int = 8, colours: int = 2) -> bytes:
    """A PNG file of one colour: tiny as a file, huge in memory."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colours]
    row = bytes(1 + (width * channels * depth + 7) // 8)
    packer = zlib.compressobj(9)
    at_once = max(1, MEGA // len(row))
    packed = b"".join(packer.compress(row * min(at_once, height - at)) for at in range(0, height, at_once))
    palette = chunk(b"PLTE", bytes(768)) if colours == 3 else b""
    return header(width, height, depth, colours) + palette + chunk(b"IDAT", packed + packer.flush()) + chunk(b"IEND")


def saved(mode: str, size: tuple[int, int], file_format: str, **options: object) -> bytes:
    """An ordinary file."""
    out = BytesIO()
    Image.new(mode, size, 100 if mode in ("L", "P", "1") else None).save(out, file_format, **options)
    return out.getvalue()


def large_webp() -> bytes:
    """A lossless WebP file of 16 megapixels."""
    return saved("RGB", (7_000, 7_000), "WEBP", lossless=True, method=0, quality=0)


def many_scans(count: int) -> bytes:
    """A progressive JPEG file that repeats its last scan many times."""
    data = saved("RGB", (2_000, 2_000), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + scan * count + data[-2:]


def behind_start(file_format: str, start: int, junk: bytes) -> bytes:
    """A file with extra data after its header."""
    data = saved("P" if file_format == "GIF" else "RGB", (10, 10), file_format)
    return data[:start] + junk + data[start:]


def gif_start() -> int:
    """Return the offset of the first block in a GIF file, after its header and palette."""
    data = saved("P", (10, 10), "GIF")
    return 13 + (3 * 2 ** ((data[10] & 7) + 1) if data[10] & 0x80 else 0)


def rotated(turn: int) -> bytes:
    """A JPEG file with an orientation in its EXIF, true or false."""
    exif = Image.Exif()
    exif[0x0112] = turn
    return saved("RGB", (40, 20), "JPEG", exif=exif)


def animated(file_format: str) -> bytes:
    """Many frames."""
    out = BytesIO()
    frames = [Image.new("RGB", (30, 30), (number, 0, 0)) for number in range(200)]
    frames[0].save(out, file_format, save_all=True, append_images=frames[1:])
    return out.getvalue()


FILES: Mapping[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"no picture",
    "page": lambda: b"<html><script>alert(1)</script>",
    "program": lambda: b"MZ" + bytes(500),
    "svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "tiff": lambda: saved("RGB", (8, 8), "TIFF"),
    "bmp": lambda: saved("RGB", (8, 8), "BMP"),
    "eps": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n(%pipe%id) (r) file\n",
    "polyglot": lambda: saved("RGB", (8, 8), "PNG") + b"PK\x03\x04<?php system($_GET[0]); ?>",
    "png 0x0": lambda: header(0, 0) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND"),
    "gif 0x0": lambda: b"GIF89a" + bytes(7) + b";",
    "png 50,000x50,000": lambda: header(50_000, 50_000) + chunk(b"IDAT", zlib.compress(bytes(1_000))) + chunk(b"IEND"),
    "gif 60,000x60,000": lambda: b"GIF89a" + struct.pack("<HH", 60_000, 60_000) + bytes(3) + b";",
    "webp 16,384x16,384": lambda: (
        b"RIFF"
        + struct.pack("<I", 40)
        + b"WEBPVP8L"
        + struct.pack("<I", 28)
        + b"\x2f"
        + struct.pack("<I", 0x0FFFFFFF)
        + bytes(23)
    ),
    "png one pixel wide": lambda: flat_png(1, 49_000_000, 1, 0),
    "png of 16 megapixels": lambda: flat_png(SIDE, SIDE, 8, 6),
    "png of 16 bits": lambda: flat_png(SIDE, SIDE, 16, 0),
    "png of 16 bits and four channels": lambda: flat_png(3_000, 3_000, 16, 6),
    "png of one bit": lambda: flat_png(SIDE, SIDE, 1, 0),
    "png with palette": lambda: flat_png(SIDE, SIDE, 8, 3),
    "png of countless parts": lambda: header(10, 10) + chunk(b"aaAa") * (19 * MEGA // 12),
    "png of countless texts": lambda: header(10, 10) + chunk(b"tEXt", b"a\0b") * (19 * MEGA // 15),
    "png whose text unpacks to 90 MB": lambda: (
        header(10, 10) + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(90 * MEGA))) + flat_png(10, 10)[33:]
    ),
    "jpeg of 16 megapixels": lambda: saved("RGB", (SIDE, SIDE), "JPEG"),
    "jpeg in cmyk": lambda: saved("CMYK", (SIDE, SIDE), "JPEG"),
    "jpeg of fifty scans": lambda: many_scans(40),
    "jpeg of countless scans": lambda: many_scans(2_000),
    "jpeg of countless fill bytes": lambda: behind_start("JPEG", 2, b"\xff" * (19 * MEGA)),
    "jpeg of countless parts": lambda: behind_start("JPEG", 2, b"\xff\xe5\0\2" * (4 * MEGA)),
    "jpeg turned": lambda: rotated(6),
    "jpeg turned in an unknown way": lambda: rotated(60_000),
    "gif of 16 megapixels": lambda: saved("P", (SIDE, SIDE), "GIF"),
    "gif of countless comments": lambda: behind_start("GIF", gif_start(), b"\x21\xfe\1a\0" * (3 * MEGA)),
    "gif of one endless comment": lambda: behind_start("GIF", gif_start(), b"\x21\xfe" + b"\1a" * (9 * MEGA) + b"\0"),
    "gif animated": lambda: animated("GIF"),
    "webp animated": lambda: animated("WEBP"),
    "webp of 49 megapixels": large_webp,
}
