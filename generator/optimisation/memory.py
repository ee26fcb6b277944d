"""How much memory there is, and what of a picture fits into it. Runs on the thread that dreams.

A dream does without in this order: it looks at fewer cutouts at a time, which changes the picture by no more than
rounding; then it paints a smaller one. `plan` says beforehand how far that must go.
"""

from __future__ import annotations

from typing import NamedTuple

from generator.settings import Size

MARGIN = 0.9
"""Share of the free memory that a plan counts on; an allocator cannot use every gap."""
SMALLEST_SIDE_PX = 64
"""A picture is not made smaller than this on its own account."""


class MemoryModel(NamedTuple):
    """Bytes that one step takes beside the models: `fixed + a * pixels + b * pixels ** 2 + per_cutout * cutouts`.

    The square is that of attention between all places of the picture.
    """

    fixed: float
    per_pixel: float
    per_pixel_squared: float
    per_cutout: float

    def step_bytes(self, size: Size, cutouts: int) -> float:
        """What a step takes with so many cutouts at a time."""
        pixels = size.width * size.height
        picture = self.fixed + pixels * (self.per_pixel + pixels * self.per_pixel_squared)
        return picture + cutouts * self.per_cutout


class LargestFit(NamedTuple):
    """What fits: the size of the picture, and how many cutouts at a time."""

    size: Size
    group: int


def plan(footprint: MemoryModel, free_bytes: int, size: Size, cutouts: int, unit_px: int) -> LargestFit:
    """The largest of the sizes from `size` down that fits, with as many cutouts at a time as fit beside it.

    Where nothing fits it is the smallest, one cutout at a time: an estimate alone refuses nobody.
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
    """The size of the fewest groups of at most `most` cutouts, as even as can be."""
    groups = -(-cutouts // max(1, most))
    return -(-cutouts // groups)


def smaller(size: Size, unit_px: int) -> Size | None:
    """The next smaller size, by an eighth, in multiples of `unit_px`; None where it is small enough."""
    low = -(-SMALLEST_SIDE_PX // unit_px) * unit_px
    less = Size(*(min(side, max(low, side * 7 // 8 // unit_px * unit_px)) for side in size))
    return None if less == size else less
