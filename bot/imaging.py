"""Pictures become files to show: previews, grids, thumbnails, what fits an upload. Any thread but the event loop's.

Pillow only; what carries a recipe is written by the generator.
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
    """The bytes of a picture, its file's ending, and its sides in pixels."""

    data: bytes = field(repr=False)
    ending: str
    width: int
    height: int


def preview(images: Sequence[Image.Image], count: int) -> ImageFile:
    """The picture so far, or of `count` pictures the grid of those that there are, as a JPEG."""
    image = grid(images, count) if count > 1 else images[0]
    return _jpeg(image, PREVIEW_SIDE_PX, quality=85)


def grid(images: Sequence[Image.Image], count: int) -> Image.Image:
    """Pictures side by side, two in a row, in the order of reading; those that are missing stay empty.

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
    """A picture file of ours as a small JPEG."""
    return _jpeg(open_ours(data), side_px, quality=80)


def open_ours(data: bytes) -> Image.Image:
    """The RGB picture in a PNG file that we wrote."""
    with Image.open(BytesIO(data), formats=["PNG"]) as image:
        return image.convert("RGB")


def png(image: Image.Image) -> bytes:
    """A picture as a PNG file without a recipe."""
    out = BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def fitted(data: bytes, limit_bytes: int) -> ImageFile:
    """A PNG file of ours in at most `limit_bytes`: as it is, else as WebP, as JPEG, and smaller and smaller."""
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
    """Width and height in pixels of a PNG or WebP file that we wrote."""
    with Image.open(BytesIO(data), formats=["PNG", "WEBP"]) as image:
        return image.size


def _jpeg(image: Image.Image, side_px: int, quality: int) -> ImageFile:
    small = image.convert("RGB")
    small.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    out = BytesIO()
    small.save(out, "JPEG", quality=quality)
    return ImageFile(out.getvalue(), "jpg", *small.size)
