"""Contact sheets, the curve of the loss, a map of the codes. Pillow and numpy; any thread."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

GAP_PX = 4
TEXT_PX = 14
_PAPER, _INK, _LINE = (255, 255, 255), (40, 40, 40), (31, 111, 178)
_GOLDEN_TURN = 0.618034
"""Steps of this share of the colour circle put neighbouring numbers far apart (Knuth, vol. 3, 6.4)."""

Grid = Sequence[Sequence[Image.Image | None]]


def contact_sheet(rows: Grid, across: Sequence[str], down: Sequence[str] = (), side_px: int = 192) -> Image.Image:
    """Arrange pictures in rows, with a label above each column and, if given, left of each row.

    A missing picture leaves its cell empty. Each is scaled to fit a square of `side_px`.
    """
    words_px = max((_width(text) for text in down), default=0) + (2 * GAP_PX if down else 0)
    top_px, cell_px = TEXT_PX + 2 * GAP_PX, side_px + GAP_PX
    columns = max([len(across), *map(len, rows)])
    sheet = Image.new("RGB", (words_px + columns * cell_px + GAP_PX, top_px + len(rows) * cell_px), _PAPER)
    draw, font = ImageDraw.Draw(sheet), _font()
    for column, text in enumerate(across):
        draw.text((words_px + GAP_PX + column * cell_px + side_px / 2, GAP_PX), text, _INK, font, anchor="ma")
    for row, pictures in enumerate(rows):
        if row < len(down):
            draw.text((GAP_PX, top_px + row * cell_px + side_px / 2), down[row], _INK, font, anchor="lm")
        for column, picture in enumerate(pictures):
            if picture is not None:
                small = _within(picture, side_px)
                left, upper = (side_px - small.width) // 2, (side_px - small.height) // 2
                place = (words_px + GAP_PX + column * cell_px + left, top_px + row * cell_px + upper)
                sheet.paste(small, place)
    return sheet


def loss_curve(losses: Sequence[float], steps: int, width_px: int = 320, height_px: int = 192) -> Image.Image:
    """Draw the loss of each step so far, over the width of all `steps`, with its highest and lowest value."""
    picture = Image.new("RGB", (width_px, height_px), _PAPER)
    draw, font = ImageDraw.Draw(picture), _font()
    left, right, top, bottom = 52, width_px - 8, 12, height_px - 24
    draw.line([(left, top), (left, bottom), (right, bottom)], _INK)
    draw.text((left, height_px - 2), "0", _INK, font, anchor="ld")
    draw.text((right, height_px - 2), f"{steps} steps", _INK, font, anchor="rd")
    if not losses:
        return picture
    low, high = min(losses), max(losses)
    span = high - low or 1.0
    draw.text((left - 4, top), f"{high:.3f}", _INK, font, anchor="rm")
    draw.text((left - 4, bottom), f"{low:.3f}", _INK, font, anchor="rm")
    points = [
        (left + (right - left) * (step + 1) / max(steps, len(losses)), bottom - (bottom - top) * (loss - low) / span)
        for step, loss in enumerate(losses)
    ]
    draw.line(points, _LINE, 2)
    x, y = points[-1]
    draw.ellipse((x - 3, y - 3, x + 3, y + 3), _LINE)
    return picture


def code_map(codes: NDArray[np.integer], side_px: int = 192) -> Image.Image:
    """Draw the numbers `[h, w]` of a picture's codes, each number in its own colour."""
    turns = codes.astype(np.float64) * _GOLDEN_TURN % 1
    value = 140 + codes.astype(np.int64) * 37 % 116
    layers = np.stack([turns * 255, np.full(codes.shape, 170.0), value], axis=-1).astype(np.uint8)
    scale = max(1, side_px // max(codes.shape))
    height, width = codes.shape
    return (
        Image.fromarray(layers, "HSV").convert("RGB").resize((width * scale, height * scale), Image.Resampling.NEAREST)
    )


def jpeg(image: Image.Image, quality: int = 85) -> bytes:
    """Encode a picture as JPEG, for a widget or a notebook's output."""
    out = BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=quality)
    return out.getvalue()


def timelapse_tag(timelapse: bytes, alt: str) -> str:
    """Build an HTML element that holds an animated WebP; `alt` is plain text without quotes."""
    return f'<img alt="{alt}" src="data:image/webp;base64,{b64encode(timelapse).decode()}">'


def _within(picture: Image.Image, side_px: int) -> Image.Image:
    scale = side_px / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def _width(text: str) -> int:
    return int(_font().getlength(text)) + 1


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(TEXT_PX)
