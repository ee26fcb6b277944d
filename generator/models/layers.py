"""Frozen layers that keep little memory: values and input gradients equal torch's, in fewer passes.

torch keeps a convolution's input even if its weights are frozen, and every input of a norm, a swish and a product. Here
a convolution keeps nothing but its weights, and a norm with its swish keeps one tensor and recomputes the rest. Layers
compute in the format of their weights, regardless of autocast. A norm of half-precision images sums in float32, like
torch's kernels, but writes half precision again: on a GPU the passes over memory dominate the time. Tests compare these
layers with taming's and clip's own modules.

On a CPU, wide 3 x 3 convolutions in float32 use Winograd's minimal filtering (`generator.models.winograd`). In
bfloat16, images are stored channels-last there (`layout`): the processor's matrix units can then be used directly,
while torch would otherwise copy each image before and after. Two operations whose backward pass is very slow in torch
there, norm and attention, have their own formulas.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv2d_input

from generator.models import winograd
from generator.models.kernels import norm_kernels

# With fewer output channels than this, the gradient is faster as a convolution with the flipped kernel.
_THIN_CHANNELS = 16


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # noqa: ANN401 - torch's own untyped context
        ctx.save_for_backward(weight)
        ctx.shape = images.shape
        return _convolved(images, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        (weight,) = ctx.saved_tensors
        gradient = gradients[0]
        if len(weight) < _THIN_CHANNELS or winograd.is_faster(gradient, weight):
            order = layout(weight) if weight.is_cuda else torch.contiguous_format
            turned = weight.flip(2, 3).transpose(0, 1).contiguous(memory_format=order)
            return _convolved(gradient, turned, None), None, None
        padding = weight.shape[2] // 2
        if gradient.is_cuda:  # the same operation as below, in the gradient's own order in memory
            return functional.conv_transpose2d(gradient, weight, padding=padding), None, None
        widened = conv2d_input(ctx.shape, weight, gradient, padding=padding)  # type: ignore[no-untyped-call]
        return widened, None, None


class _NormSwish(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        images: Tensor,
        weight: Tensor,
        bias: Tensor,
        groups: int,
        epsilon: float,
    ) -> Tensor:
        weight, bias = weight.to(images.dtype), bias.to(images.dtype)
        count, channels, height, width = images.shape
        norm, mean, scale = torch.native_group_norm(
            images, weight, bias, count, channels, height * width, groups, epsilon
        )
        ctx.save_for_backward(images, weight, bias, mean, scale)
        ctx.epsilon = epsilon
        return functional.silu(norm, inplace=True)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:  # noqa: ANN401
        images, weight, bias, mean, scale = ctx.saved_tensors
        count, channels, height, width = images.shape
        groups, area = mean.shape[1], height * width
        norm, _, _ = torch.native_group_norm(images, weight, bias, count, channels, area, groups, ctx.epsilon)
        torch.ops.aten.silu_backward.grad_input(gradients[0], norm, grad_input=norm)
        if layout(images) is torch.channels_last:
            return _norm_gradient(norm, images, mean, scale, weight), None, None, None, None
        gradient, _, _ = torch.ops.aten.native_group_norm_backward(
            norm, images, mean, scale, weight, count, channels, area, groups, [True, False, False]
        )
        return gradient, None, None, None, None


def layout(tensor: Tensor) -> torch.memory_format:
    """Memory order of images that match this tensor, or are convolved with it, in device and number format.

    Channels-last in half precision: on CPUs, and on GPUs whose norm keeps that order (`generator.models.kernels`).
    """
    if tensor.device.type == "cuda":
        half = tensor.dtype in (torch.bfloat16, torch.float16) and norm_kernels(tensor.device) is not None
    else:
        half = tensor.dtype == torch.bfloat16
    return torch.channels_last if half else torch.contiguous_format


def arrange(module: nn.Module, order: torch.memory_format) -> None:
    """Store the weights of convolutions in a memory order.

    A 1 x 1 kernel has the same bytes in both orders, and torch keeps the strides of the wrong one; a GPU library then
    takes the images for contiguous ones and copies them.
    """
    module.to(memory_format=order)  # type: ignore[call-overload]  # its stub lacks memory_format alone
    for parameter in module.parameters():
        if order is torch.channels_last and parameter.is_cuda and parameter.dim() == 4:
            parameter.data = channels_last_strides(parameter.data)


def channels_last_strides(weight: Tensor) -> Tensor:
    """Restride a channels-last kernel `[D, C, h, w]` explicitly as channels-last, in the same memory."""
    _, channels, height, width = weight.shape
    return weight.as_strided(weight.shape, (channels * height * width, 1, channels * width, channels))


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention `[N, heads, L, C]` of queries `[N, heads, L, C]` to `M` keys and values `[N, heads, M, C]`."""
    if query.device.type == "cpu" and query.dtype == torch.bfloat16:
        attention = (query * query.shape[-1] ** -0.5 @ key.transpose(-1, -2)).softmax(dim=-1)
        return cast(Tensor, attention.to(value.dtype) @ value)
    return functional.scaled_dot_product_attention(query, key, value)


def convolve(images: Tensor, layer: nn.Conv2d, tiled: str = "") -> Tensor:
    """Apply a frozen convolution of stride 1 that keeps height and width; `[N, C, H, W]` in, `[N, D, H, W]` out.

    It keeps nothing of `images`. Beyond their edges lies zero, but along the axes in `tiled`, letters of `xy`, the
    opposite edge.
    """
    weight, bias = layer.weight, layer.bias
    images = images.to(weight.dtype)
    reach = weight.shape[2] // 2
    if tiled and reach:
        result = convolve(wrapped(images, tiled, reach), layer)
        for axis in _axes(tiled):
            result = result.narrow(axis, reach, images.shape[axis])
        return result.contiguous(memory_format=layout(result))
    return cast(
        Tensor,
        _Convolution.apply(images, weight, None if bias is None else bias.to(weight.dtype)),  # type: ignore[no-untyped-call]
    )


def wrapped(images: Tensor, tiled: str, before: int, after: int | None = None) -> Tensor:
    """Continue images `[N, C, H, W]` along the axes in `tiled` by pixels of the opposite edges."""
    after = before if after is None else after
    for axis in _axes(tiled):
        size = images.shape[axis]
        images = torch.cat([images.narrow(axis, size - before, before), images, images.narrow(axis, 0, after)], axis)
    return images


def _axes(tiled: str) -> list[int]:
    return [{"x": 3, "y": 2}[letter] for letter in tiled]


def norm_swish(images: Tensor, layer: nn.GroupNorm) -> Tensor:
    """`x * sigmoid(x)` of a frozen group norm of `images [N, C, H, W]`; keeps only `images`."""
    if (kernels := norm_kernels(images.device)) is not None:
        return cast(Tensor, kernels.group_norm_silu(images, layer.weight, layer.bias, layer.num_groups, layer.eps))
    images = images.contiguous(memory_format=layout(images))
    return cast(
        Tensor,
        _NormSwish.apply(images, layer.weight, layer.bias, layer.num_groups, layer.eps),  # type: ignore[no-untyped-call]
    )


def norm(images: Tensor, layer: nn.GroupNorm) -> Tensor:
    """Frozen group norm of `images [N, C, H, W]`: in their format by a kernel, in float32 elsewhere."""
    if (kernels := norm_kernels(images.device)) is not None:
        return cast(Tensor, kernels.group_norm(images, layer.weight, layer.bias, layer.num_groups, layer.eps))
    return functional.group_norm(images.float(), layer.num_groups, layer.weight, layer.bias, layer.eps)


def _norm_gradient(gradient: Tensor, images: Tensor, mean: Tensor, scale: Tensor, weight: Tensor) -> Tensor:
    """Input gradient of a group norm `weight * (x - mean) * scale` from its result's gradient, all `[N, C, H, W]`.

    `mean` and `scale` are `[N, groups]`. The gradient is a linear function of gradient and image for each channel, with
    sums in float32.
    """
    count, channels = images.shape[:2]
    groups = mean.shape[1]
    elements = images[0].numel() // groups

    def in_groups(values: Tensor) -> Tensor:
        return values.view(count, groups, -1)

    mean, scale, weight = mean.float()[..., None], scale.float()[..., None], weight.float().expand(count, channels)

    def mean_of(values: Tensor) -> Tensor:
        # A product with ones sums in float32, many times as fast as torch's sum.
        rows = values.permute(0, 2, 3, 1).flatten(1, 2)
        sums = (rows.new_ones(count, 1, rows.shape[1]) @ rows)[:, 0].float()
        return in_groups(weight * sums).sum(dim=2, keepdim=True) / elements

    pull, twist = mean_of(gradient), mean_of(gradient * images)
    of_image = -(scale**3) * (twist - mean * pull)
    constant = -scale * pull - of_image * mean

    def per_channel(values: Tensor) -> Tensor:
        return values.expand(count, groups, channels // groups).reshape(count, channels, 1, 1).to(images.dtype)

    result = torch.addcmul(per_channel(constant), images, per_channel(of_image))
    return result.addcmul_(gradient, per_channel(scale * in_groups(weight)))


def _convolved(images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if winograd.is_faster(images, weight):
        return winograd.convolve(images, weight, bias)
    return functional.conv2d(images, weight, bias, padding=weight.shape[2] // 2)
