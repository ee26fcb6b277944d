"""Picture files: normalise, fit, encode and write. Pillow and numpy, no torch; any thread.

Attachments count as hostile. Only the four decoders named here read them, the type is taken from the first bytes and
not from the name, and the size in pixels is read from the header before anything is decoded.
"""

from __future__ import annotations

import math
import os
import re
import struct
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import ExifTags, Image, ImageChops, ImageOps
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from generator.errors import InvalidRequest
from generator.images import colours, metadata
from generator.messages import Message

if TYPE_CHECKING:
    # The process that decodes a stranger's picture starts anew for each: it loads only what decodes it.
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from generator.settings import Size

FORMATS = ("png", "jpeg", "webp")
MAX_FILE_BYTES = 20 * 2**20
MAX_PIXELS = 50_000_000
MAX_SIDE_PX = 65_535
"""The limit of JPEG. Pillow keeps an address for each row, which takes gigabytes for a picture one pixel wide."""
MAX_JPEG_SCANS = 64
MAX_READS = 100_000
"""Maximum number of reads by Pillow from one file; a valid file of 20 MiB takes a tenth of it."""
KEPT_PIXELS = 1024 * 1024
KEPT_SIDE_PX = 2048

_QUALITY = 95
_MIDDLE = 128
"""Shade of a mask from which a pixel belongs to the region."""
_JPEG_MARKER = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]")
"""All markers except those inside a scan: an escaped byte, and restarts."""
_OPENERS: dict[str, Callable[[BytesIO], ImageFile]] = {
    "png": PngImageFile,
    "jpeg": JpegImageFile,
    "webp": WebPImageFile,
    "gif": GifImageFile,
}
_SUFFIXES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def normalise(data: bytes) -> bytes:
    """Normalise an attachment: PNG, RGB, upright, at most KEPT_PIXELS and KEPT_SIDE_PX.

    Colours become sRGB, transparency is laid over white, 16 bits become 8, and of an animation the first frame is kept.
    All metadata (places, cameras, names) is dropped. The same bytes give the same bytes, and a normalised picture stays
    as it is.

    Raises:
        InvalidRequest: for a file that is not PNG, JPEG, WebP or GIF, is broken or too large; a sentence says which.
    """
    return _save(_decode(data), "PNG")


def normalise_mask(data: bytes) -> bytes:
    """Normalise a mask like a picture: white is the region, black the rest.

    Of a picture with transparency the region is what is transparent, as if rubbed out; of others, what is light.

    Raises:
        InvalidRequest: as `normalise`, and for a mask of one shade.
    """
    shades = _transparency(data) or _decode(data).convert("L")
    seen = [level for level, count in enumerate(shades.histogram()) if count]
    low, high = seen[0], seen[-1]
    if low >= _MIDDLE or high < _MIDDLE:
        text = "The mask is all {shade}; white is what it shows, and black the rest."
        shade = Message("white") if low >= _MIDDLE else Message("black")
        raise InvalidRequest(Message(text, shade=shade), "mask")
    return _save(shades.convert("RGB"), "PNG")


def _transparency(data: bytes) -> Image.Image | None:
    """The transparency of a picture as shades, white where nothing shows; None for one without a transparent pixel."""
    over_white, over_black = (_decode(data, ground) for ground in ("white", "black"))
    seen = ImageChops.difference(over_white, over_black).convert("L")
    return seen if seen.getbbox() else None


def check_normalised(data: bytes) -> None:
    """Refuse bytes that `normalise` cannot have made, as a hostile recipe may hold them.

    Raises:
        InvalidRequest: with a sentence that says so.
    """
    if metadata.png_chunk_kinds(data) <= {b"IHDR", b"IDAT", b"IEND"} and data.endswith(b"IEND\xaeB`\x82"):
        width, height, depth, colours = struct.unpack(">IIBB", data[16:26])
        if (depth, colours) == (8, 2) and (width, height) == _kept_size((width, height)):
            _decode(data)
            return
    raise InvalidRequest(Message("The recipe holds a picture that Reverie cannot have written."), "recipe")


def load(data: bytes) -> Image.Image:
    """Decode normalised bytes into an RGB picture."""
    return _decode(data)


def fit(image: Image.Image, size: Size) -> Image.Image:
    """Crop the centre to the aspect ratio of `size` and resize it, without distortion."""
    return ImageOps.fit(image, size, Image.Resampling.LANCZOS)


def to_array(image: Image.Image) -> NDArray[np.float32]:
    """Convert an RGB picture to `[3, H, W] float32 in 0..1`."""
    import numpy as np

    return np.ascontiguousarray(np.asarray(image.convert("RGB"), dtype=np.float32).transpose(2, 0, 1) / 255)


def encode(image: Image.Image, file_format: str, recipe: str | None = None) -> bytes:
    """Encode an RGB picture as PNG, JPEG or WebP with `recipe` inside; the same input gives the same bytes.

    Raises:
        InvalidRequest: if `file_format` is not one of FORMATS.
    """
    image = image.convert("RGB")
    if file_format == "png":
        return _save(image, "PNG", pnginfo=None if recipe is None else metadata.png_text(recipe))
    if file_format == "jpeg":
        data = _save(image, "JPEG", quality=_QUALITY, subsampling=0)
        return data if recipe is None else metadata.with_jpeg_segments(data, recipe)
    if file_format == "webp":
        return _save(
            image, "WEBP", quality=_QUALITY, method=4, xmp=b"" if recipe is None else metadata.xmp_packet(recipe)
        )
    text = "format cannot be {given}; choose one of {choices}."
    raise InvalidRequest(Message(text, given=repr(file_format[:20]), choices=", ".join(FORMATS)), "format")


def tile_sheet(image: Image.Image) -> Image.Image:
    """The picture twice in each direction, which shows the seams of a tile."""
    sheet = Image.new(image.mode, (2 * image.width, 2 * image.height))
    for left in (0, image.width):
        for top in (0, image.height):
            sheet.paste(image, (left, top))
    return sheet


def format_of(path: Path) -> str | None:
    """Return the format for a file name's extension; None if the extension is not supported."""
    return _SUFFIXES.get(path.suffix.lower())


def write_file(path: Path, data: bytes) -> None:
    """Write to a temporary file and rename it, so that `path` holds either the old bytes or the new ones.

    Raises:
        OSError: if the folder cannot be written to or the disk is full; nothing is left behind.
    """
    beside = path.with_name(f".{os.urandom(16).hex()}.part")
    try:
        with beside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _save(image: Image.Image, file_format: str, **options: object) -> bytes:
    plain = Image.frombytes("RGB", image.size, image.tobytes())
    out = BytesIO()
    plain.save(out, file_format, **options)
    return out.getvalue()


def _decode(data: bytes, ground: str = "white") -> Image.Image:
    """Decode hostile bytes into an upright RGB picture of the size that is kept, transparency laid over `ground`."""
    kind = _kind(data)
    declared = _declared_size(data, kind)
    if declared is not None:
        _check_size(declared)
    try:
        with _OPENERS[kind](_Bounded(data)) as image:
            _check_size(image.size)
            image.draft(None, _kept_size(image.size))
            image.load()
            return _upright(_flat(image, data, ground), image)
    except InvalidRequest:
        raise
    except Exception as exc:  # Pillow can raise nearly any exception for a malformed file.
        text = "This {kind} picture is broken or incomplete; save it anew and try again."
        raise InvalidRequest(Message(text, kind=kind.upper()), "image") from exc


def _kind(data: bytes) -> str:
    if not data:
        raise InvalidRequest(Message("The picture's file is empty."), "image")
    if len(data) > MAX_FILE_BYTES:
        text = "The picture's file has {size} MiB; at most {most} MiB are allowed."
        raise InvalidRequest(Message(text, size=f"{len(data) / 2**20:.1f}", most=MAX_FILE_BYTES // 2**20), "image")
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        _check_jpeg(data)
        return "jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    raise InvalidRequest(Message("This file is no PNG, JPEG, WebP or GIF picture; save it as one of these."), "image")


def _check_jpeg(data: bytes) -> None:
    """Refuse hundreds of progressive scans, each of which costs a pass over all pixels.

    Markers are followed as in libjpeg, to the end of the picture: the contents of a segment (a thumbnail, a profile)
    and data after the end (the video of a motion photo) do not count as scans.
    """
    at = scans = 0
    for _ in range(MAX_READS):
        found = _JPEG_MARKER.search(data, at)
        if found is None or found[0] == b"\xff\xd9":
            return
        at = found.end()
        if found[0] != b"\xff\xd8":
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
        scans += found[0] == b"\xff\xda"
        if scans > MAX_JPEG_SCANS:
            break
    raise _endless()


class _Bounded(BytesIO):
    """A file with a limited number of reads: millions of empty parts, each read separately, would take minutes."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read the next bytes.

        Raises:
            InvalidRequest: after too many calls.
        """
        self._reads += 1
        if self._reads > MAX_READS:
            raise _endless()
        return super().read(size)


def _endless() -> InvalidRequest:
    return InvalidRequest(Message("This picture would take for ever to read; save it anew and try again."), "image")


def _declared_size(data: bytes, kind: str) -> tuple[int, int] | None:
    """Read width and height from their fixed place in the header, for the types that have one.

    Pillow must not open a WebP file first, since libwebp allocates its canvas on opening.
    """
    if kind == "png" and len(data) >= 24:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if kind == "gif" and len(data) >= 10:
        return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    if kind == "webp" and data[12:16] == b"VP8X" and len(data) >= 30:
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    return None


def _check_size(size: tuple[int, int]) -> None:
    width, height = size
    if min(size) < 1:
        raise InvalidRequest(Message("The picture has no pixels ({size}).", size=f"{width}x{height}"), "image")
    if width * height > MAX_PIXELS:
        text = "The picture has {size} pixels; at most {most} megapixels are allowed."
        raise InvalidRequest(Message(text, size=f"{width}x{height}", most=MAX_PIXELS // 10**6), "image")
    if max(size) > MAX_SIDE_PX:
        text = "The picture has {size} pixels; neither side may have more than {most}."
        raise InvalidRequest(Message(text, size=f"{width}x{height}", most=MAX_SIDE_PX), "image")


def _kept_size(size: tuple[int, int]) -> tuple[int, int]:
    width, height = size
    if width * height == 0:
        return size
    scale = min(1.0, math.sqrt(KEPT_PIXELS / (width * height)), KEPT_SIDE_PX / max(size))
    return max(1, int(width * scale)), max(1, int(height * scale))


def _upright(image: Image.Image, source: Image.Image) -> Image.Image:
    """Rotate the picture as its source's EXIF says; like browsers, ignore XMP."""
    for name in ("xmp", "XML:com.adobe.xmp"):
        source.info.pop(name, None)
    try:
        turn = _TURNS.get(source.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # A broken EXIF block says nothing about the pixels, which are already read.
        turn = None
    return image if turn is None else image.transpose(turn)


def _flat(image: Image.Image, data: bytes, ground: str) -> Image.Image:
    """Convert a picture of any mode that the four decoders return to sRGB; shrink it before further copies are made."""
    grey = image.mode in ("1", "L", "LA") or image.mode.startswith("I")
    if image.mode.startswith("I"):
        small = _small(_eight_bits(image))
    elif image.has_transparency_data:
        if isinstance(image, PngImageFile):
            _scale_colour_key(image, depth=data[24])
        small = _small(image.convert("LA" if grey else "RGBA"))
    else:
        small = _small(image if image.mode in ("L", "RGB", "CMYK") else image.convert("L" if grey else "RGB"))
    cicp = next((body for kind, body in metadata.png_chunks(data) if kind == b"cICP"), None)
    coloured = colours.to_srgb(small, image, cicp)
    if coloured.mode == "RGB":
        return coloured
    return Image.alpha_composite(Image.new("RGBA", coloured.size, ground), coloured).convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Convert a grey picture from 16 bits to 8, transparent at the level that its file declares transparent."""
    import numpy as np

    levels = np.asarray(image)
    grey = Image.fromarray((levels.clip(0, 65535) >> 8).astype(np.uint8))
    key = image.info.get("transparency")
    if key is not None:
        grey.putalpha(Image.fromarray(np.where(levels == key, 0, 255).astype(np.uint8)))
    return grey


def _scale_colour_key(image: PngImageFile, depth: int) -> None:
    """Scale the transparent colour to 8 bits, as Pillow scaled the pixels; Pillow leaves the key unscaled."""
    if image.mode == "L" and depth < 8:
        image.info["transparency"] = min(255, image.info["transparency"] * 255 // (2**depth - 1))
    elif image.mode == "RGB" and depth == 16:
        image.info["transparency"] = tuple(value >> 8 for value in image.info["transparency"])


def _small(image: Image.Image) -> Image.Image:
    kept = _kept_size(image.size)
    return image if kept == image.size else image.resize(kept, Image.Resampling.LANCZOS, reducing_gap=3.0)
