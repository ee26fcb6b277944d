"""Image files for display: previews, grids, thumbnails, fitted uploads. Any thread except the event loop's.

Pillow only; files with a recipe are written by the generator.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

PREVIEW_SIDE_PX = 768
LOOP_SIDE_PX = 256
EXAMINED = 8
"""Frames of a film that a safety check sees."""
GAP_PX = 4
SHEET_COLUMNS, SHEET_CELL_PX, BADGE_PX = 3, 256, 36
WEB_QUALITY = 88
LABEL_PX = 40
"""Height of the labels above a chart's columns; those beside its rows are four times as wide."""
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


def loop(frames: Sequence[Path], fps: float) -> ImageFile:
    """The newest frames of a film, there and back, as a small animated WebP that repeats."""
    small = []
    for path in frames:
        with Image.open(path, formats=["PNG"]) as image:
            frame = image.convert("RGB")
        frame.thumbnail((LOOP_SIDE_PX, LOOP_SIDE_PX), Image.Resampling.LANCZOS)
        small.append(frame)
    out = BytesIO()
    back = small[-2:0:-1]
    small[0].save(
        out, "WEBP", save_all=True, append_images=[*small[1:], *back], duration=round(1000 / fps), loop=0, quality=70,
        method=1,
    )  # fmt: skip
    return ImageFile(out.getvalue(), "webp", *small[0].size)


def some_frames(frames: Sequence[Path]) -> Iterator[Image.Image]:
    """Some frames of a film, evenly spread, for a safety check."""
    for path in frames[:: max(1, len(frames) // EXAMINED)]:
        with Image.open(path, formats=["PNG"]) as frame:
            yield frame.convert("RGB")


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


def sheet(pictures: Sequence[bytes | None], blurred: Sequence[bool]) -> ImageFile:
    """JPEG of our picture files in rows of SHEET_COLUMNS, numbered from 1; the cell of a missing one stays empty."""
    columns = min(SHEET_COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    step = SHEET_CELL_PX + GAP_PX
    image = Image.new("RGB", (columns * step - GAP_PX, rows * step - GAP_PX), _BACKGROUND)
    for index, (data, hidden) in enumerate(zip(pictures, blurred, strict=True)):
        x, y = index % columns * step, index // columns * step
        if data is not None:
            _place(image, open_ours(data), (x, y), hidden)
        _number(image, (x, y), index + 1)
    return _jpeg(image, max(image.size), quality=85)


def chart(
    pictures: Sequence[bytes | None], blurred: Sequence[bool], columns: Sequence[str] = (), rows: Sequence[str] = ()
) -> ImageFile:
    """JPEG of our picture files in rows, with labels above the columns and beside the rows; else numbered as `sheet`.

    The cell of a missing picture stays empty.
    """
    width = len(columns) or math.ceil(math.sqrt(len(pictures)))
    height, step = -(-len(pictures) // width), SHEET_CELL_PX + GAP_PX
    left, top = LABEL_PX * 4 if rows else 0, LABEL_PX if columns else 0
    image = Image.new("RGB", (left + width * step - GAP_PX, top + height * step - GAP_PX), _BACKGROUND)
    for index, (data, hidden) in enumerate(zip(pictures, blurred, strict=True)):
        corner = left + index % width * step, top + index // width * step
        if data is not None:
            _place(image, open_ours(data), corner, hidden)
        if not columns:
            _number(image, corner, index + 1)
    for index, text in enumerate(columns):
        _label(image, (left + index * step, 0, SHEET_CELL_PX, LABEL_PX), text)
    for index, text in enumerate(rows):
        _label(image, (0, top + index * step, left, SHEET_CELL_PX), text)
    return _jpeg(image, max(image.size), quality=85)


def _place(image: Image.Image, picture: Image.Image, corner: tuple[int, int], hidden: bool) -> None:
    """Paste a picture into the middle of a cell, blurred if it is hidden."""
    cell, (x, y) = ImageOps.contain(picture, (SHEET_CELL_PX, SHEET_CELL_PX), Image.Resampling.LANCZOS), corner
    cell = cell.filter(ImageFilter.GaussianBlur(SHEET_CELL_PX / 8)) if hidden else cell
    image.paste(cell, (x + (SHEET_CELL_PX - cell.width) // 2, y + (SHEET_CELL_PX - cell.height) // 2))


def _label(image: Image.Image, box: tuple[int, int, int, int], text: str) -> None:
    """Draw a text into the middle of a box, in up to four lines, shortened to fit."""
    font, (x, y, width, height) = ImageFont.load_default(LABEL_PX * 0.45), box
    lines, words = [""], text.split() or ["–"]
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width - 8 and height > LABEL_PX and len(lines) < 4:
            lines.append(word)
        else:
            lines[-1] = longer
    for number, line in enumerate(lines):
        while font.getlength(line) > width - 8:
            line = f"{line.rstrip('…')[:-1]}…"
        lines[number] = line
    middle = (x + width / 2, y + height / 2)
    ImageDraw.Draw(image).multiline_text(middle, "\n".join(lines), fill="white", font=font, anchor="mm", align="center")


def _number(image: Image.Image, corner: tuple[int, int], number: int) -> None:
    """Draw a number on a dark ground into the upper left corner of a cell."""
    draw, (x, y) = ImageDraw.Draw(image), corner
    draw.rectangle((x, y, x + BADGE_PX, y + BADGE_PX), fill=_BACKGROUND)
    middle = (x + BADGE_PX / 2, y + BADGE_PX / 2)
    draw.text(middle, str(number), fill="white", font=ImageFont.load_default(BADGE_PX * 0.7), anchor="mm")


def thumbnail(data: bytes, side_px: int) -> ImageFile:
    """A small JPEG of one of our picture files."""
    return _jpeg(open_ours(data), side_px, quality=80)


def for_web(data: bytes, side_px: int) -> ImageFile:
    """One of our picture files as WebP with sides of at most `side_px`, without recipe and other metadata."""
    image = open_ours(data)
    image.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    out = BytesIO()
    image.save(out, "WEBP", quality=WEB_QUALITY)
    return ImageFile(out.getvalue(), "webp", *image.size)


def open_ours(data: bytes) -> Image.Image:
    """The RGB picture in one of our PNG or WebP files."""
    with Image.open(BytesIO(data), formats=["PNG", "WEBP"]) as image:
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
