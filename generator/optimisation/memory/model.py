"""Memory model of a step, and the largest picture and cutout group that fit into memory.

If memory is short, a dream first evaluates fewer cutouts at a time, which changes the picture only by rounding, then
uses a smaller size. `plan` computes beforehand how far both must go.
"""

from __future__ import annotations

from typing import NamedTuple

from generator.settings import Size

MARGIN = 0.9
"""Share of the free memory that a plan counts on; an allocator cannot use every gap."""
SMALLEST_SIDE_PX = 64
"""Smallest side that a picture is reduced to."""


class MemoryModel(NamedTuple):
    """Bytes that one step takes besides the models: `fixed + a * pixels + b * pixels ** 2 + per_cutout * cutouts`.

    The square term is attention between all positions of the picture.
    """

    fixed: float
    per_pixel: float
    per_pixel_squared: float
    per_cutout: float

    def step_bytes(self, size: Size, cutouts: int) -> float:
        """Bytes that a step takes with this many cutouts at a time."""
        pixels = size.width * size.height
        picture = self.fixed + pixels * (self.per_pixel + pixels * self.per_pixel_squared)
        return picture + cutouts * self.per_cutout


class LargestFit(NamedTuple):
    """The picture size and the number of cutouts at a time that fit."""

    size: Size
    group: int


def plan(footprint: MemoryModel, free_bytes: int, size: Size, cutouts: int, unit_px: int) -> LargestFit:
    """Find the largest size, from `size` downwards, that fits, with as many cutouts at a time as fit with it.

    If nothing fits, the result is the smallest size with one cutout at a time: an estimate alone rejects no request.
    """
    usable = free_bytes * MARGIN
    while footprint.step_bytes(size, 1) > usable:
        less = smaller(size, unit_px)
        if less is None:
            return LargestFit(size, 1)
        size = less
    most = int((usable - footprint.step_bytes(size, 0)) // max(1.0, footprint.per_cutout))
    return LargestFit(size, even_group(cutouts, most))


def even_group(cutouts: int, most: int) -> int:
    """Group size for the fewest groups of at most `most` cutouts, as even as possible."""
    groups = -(-cutouts // max(1, most))
    return -(-cutouts // groups)


def smaller(size: Size, unit_px: int) -> Size | None:
    """Next smaller size, by an eighth, in multiples of `unit_px`; None if it is already the smallest."""
    low = -(-SMALLEST_SIDE_PX // unit_px) * unit_px
    less = Size(*(min(side, max(low, side * 7 // 8 // unit_px * unit_px)) for side in size))
    return None if less == size else less
