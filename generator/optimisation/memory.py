"""How much memory there is, and what of a picture fits into it. Runs on the thread that dreams.

A dream does without in this order: it looks at fewer cutouts at a time, which changes the picture by no more than
rounding; then it paints a smaller one. `plan` says beforehand how far that must go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch

from generator.runtime.host_memory import look_at_memory
from generator.settings import Size

MARGIN = 0.9
"""Share of the free memory that a plan counts on; an allocator cannot use every gap."""
SMALLEST_SIDE_PX = 64
"""A picture is not made smaller than this on its own account."""


@dataclass(frozen=True)
class MemoryBudget:
    """What a dream may use.

    Attributes:
        free_bytes: asked before each dream; answers None where nobody knows.
        claim: asked before each step, where there is one; raises torch's or Python's error for what cannot be had.
    """

    free_bytes: Callable[[], int | None] = lambda: None
    claim: Callable[[int], None] | None = None

    @classmethod
    def of(cls, device: torch.device, share: float = 1.0) -> MemoryBudget:
        """The budget of a device; of a GPU only `share` is used, by all models and dreams of this process together."""
        if device.type == "cpu":
            return cls(_free_on_host, _claim_on_host)
        return cls(lambda: _free_on_gpu(device, share))


class Footprint(NamedTuple):
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


class Plan(NamedTuple):
    """What fits: the size of the picture, and how many cutouts at a time."""

    size: Size
    group: int


def plan(footprint: Footprint, free_bytes: int, size: Size, cutouts: int, unit_px: int) -> Plan:
    """The largest of the sizes from `size` down that fits, with as many cutouts at a time as fit beside it.

    Where nothing fits it is the smallest, one cutout at a time: an estimate alone refuses nobody.
    """
    usable = free_bytes * MARGIN
    while footprint.step_bytes(size, 1) > usable:
        less = smaller(size, unit_px)
        if less is None:
            return Plan(size, 1)
        size = less
    most = int((usable - footprint.step_bytes(size, 0)) // max(1.0, footprint.per_cutout))
    return Plan(size, even_group(cutouts, most))


def even_group(cutouts: int, most: int) -> int:
    """The size of the fewest groups of at most `most` cutouts, as even as can be."""
    groups = -(-cutouts // max(1, most))
    return -(-cutouts // groups)


def smaller(size: Size, unit_px: int) -> Size | None:
    """The next smaller size, by an eighth, in multiples of `unit_px`; None where it is small enough."""
    low = -(-SMALLEST_SIDE_PX // unit_px) * unit_px
    less = Size(*(min(side, max(low, side * 7 // 8 // unit_px * unit_px)) for side in size))
    return None if less == size else less


def gpu_memory(device: torch.device) -> dict[str, int]:
    """Bytes of a GPU: `used` by this process, `free` to all programs, `total`; empty for a CPU. Any thread.

    It is empty as well for a GPU that does not answer: this is no place to notice that it failed.
    """
    if device.type != "cuda":
        return {}
    try:
        free, total = torch.cuda.mem_get_info(device)
    except RuntimeError:
        return {}
    return {"used": torch.cuda.memory_reserved(device), "free": free, "total": total}


def _free_on_gpu(device: torch.device, share: float) -> int:
    """What no program holds and what torch holds without using it, but no more than the share leaves."""
    free, total = torch.cuda.mem_get_info(device)
    used, held = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
    return max(0, min(free + held - used, int(total * share) - used))


def _free_on_host() -> int | None:
    memory = look_at_memory()
    return None if memory is None else memory.free_bytes


def _claim_on_host(count: int) -> None:
    """See that the system gives so many bytes; they are not touched, and given back at once."""
    torch.empty(count, dtype=torch.uint8, device="cpu")
