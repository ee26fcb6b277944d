"""Wide 3 x 3 convolutions on a CPU by Winograd's minimal filtering (Lavin and Gray, arXiv 1509.09308).

NNPACK, which is part of torch, has it: tiles of 6 x 6 pixels in 64 products in place of 324. Its own threads wait by
spinning, and so do OpenMP's, with which the rest of torch works: taking turns, each hinders the other more than it
helps. So NNPACK gets one thread, and several of ours, which sleep when they wait, each convolve a stripe of the
picture. Runs on the thread that dreams.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from threading import Barrier

import torch
from torch import Tensor

# Below so many pixels, or channels on either side, transforming the kernel costs more than it saves.
_PIXELS = 32 * 32
_CHANNELS = 64
_TILE = 6
"""Rows of a tile; stripes end between two."""
_STRIPES_FROM = 128
"""Rows of a picture from which on each thread takes a stripe; below, where kernels weigh more, each takes channels."""


def suits(images: Tensor, weight: Tensor) -> bool:
    """Whether NNPACK convolves `images [N, C, H, W]` with `weight [D, C, kh, kw]` faster than torch's own choice."""
    return (
        images.device.type == "cpu"
        and images.dtype == weight.dtype == torch.float32
        and weight.shape[2:] == (3, 3)
        and min(weight.shape[:2]) >= _CHANNELS
        and images.shape[2] * images.shape[3] >= _PIXELS
        and torch.backends.nnpack.is_available()  # type: ignore[no-untyped-call]
    )


def convolve(images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The convolution `[N, D, H, W]` with a border of zeros, without gradients, by as many threads as torch has.

    The same count of threads gives the same bytes.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        return _nnpack(images, weight, bias)
    height = images.shape[2]
    result = images.new_empty(len(images), len(weight), *images.shape[2:])
    if height < _STRIPES_FROM:
        ends = [len(weight) * part // threads for part in range(threads + 1)]

        def convolve_part(begin: int, end: int) -> None:
            part = slice(begin, end)
            result[:, part] = _nnpack(images, weight[part], None if bias is None else bias[part])
    else:
        ends = [height * part // threads // _TILE * _TILE for part in range(threads)] + [height]

        def convolve_part(begin: int, end: int) -> None:
            first = max(begin - 1, 0)
            stripe = _nnpack(images[:, :, first : end + 1].contiguous(), weight, bias)
            result[:, :, begin:end] = stripe[:, :, begin - first : end - first]

    _together(threads, convolve_part, [(begin, end) for begin, end in pairwise(ends) if begin < end])
    return result


def _nnpack(images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    with torch.no_grad():
        return torch._nnpack_spatial_convolution(images, weight, bias, 1)


def _together(threads: int, function: Callable[[int, int], None], parts: list[tuple[int, int]]) -> None:
    """Do all parts at once: this thread the first, the others the rest."""
    helpers = _helpers(threads)
    others = [helpers.submit(function, *part) for part in parts[1:]]
    try:
        function(*parts[0])
    finally:
        wait(others)  # Nothing of them is to run on under what comes after an error.
    for other in others:
        other.result()


@functools.cache
def _helpers(threads: int) -> ThreadPoolExecutor:
    """All threads but the caller's, in each of which torch does one thing at a time."""
    started = Barrier(threads)
    helpers = ThreadPoolExecutor(threads - 1, "convolution", _work_alone, (started,))
    for _ in range(threads - 1):
        helpers.submit(int)
    started.wait()
    # NNPACK gets its threads at its first use: as many as torch has then.
    torch.set_num_threads(1)
    _nnpack(torch.zeros(1, 1, _TILE, _TILE), torch.zeros(1, 1, 3, 3), None)
    torch.set_num_threads(threads)
    return helpers


def _work_alone(started: Barrier) -> None:
    torch.set_num_threads(1)
    started.wait()
