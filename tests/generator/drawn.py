"""Small drawings in the form in which they are stored."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from generator.models.drawings.stored import packed, packed_ink


def sprite(number: int, side: int = 48) -> Image.Image:
    """A drawing (RGBA) on nothing, not its own mirror image; each number has other colours and another shape."""
    red, green, blue = ((37 * number + 61 * turn) % 200 + 20 for turn in range(3))
    image = Image.new("RGBA", (side, side))
    draw = ImageDraw.Draw(image)
    draw.ellipse((2, side // 4 + number % 5, side - 3, side - 3), (red, green, blue, 255))
    draw.rectangle((4, 2, side // 3, side // 2), (blue, red, green, 255))
    return image


def ink_sprite(side: int = 48) -> Image.Image:
    """A ring in black with a white middle, on nothing."""
    image = Image.new("RGBA", (side, side))
    draw = ImageDraw.Draw(image)
    draw.ellipse((2, 2, side - 3, side - 3), (0, 0, 0, 255))
    draw.ellipse((side // 4, side // 4, side * 3 // 4, side // 2), (255, 255, 255, 255))
    return image


def stored_sprite(number: int, side: int = 48) -> bytes:
    """File of `sprite`."""
    return packed(sprite(number, side))


def stored_ink(side: int = 48) -> bytes:
    """File of `ink_sprite`."""
    return packed_ink(ink_sprite(side))


def pixels(image: Image.Image) -> np.ndarray:
    """Values in 0..1, `[h, w, channels]`."""
    return np.asarray(image, np.float32) / 255
