"""Image files for display: previews, grids, thumbnails, fitted uploads. Any thread except the event loop's.

Pillow only; files with a recipe are written by the generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO

from PIL import Image

PREVIEW_SIDE_PX = 768
GAP_PX = 4
_BACKGROUND = (49, 51, 56)
_QUALITIES = (("WEBP", 95), ("WEBP", 85), ("JPEG", 85), ("JPEG", 70))


@dataclass(frozen=True)
class ImageFile:
    """The bytes of a picture, its file extension, and its sides in pixels."""

    data: bytes = field(repr=False)
    ending: str
    width: int
    height: int


def preview(images: Sequence[Image.Image], count: int) -> ImageFile:
    """JPEG preview of a picture, or a grid of the pictures so far if `count` is above 1."""
    image = grid(images, count) if count > 1 else images[0]
    return _jpeg(image, PREVIEW_SIDE_PX, quality=85)


def grid(images: Sequence[Image.Image], count: int) -> Image.Image:
    """Grid of pictures, two per row, in reading order; cells of missing pictures stay empty.

    All cells have the size of the first picture.
    """
    width, height = images[0].size
    columns, rows = (2, 1) if count == 2 else (2, 2)
    sheet = Image.new("RGB", (columns * (width + GAP_PX) - GAP_PX, rows * (height + GAP_PX) - GAP_PX), _BACKGROUND)
    for index, image in enumerate(images):
        cell = image if image.size == (width, height) else image.resize((width, height), Image.Resampling.LANCZOS)
        sheet.paste(cell, (index % columns * (width + GAP_PX), index // columns * (height + GAP_PX)))
    return sheet


def thumbnail(data: bytes, side_px: int) -> ImageFile:
    """A small JPEG of one of our picture files."""
    return _jpeg(open_ours(data), side_px, quality=80)


def open_ours(data: bytes) -> Image.Image:
    """The RGB picture in one of our PNG files."""
    with Image.open(BytesIO(data), formats=["PNG"]) as image:
        return image.convert("RGB")


def png(image: Image.Image) -> bytes:
    """A picture as a PNG file without a recipe."""
    out = BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def fitted(data: bytes, limit_bytes: int) -> ImageFile:
    """One of our PNG files in at most `limit_bytes`: unchanged, else as WebP, as JPEG, then at ever smaller sizes."""
    image = open_ours(data)
    if len(data) <= limit_bytes:
        return ImageFile(data, "png", *image.size)
    while True:
        for name, quality in _QUALITIES:
            out = BytesIO()
            image.save(out, name, quality=quality)
            if out.tell() <= limit_bytes or max(image.size) <= 64:
                return ImageFile(out.getvalue(), "jpg" if name == "JPEG" else "webp", *image.size)
        image = image.resize((max(1, image.width * 3 // 4), max(1, image.height * 3 // 4)), Image.Resampling.LANCZOS)


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height in pixels of one of our PNG or WebP files."""
    with Image.open(BytesIO(data), formats=["PNG", "WEBP"]) as image:
        return image.size


def _jpeg(image: Image.Image, side_px: int, quality: int) -> ImageFile:
    small = image.convert("RGB")
    small.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    out = BytesIO()
    small.save(out, "JPEG", quality=quality)
    return ImageFile(out.getvalue(), "jpg", *small.size)
