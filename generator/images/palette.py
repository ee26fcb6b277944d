"""Colours of a picture: its palette, as the setting `palette` has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from PIL import Image

from generator.images import files as images
from generator.notation.palette import canonical

_COLOURS = 8
_SIDE_PX = 128


def palette_of(data: bytes) -> str:
    """The eight colours, or fewer, that represent a normalised picture file best, the most frequent first.

    They are those of Pillow's median cut, moved to the mean of the pixels nearest to them.

    Raises:
        InvalidRequest: if the file cannot be read.
    """
    image = images.load(data).convert("RGB")
    image.thumbnail((_SIDE_PX, _SIDE_PX), Image.Resampling.BOX)
    reduced = image.quantize(_COLOURS, Image.Quantize.MEDIANCUT, kmeans=1)
    counts = cast("Sequence[tuple[int, tuple[int, int, int]]]", reduced.convert("RGB").getcolors(_SIDE_PX**2))
    return canonical(", ".join(f"#{bytes(rgb).hex()}" for _, rgb in sorted(counts, reverse=True)), _COLOURS, "palette")
