"""Drawings as arrays: SVG rendered, cut out of white paper, closed outlines filled, cropped and centred."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE_PX = 256
Array = npt.NDArray[np.uint8]
_SEEN = 16
"""Opacity from which a pixel belongs to the drawing."""
_NAMES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


def wrapped(body: str, left: float, top: float, width: float, height: float, colour: str = "#20242c") -> str:
    """An SVG file around the body of an icon, whose own colour is a dark ink."""
    return f'<svg {_NAMES} viewBox="{left} {top} {width} {height}" color="{colour}">{body}</svg>'


def render(svg: str) -> Image.Image:
    """Render an SVG so that its longer side has about SIDE_PX; no fonts are needed.

    Raises:
        ValueError: for an SVG that cannot be rendered.
    """
    import resvg_py

    # 96 dots per inch, as browsers do: files sized in millimetres vanish without
    data = resvg_py.svg_to_bytes(svg_string=svg, width=SIDE_PX, dpi=96, skip_system_fonts=True)
    raw = base64.b64decode(data) if isinstance(data, str) else bytes(data)
    return Image.open(io.BytesIO(raw)).convert("RGBA")


def without_paper(image: Image.Image) -> Image.Image:
    """A drawing on an opaque white sheet without its sheet; others as they are."""
    pixels = np.asarray(image)
    edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    if (edges.min(axis=-1) < 240).mean() > 0.05:
        return image
    return _cleared(image, pixels.min(axis=-1) > 240)


def with_filled_outlines(image: Image.Image) -> Image.Image:
    """A line drawing whose closed outlines are white inside, as if cut out of paper."""
    room = Image.new("RGBA", (image.width + 4, image.height + 4), (255, 255, 255, 0))
    room.paste(image, (2, 2))
    outside = _outside(np.asarray(room.getchannel("A")) < 128)
    paper = Image.new("RGBA", room.size, (255, 255, 255, 255))
    paper.putalpha(Image.fromarray(np.where(outside, 0, 255).astype(np.uint8)))
    paper.alpha_composite(room)
    return paper


def _cleared(image: Image.Image, free: npt.NDArray[np.bool_]) -> Image.Image:
    alpha = np.where(_outside(np.pad(free, 1, constant_values=True))[1:-1, 1:-1], 0, np.asarray(image)[..., 3])
    cleared = image.copy()
    cleared.putalpha(Image.fromarray(alpha.astype(np.uint8)))
    return cleared


def _outside(free: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Free pixels that are connected with the top left one."""
    found = np.zeros_like(free)
    found[0, 0] = free[0, 0]
    while True:
        before = found
        for turn in range(4):  # along the rows and columns, there and back
            found = np.rot90(_swept(np.rot90(found, turn), np.rot90(free, turn)), -turn)
        if (found == before).all():
            return found


def _swept(found: npt.NDArray[np.bool_], free: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Free pixels that have a found one before them in their row, and nothing else between."""
    at = np.arange(free.shape[1])
    last = [np.maximum.accumulate(np.where(here, at, -1), axis=1) for here in (found, ~free)]
    return free & (last[0] > last[1])


def fit(drawing: Image.Image) -> Array:
    """Crop the drawing to its visible part and centre it so that its longer side fills SIDE_PX; RGBA `[S, S, 4]`.

    Raises:
        ValueError: for an empty drawing.
    """
    image = drawing.convert("RGBA")
    box = image.getchannel("A").point([0] * _SEEN + [255] * (256 - _SEEN)).getbbox()
    if box is None:
        raise ValueError("the drawing is empty")
    image = image.crop(box)
    scale = SIDE_PX / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    # RGBa is premultiplied: no dark fringe at the drawing's edge
    image = image.convert("RGBa").resize(size, Image.Resampling.LANCZOS).convert("RGBA")
    canvas = Image.new("RGBA", (SIDE_PX, SIDE_PX), (255, 255, 255, 0))
    canvas.paste(image, ((SIDE_PX - size[0]) // 2, (SIDE_PX - size[1]) // 2))
    return np.asarray(canvas)
