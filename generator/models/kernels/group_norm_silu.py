"""Group norm with SiLU (Wu and He, arXiv 1803.08494) for a GPU: frozen layers, one kept tensor, many programs a group.

Triton kernels for pictures `[N, C, H, W]`, contiguous or channels-last. torch gives one block of threads to a group, so
a large picture leaves most of a GPU idle, and its SiLU is one more pass over memory. Here three kernels run each way:
sums of many parts of the picture, one small kernel that combines them, one pass that writes the result. The combining
is a kernel of its own because each program of the last pass needs all parts of its groups, of which there are
thousands. Nothing is added atomically, so results repeat to the byte.

Mean and variance follow Welford's update within a part and the combination of parts by Chan, Golub and LeVeque
("Updating formulae and a pairwise algorithm for computing sample variances", 1979; "Algorithms for computing the sample
variance", The American Statistician 37, 1983): means and sums of squared deviations, never a difference of two large
sums. All arithmetic is in float32.

Triton comes with torch's CUDA builds for Linux only. Importing this module needs neither Triton nor a GPU; `available`
tells whether its functions work on a device. With TRITON_INTERPRET=1 in the environment before the import they run on
CPU tensors, slowly, for tests.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as functional
from torch import Tensor
from torch.autograd.function import once_differentiable

try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None

_TILE_ELEMENTS = 2048
"""Elements that a program holds at a time: 16 for each of its 128 threads, which are two or four loads of 16 bytes."""
_CHANNEL_RUN = 128
"""Channels of a tile where they are neighbours in memory: 256 bytes at least, and several tiles for a small picture."""
_PIXEL_RUN = 256
"""Pixels of a tile where they are neighbours in memory."""
_SUMMING_PROGRAMS = 1024
"""Largest number of programs that sum up a picture: enough to fill a large GPU, few enough to combine at once."""
_COMBINED_AT_ONCE = 4096
"""Parts of a group that one step of a loop combines: all of them where there are 32 groups."""
_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
_MIN_CAPABILITY = (7, 0)
_TRIAL_TOLERANCE = 2.0**-6
"""Largest error of the trial in half precision, as a share of the largest element; rounding alone makes 2**-8."""
_LOG = logging.getLogger(__name__)


def group_norm_silu(images: Tensor, weight: Tensor, bias: Tensor, groups: int, epsilon: float) -> Tensor:
    """`x * sigmoid(x)` of the group norm of `images [N, C, H, W]`, with a gradient to `images` alone.

    Autograd keeps `images` (a copy without gaps if there are any), `weight`, `bias`, and two numbers a group. Both ways
    can be captured in a CUDA graph once they have run for that shape.

    Args:
        images: float32, bfloat16 or float16, on a device for which `available` is true.
        weight: `[C]`, of any of these formats, frozen: it gets no gradient.
        bias: `[C]`, likewise.
        groups: number of groups, a divisor of C.
        epsilon: added to the variance.

    Returns:
        A tensor like `images` in shape, number format and memory format, without gaps.

    Raises:
        ValueError: if shapes, groups or the number format do not fit, or there are no pixels.
    """
    return _apply(images, weight, bias, groups, epsilon, silu=True)


def group_norm(images: Tensor, weight: Tensor, bias: Tensor, groups: int, epsilon: float) -> Tensor:
    """The group norm of `images [N, C, H, W]` without SiLU; otherwise as `group_norm_silu`.

    Raises:
        ValueError: if shapes, groups or the number format do not fit, or there are no pixels.
    """
    return _apply(images, weight, bias, groups, epsilon, silu=False)


def available(device: torch.device) -> bool:
    """True if the kernels can be compiled for this device and agree with torch; tried once for each device and process.

    Where a GPU cannot run them, one warning says why. The trial takes seconds the first time on a machine and waits for
    the device: call it before a CUDA graph is captured.
    """
    if device.type != "cuda" or not torch.cuda.is_available():
        return False
    return _passes_trial(device)


@dataclass(frozen=True)
class Tiling:
    """Division of a picture among programs: tiles of pixels by channels, and `steps` tiles of pixels to a part."""

    tile_pixels: int
    tile_channels: int
    pixel_tiles: int
    channel_tiles: int
    steps: int
    parts: int

    @property
    def part_pixels(self) -> int:
        """Pixels of every part but the last, which may have fewer."""
        return self.steps * self.tile_pixels

    @property
    def summing_programs(self) -> int:
        """Programs a picture that sum up parts."""
        return self.parts * self.channel_tiles

    @property
    def writing_programs(self) -> int:
        """Programs a picture that write the result, one a tile."""
        return self.pixel_tiles * self.channel_tiles


def choose_tiling(pixels: int, channels: int, channels_last: bool) -> Tiling:
    """The tiling for pictures of a given number of pixels and channels, with the rows of a tile in one piece in memory.

    It does not depend on the number of pictures, so that a picture's bytes do not depend on its batch.
    """
    if channels_last:
        tile_channels = min(_CHANNEL_RUN, _next_power_of_2(channels))
        tile_pixels = _TILE_ELEMENTS // tile_channels
    else:
        tile_pixels = min(_PIXEL_RUN, _next_power_of_2(pixels))
        tile_channels = _TILE_ELEMENTS // tile_pixels
    pixel_tiles, channel_tiles = -(-pixels // tile_pixels), -(-channels // tile_channels)
    steps = -(-pixel_tiles * channel_tiles // _SUMMING_PROGRAMS)
    parts = -(-pixel_tiles // steps)
    return Tiling(tile_pixels, tile_channels, pixel_tiles, channel_tiles, steps, parts)


def _next_power_of_2(number: int) -> int:
    return 1 << (number - 1).bit_length()


def _kernel(function: Callable[..., Any]) -> Any:  # noqa: ANN401 - Triton has no types
    """Compile a function by Triton when it is launched; without Triton it is never called."""
    if triton is None:
        return function
    # These two differ with each size of picture; code that is not made for their values serves all sizes.
    return triton.jit(function, do_not_specialize=["steps", "part_pixels"])


# Arguments of the kernels: `pixels` and `channels` of one picture, `PIXELS` and `CHANNELS` of one tile. Grids are
# (programs a picture, pictures), and (groups of all pictures) where parts are combined.


@_kernel
def _locate(channels: int, CHANNELS: tl.constexpr) -> tuple[tl.tensor, tl.tensor]:
    """Index of the part (or tile) of the pixels, and the channels; neighbouring programs share the pixels."""
    program = tl.program_id(0)
    channel_tiles = tl.cdiv(channels, CHANNELS)
    return program // channel_tiles, program % channel_tiles * CHANNELS + tl.arange(0, CHANNELS)


@_kernel
def _offsets(
    pixel: tl.tensor, channel: tl.tensor, pixels: int, channels: int, CHANNELS_LAST: tl.constexpr
) -> tuple[tl.tensor, tl.tensor]:
    """Offsets `[pixel, channel]` from the start of all pictures, and a mask of the elements that exist."""
    start = tl.program_id(1).to(tl.int64) * pixels * channels
    if CHANNELS_LAST:
        offset = start + pixel.to(tl.int64)[:, None] * channels + channel[None, :]
    else:
        offset = start + channel.to(tl.int64)[None, :] * pixels + pixel[:, None]
    return offset, (pixel < pixels)[:, None] & (channel < channels)[None, :]


@_kernel
def _load_channels(
    mean: tl.tensor,
    rstd: tl.tensor,
    weight: tl.tensor,
    bias: tl.tensor,
    channel: tl.tensor,
    channels: int,
    group_size: int,
) -> tuple[tl.tensor, tl.tensor, tl.tensor, tl.tensor]:
    """Mean, rstd, weight and bias of each channel as rows `[1, channel]`."""
    exists = channel < channels
    group = tl.program_id(1) * (channels // group_size) + channel // group_size
    return (
        tl.load(mean + group, mask=exists, other=0.0)[None, :],
        tl.load(rstd + group, mask=exists, other=0.0)[None, :],
        tl.load(weight + channel, mask=exists, other=0.0).to(tl.float32)[None, :],
        tl.load(bias + channel, mask=exists, other=0.0).to(tl.float32)[None, :],
    )


@_kernel
def _store_part(
    first: tl.tensor,
    second: tl.tensor,
    first_sums: tl.tensor,
    second_sums: tl.tensor,
    part: tl.tensor,
    parts: int,
    channel: tl.tensor,
    channels: int,
) -> None:
    """Store two numbers of each channel in `[N, C, parts]`, where the parts of a group lie in one piece."""
    place = (tl.program_id(1).to(tl.int64) * channels + channel) * parts + part
    tl.store(first_sums + place, first, mask=channel < channels)
    tl.store(second_sums + place, second, mask=channel < channels)


@_kernel
def _sum_moments(
    images: tl.tensor,
    part_means: tl.tensor,
    part_squares: tl.tensor,
    pixels: int,
    channels: int,
    parts: int,
    steps: int,
    CHANNELS_LAST: tl.constexpr,
    PIXELS: tl.constexpr,
    CHANNELS: tl.constexpr,
) -> None:
    """Mean and sum of squared deviations of each channel in a part: Welford for each place of the tile, then Chan."""
    part, channel = _locate(channels, CHANNELS)
    mean = tl.zeros((PIXELS, CHANNELS), tl.float32)
    squares = tl.zeros((PIXELS, CHANNELS), tl.float32)
    counts = tl.zeros((PIXELS,), tl.float32)
    for step in range(steps):
        pixel = (part * steps + step) * PIXELS + tl.arange(0, PIXELS)
        offset, exists = _offsets(pixel, channel, pixels, channels, CHANNELS_LAST)
        value = tl.load(images + offset, mask=exists, other=0.0).to(tl.float32)
        deviation = tl.where(exists, value - mean, 0.0)
        mean += deviation * (1.0 / (step + 1))
        squares += deviation * (value - mean)
        counts += (pixel < pixels).to(tl.float32)
    counts = counts[:, None]
    part_mean = tl.sum(mean * counts, axis=0) / tl.sum(counts)
    deviation = mean - part_mean[None, :]
    part_square = tl.sum(squares + counts * deviation * deviation, axis=0)
    _store_part(part_mean, part_square, part_means, part_squares, part, parts, channel, channels)


@_kernel
def _combine_moments(
    part_means: tl.tensor,
    part_squares: tl.tensor,
    means: tl.tensor,
    rstds: tl.tensor,
    pixels: int,
    group_size: int,
    parts: int,
    part_pixels: int,
    epsilon: float,
    BLOCK: tl.constexpr,
) -> None:
    """Mean and 1 / standard deviation of a group from its channels' parts by Chan's formula."""
    group, count = tl.program_id(0), group_size * parts
    start = group.to(tl.int64) * count
    elements = 1.0 * pixels * group_size
    # Differences to one of the means lose no digits to an offset that all of them share.
    reference = tl.load(part_means + start)
    differences = tl.zeros((BLOCK,), tl.float32)
    for first in range(0, count, BLOCK):
        index = first + tl.arange(0, BLOCK)
        weight = tl.minimum(pixels - index % parts * part_pixels, part_pixels)
        part_mean = tl.load(part_means + start + index, mask=index < count, other=0.0)
        differences += tl.where(index < count, weight * (part_mean - reference), 0.0)
    mean = reference + tl.sum(differences) / elements
    squares = tl.zeros((BLOCK,), tl.float32)
    for first in range(0, count, BLOCK):
        index = first + tl.arange(0, BLOCK)
        weight = tl.minimum(pixels - index % parts * part_pixels, part_pixels)
        deviation = tl.load(part_means + start + index, mask=index < count, other=0.0) - mean
        part_square = tl.load(part_squares + start + index, mask=index < count, other=0.0)
        squares += tl.where(index < count, part_square + weight * deviation * deviation, 0.0)
    tl.store(means + group, mean)
    tl.store(rstds + group, 1.0 / tl.sqrt(tl.sum(squares) / elements + epsilon))


@_kernel
def _normalise(
    images: tl.tensor,
    results: tl.tensor,
    means: tl.tensor,
    rstds: tl.tensor,
    weights: tl.tensor,
    biases: tl.tensor,
    pixels: int,
    channels: int,
    group_size: int,
    SILU: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    PIXELS: tl.constexpr,
    CHANNELS: tl.constexpr,
) -> None:
    """The result for one tile."""
    pixel_tile, channel = _locate(channels, CHANNELS)
    mean, rstd, weight, bias = _load_channels(means, rstds, weights, biases, channel, channels, group_size)
    pixel = pixel_tile * PIXELS + tl.arange(0, PIXELS)
    offset, exists = _offsets(pixel, channel, pixels, channels, CHANNELS_LAST)
    value = tl.load(images + offset, mask=exists, other=0.0).to(tl.float32)
    result = (value - mean) * rstd * weight + bias
    if SILU:
        result *= tl.sigmoid(result)
    tl.store(results + offset, result.to(results.dtype.element_ty), mask=exists)


@_kernel
def _normal_and_gradient(
    images: tl.tensor,
    gradients: tl.tensor,
    offset: tl.tensor,
    exists: tl.tensor,
    mean: tl.tensor,
    rstd: tl.tensor,
    weight: tl.tensor,
    bias: tl.tensor,
    SILU: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor]:
    """The normalised elements of a tile, and the gradient to them: 0 where there is no element."""
    normal = (tl.load(images + offset, mask=exists, other=0.0).to(tl.float32) - mean) * rstd
    gradient = tl.load(gradients + offset, mask=exists, other=0.0).to(tl.float32)
    if SILU:
        value = normal * weight + bias
        sigmoid = tl.sigmoid(value)
        gradient *= sigmoid * (1.0 + value * (1.0 - sigmoid))
    return normal, gradient * weight


@_kernel
def _sum_gradients(
    images: tl.tensor,
    gradients: tl.tensor,
    part_gradients: tl.tensor,
    part_products: tl.tensor,
    means: tl.tensor,
    rstds: tl.tensor,
    weights: tl.tensor,
    biases: tl.tensor,
    pixels: int,
    channels: int,
    group_size: int,
    parts: int,
    steps: int,
    SILU: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    PIXELS: tl.constexpr,
    CHANNELS: tl.constexpr,
) -> None:
    """Sums of the gradient to the normalised elements, and of its product with them, of each channel in a part."""
    part, channel = _locate(channels, CHANNELS)
    mean, rstd, weight, bias = _load_channels(means, rstds, weights, biases, channel, channels, group_size)
    gradient_sum = tl.zeros((PIXELS, CHANNELS), tl.float32)
    product_sum = tl.zeros((PIXELS, CHANNELS), tl.float32)
    for step in range(steps):
        pixel = (part * steps + step) * PIXELS + tl.arange(0, PIXELS)
        offset, exists = _offsets(pixel, channel, pixels, channels, CHANNELS_LAST)
        normal, gradient = _normal_and_gradient(images, gradients, offset, exists, mean, rstd, weight, bias, SILU)
        gradient_sum += gradient
        product_sum += gradient * normal
    _store_part(
        tl.sum(gradient_sum, axis=0),
        tl.sum(product_sum, axis=0),
        part_gradients,
        part_products,
        part,
        parts,
        channel,
        channels,
    )


@_kernel
def _combine_gradients(
    part_gradients: tl.tensor,
    part_products: tl.tensor,
    mean_gradients: tl.tensor,
    mean_products: tl.tensor,
    pixels: int,
    group_size: int,
    parts: int,
    BLOCK: tl.constexpr,
) -> None:
    """Means over a group of the gradients and products that `_sum_gradients` sums."""
    group, count = tl.program_id(0), group_size * parts
    start = group.to(tl.int64) * count
    gradient_sum = tl.zeros((BLOCK,), tl.float32)
    product_sum = tl.zeros((BLOCK,), tl.float32)
    for first in range(0, count, BLOCK):
        index = first + tl.arange(0, BLOCK)
        gradient_sum += tl.load(part_gradients + start + index, mask=index < count, other=0.0)
        product_sum += tl.load(part_products + start + index, mask=index < count, other=0.0)
    elements = 1.0 * pixels * group_size
    tl.store(mean_gradients + group, tl.sum(gradient_sum) / elements)
    tl.store(mean_products + group, tl.sum(product_sum) / elements)


@_kernel
def _propagate(
    images: tl.tensor,
    gradients: tl.tensor,
    results: tl.tensor,
    mean_gradients: tl.tensor,
    mean_products: tl.tensor,
    means: tl.tensor,
    rstds: tl.tensor,
    weights: tl.tensor,
    biases: tl.tensor,
    pixels: int,
    channels: int,
    group_size: int,
    SILU: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    PIXELS: tl.constexpr,
    CHANNELS: tl.constexpr,
) -> None:
    """The input gradient for one tile: `rstd * (g - mean(g) - x * mean(g * x))` of normalised x and its gradient g."""
    pixel_tile, channel = _locate(channels, CHANNELS)
    mean, rstd, weight, bias = _load_channels(means, rstds, weights, biases, channel, channels, group_size)
    mean_gradient, mean_product, _, _ = _load_channels(
        mean_gradients, mean_products, weights, biases, channel, channels, group_size
    )
    pixel = pixel_tile * PIXELS + tl.arange(0, PIXELS)
    offset, exists = _offsets(pixel, channel, pixels, channels, CHANNELS_LAST)
    normal, gradient = _normal_and_gradient(images, gradients, offset, exists, mean, rstd, weight, bias, SILU)
    result = (gradient - mean_gradient - normal * mean_product) * rstd
    tl.store(results + offset, result.to(results.dtype.element_ty), mask=exists)


class _GroupNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own untyped context
        images: Tensor,
        weight: Tensor,
        bias: Tensor,
        groups: int,
        epsilon: float,
        silu: bool,
    ) -> Tensor:
        layout = _layout(images)
        images = images.contiguous(memory_format=layout)
        count, channels, height, width = images.shape
        pixels, group_size = height * width, channels // groups
        tiling = choose_tiling(pixels, channels, layout is torch.channels_last)
        part_means, part_squares = _empty_parts(images, tiling)
        means, rstds = _empty_groups(images, groups)
        results = torch.empty_like(images)
        tiles = _tile_options(tiling, layout)
        with torch.cuda.device_of(images):  # type: ignore[no-untyped-call]
            _sum_moments[tiling.summing_programs, count](
                images, part_means, part_squares, pixels, channels, tiling.parts, tiling.steps, **tiles
            )
            _combine_moments[(count * groups,)](
                part_means,
                part_squares,
                means,
                rstds,
                pixels,
                group_size,
                tiling.parts,
                tiling.part_pixels,
                epsilon,
                BLOCK=_COMBINED_AT_ONCE,
                num_warps=8,
            )
            _normalise[tiling.writing_programs, count](
                images, results, means, rstds, weight, bias, pixels, channels, group_size, SILU=silu, **tiles
            )
        ctx.save_for_backward(images, weight, bias, means, rstds)
        ctx.layout, ctx.silu = layout, silu
        return results

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        images, weight, bias, means, rstds = ctx.saved_tensors
        gradient = gradients[0].contiguous(memory_format=ctx.layout)
        count, channels, height, width = images.shape
        groups = means.shape[1]
        pixels, group_size = height * width, channels // groups
        tiling = choose_tiling(pixels, channels, ctx.layout is torch.channels_last)
        part_gradients, part_products = _empty_parts(images, tiling)
        mean_gradients, mean_products = _empty_groups(images, groups)
        results = torch.empty_like(images)
        layer = (means, rstds, weight, bias, pixels, channels, group_size)
        tiles = _tile_options(tiling, ctx.layout)
        with torch.cuda.device_of(images):  # type: ignore[no-untyped-call]
            _sum_gradients[tiling.summing_programs, count](
                images,
                gradient,
                part_gradients,
                part_products,
                *layer,
                tiling.parts,
                tiling.steps,
                SILU=ctx.silu,
                **tiles,
            )
            _combine_gradients[(count * groups,)](
                part_gradients,
                part_products,
                mean_gradients,
                mean_products,
                pixels,
                group_size,
                tiling.parts,
                BLOCK=_COMBINED_AT_ONCE,
                num_warps=8,
            )
            _propagate[tiling.writing_programs, count](
                images, gradient, results, mean_gradients, mean_products, *layer, SILU=ctx.silu, **tiles
            )
        return results, None, None, None, None, None


def _apply(images: Tensor, weight: Tensor, bias: Tensor, groups: int, epsilon: float, silu: bool) -> Tensor:
    if images.dim() != 4 or not images.numel() or images.dtype not in _DTYPES:
        raise ValueError(f"no pictures [N, C, H, W] in {_DTYPES}: {list(images.shape)} in {images.dtype}")
    channels = images.shape[1]
    if groups < 1 or channels % groups or weight.shape != (channels,) or bias.shape != (channels,):
        raise ValueError(
            f"{groups} groups, weight {list(weight.shape)}, bias {list(bias.shape)} for {channels} channels"
        )
    return cast(Tensor, _GroupNorm.apply(images, weight, bias, groups, epsilon, silu))  # type: ignore[no-untyped-call]


def _layout(images: Tensor) -> torch.memory_format:
    """The memory format of pictures; of those with gaps or in another order, the one that they are brought to."""
    last = images.stride(1) == 1 and not images.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format


def _tile_options(tiling: Tiling, layout: torch.memory_format) -> dict[str, Any]:
    return {
        "CHANNELS_LAST": layout is torch.channels_last,
        "PIXELS": tiling.tile_pixels,
        "CHANNELS": tiling.tile_channels,
        "num_warps": 4,
    }


def _empty_parts(images: Tensor, tiling: Tiling) -> tuple[Tensor, Tensor]:
    shape = (*images.shape[:2], tiling.parts)
    return _empty(images, shape), _empty(images, shape)


def _empty_groups(images: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    shape = (len(images), groups)
    return _empty(images, shape), _empty(images, shape)


def _empty(images: Tensor, shape: tuple[int, ...]) -> Tensor:
    return torch.empty(shape, dtype=torch.float32, device=images.device)


@functools.cache
def _passes_trial(device: torch.device) -> bool:
    try:
        _run_trial(device)
    except Exception as exc:  # if compiler, driver or card fail in any way, torch's own kernels remain
        reason = " ".join(f"{type(exc).__name__}: {exc}".split())[:300]
        _LOG.warning("Group norms on %s use torch's kernels; a step takes up to twice as long (%s)", device, reason)
        return False
    return True


def _run_trial(device: torch.device) -> None:
    """Run the kernels both ways, in the half format of the device, on two small pictures.

    Raises:
        Exception: if that cannot be done or the result is not torch's.
    """
    if triton is None:
        raise RuntimeError("Triton is not installed")
    capability = torch.cuda.get_device_capability(device)
    if capability < _MIN_CAPABILITY:
        raise RuntimeError("the GPU's compute capability {}.{} is below {}.{}".format(*capability, *_MIN_CAPABILITY))
    dtype = torch.bfloat16 if capability >= (8, 0) else torch.float16
    with torch.inference_mode(False), torch.enable_grad():
        ramp = torch.arange(2 * 128 * 16 * 16, device=device, dtype=torch.float32)
        # Channels of a group differ in mean, and the gradient goes with the picture, so that each term counts.
        start = ((ramp * 0.7).sin() + (ramp * 0.005).sin()).view(2, 128, 16, 16).to(dtype)
        start = start.contiguous(memory_format=torch.channels_last)
        weight, bias = (ramp[:128] * 0.3).cos() + 1.0, (ramp[:128] * 0.5).sin()
        ours, plain = start.clone().requires_grad_(True), start.float().requires_grad_(True)
        result = group_norm_silu(ours, weight, bias, 32, 1e-6)
        expected = functional.silu(functional.group_norm(plain, 32, weight, bias, 1e-6))
        towards = ((ramp * 0.7 + 1.0).sin() + 0.5).view_as(start).to(dtype)
        (gradient,) = torch.autograd.grad(result, ours, towards)
        (expected_gradient,) = torch.autograd.grad(expected, plain, towards.float())
    for own, other in ((result, expected), (gradient, expected_gradient)):
        error = (own.float() - other).abs().max() / other.abs().max()
        if not error.item() <= _TRIAL_TOLERANCE:
            raise RuntimeError(f"the result is {error.item():.2g} away from torch's")
