"""Wide 3 x 3 convolutions on a CPU by Winograd's minimal filtering (Lavin and Gray, arXiv 1509.09308).

NNPACK, part of torch, implements it: tiles of 6 x 6 pixels with 64 products instead of 324. NNPACK's threads spin while
waiting, and so do OpenMP's, which the rest of torch uses; alternating, they slow each other down more than they help.
So NNPACK gets one thread, and several threads of our own, which sleep while waiting, each convolve a stripe of the
image.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from threading import Barrier

import torch
from torch import Tensor

# With fewer pixels, or fewer channels on either side, transforming the kernel costs more than it saves.
_PIXELS = 32 * 32
_CHANNELS = 64
_TILE = 6
"""Rows of a tile; stripes end at tile boundaries."""
_STRIPES_FROM = 128
"""Rows of an image from which each thread takes a stripe; below, where kernels dominate, each takes channels."""


def is_faster(images: Tensor, weight: Tensor) -> bool:
    """True if NNPACK convolves `images [N, C, H, W]` with `weight [D, C, kh, kw]` faster than torch's own choice."""
    return (
        images.device.type == "cpu"
        and images.dtype == weight.dtype == torch.float32
        and weight.shape[2:] == (3, 3)
        and min(weight.shape[:2]) >= _CHANNELS
        and images.shape[2] * images.shape[3] >= _PIXELS
        and torch.backends.nnpack.is_available()  # type: ignore[no-untyped-call]
    )


def convolve(images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve with zero padding, without gradients, on as many threads as torch has; `[N, D, H, W]`.

    The same number of threads gives the same bytes.
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
    """Run all parts concurrently: the first on this thread, the others on the helpers."""
    helpers = _thread_pool(threads)
    others = [helpers.submit(function, *part) for part in parts[1:]]
    try:
        function(*parts[0])
    finally:
        wait(others)  # After an error no part may run on in the background.
    for other in others:
        other.result()


@functools.cache
def _thread_pool(threads: int) -> ThreadPoolExecutor:
    """Threads in addition to the caller's, each with single-threaded torch operations."""
    started = Barrier(threads)
    helpers = ThreadPoolExecutor(threads - 1, "convolution", _work_alone, (started,))
    for _ in range(threads - 1):
        helpers.submit(int)
    started.wait()
    # NNPACK creates its threads on first use: as many as torch has then.
    torch.set_num_threads(1)
    _nnpack(torch.zeros(1, 1, _TILE, _TILE), torch.zeros(1, 1, 3, 3), None)
    torch.set_num_threads(threads)
    return helpers


def _work_alone(started: Barrier) -> None:
    torch.set_num_threads(1)
    started.wait()
