"""Layers of frozen networks that keep as little as possible: values and input gradients as torch's, in fewer passes.

Runs on the thread that dreams. torch keeps a convolution's input even where its weights are frozen, and each of a
norm's, a swish's and a product's inputs; here a convolution keeps nothing but its weights, and a norm with its swish
keeps one tensor and computes the rest again. Layers compute in the format of their weights, whatever autocast says, and
a norm of half pictures adds up in float32, as torch's kernels do, but writes half again: on a GPU it is the passes over
memory that take the time. The plain versions are taming's and clip's own modules, which the tests hold these to.

On a CPU wide 3 x 3 convolutions in float32 go by Winograd's minimal filtering (`generator.models.winograd`). In
bfloat16 pictures lie in memory with their channels last there (`layout`): the processor's units for products of
matrices are reached at once, where torch else copies each picture before and after. For two operations whose way back
is very slow in torch there, the norm and attention, there are formulas of our own.
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

# Of a convolution with fewer output channels the gradient is faster as a convolution with the turned kernel.
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
        if len(weight) < _THIN_CHANNELS or winograd.suits(gradient, weight):
            order = layout(weight) if weight.is_cuda else torch.contiguous_format
            turned = weight.flip(2, 3).transpose(0, 1).contiguous(memory_format=order)
            return _convolved(gradient, turned, None), None, None
        padding = weight.shape[2] // 2
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
    """The order in memory of pictures that are like this tensor, or convolved with it, in device and number format.

    Channels last in half precision: on CPUs, and on GPUs whose norm keeps that order (`generator.models.kernels`).
    """
    if tensor.device.type == "cuda":
        half = tensor.dtype in (torch.bfloat16, torch.float16) and norm_kernels(tensor.device) is not None
    else:
        half = tensor.dtype == torch.bfloat16
    return torch.channels_last if half else torch.contiguous_format


def arrange(module: nn.Module, order: torch.memory_format) -> None:
    """Bring the weights of convolutions into an order in memory.

    For a kernel of 1 x 1 both orders have the same bytes, and torch keeps the strides of the wrong one; a GPU's library
    then takes the pictures for contiguous ones and copies them.
    """
    module.to(memory_format=order)  # type: ignore[call-overload]  # its stub knows no memory format alone
    for parameter in module.parameters():
        if order is torch.channels_last and parameter.is_cuda and parameter.dim() == 4:
            parameter.data = channels_last_strides(parameter.data)


def channels_last_strides(weight: Tensor) -> Tensor:
    """A kernel `[D, C, h, w]` that is channels last, with the strides that say so; the same memory."""
    _, channels, height, width = weight.shape
    return weight.as_strided(weight.shape, (channels * height * width, 1, channels * width, channels))


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention `[N, heads, L, C]` of queries `[N, heads, L, C]` to `M` keys and values `[N, heads, M, C]`."""
    if query.device.type == "cpu" and query.dtype == torch.bfloat16:
        chances = (query * query.shape[-1] ** -0.5 @ key.transpose(-1, -2)).softmax(dim=-1)
        return cast(Tensor, chances.to(value.dtype) @ value)
    return functional.scaled_dot_product_attention(query, key, value)


def convolve(images: Tensor, layer: nn.Conv2d) -> Tensor:
    """What a frozen convolution of stride 1 that keeps height and width gives; `[N, C, H, W]` in, `[N, D, H, W]` out.

    It keeps nothing of `images`.
    """
    weight, bias = layer.weight, layer.bias
    images = images.to(weight.dtype)
    return cast(
        Tensor,
        _Convolution.apply(images, weight, None if bias is None else bias.to(weight.dtype)),  # type: ignore[no-untyped-call]
    )


def norm_swish(images: Tensor, layer: nn.GroupNorm) -> Tensor:
    """`x * sigmoid(x)` of a frozen group norm of `images [N, C, H, W]`; it keeps nothing but `images`."""
    if (kernels := norm_kernels(images.device)) is not None:
        return cast(Tensor, kernels.group_norm_silu(images, layer.weight, layer.bias, layer.num_groups, layer.eps))
    images = images.contiguous(memory_format=layout(images))
    return cast(
        Tensor,
        _NormSwish.apply(images, layer.weight, layer.bias, layer.num_groups, layer.eps),  # type: ignore[no-untyped-call]
    )


def norm(images: Tensor, layer: nn.GroupNorm) -> Tensor:
    """A frozen group norm of `images [N, C, H, W]`: in their format by a kernel, in float32 elsewhere."""
    if (kernels := norm_kernels(images.device)) is not None:
        return cast(Tensor, kernels.group_norm(images, layer.weight, layer.bias, layer.num_groups, layer.eps))
    return functional.group_norm(images.float(), layer.num_groups, layer.weight, layer.bias, layer.eps)


def _norm_gradient(gradient: Tensor, images: Tensor, mean: Tensor, scale: Tensor, weight: Tensor) -> Tensor:
    """The input gradient of a group norm `weight * (x - mean) * scale` from that of its result, all in `[N, C, H, W]`.

    `mean` and `scale` are `[N, groups]`. It is one linear function of gradient and picture for each channel, with
    sums in float32.
    """
    count, channels = images.shape[:2]
    groups = mean.shape[1]
    elements = images[0].numel() // groups

    def in_groups(values: Tensor) -> Tensor:
        return values.view(count, groups, -1)

    mean, scale, weight = mean.float()[..., None], scale.float()[..., None], weight.float().expand(count, channels)

    def mean_of(values: Tensor) -> Tensor:
        # A product with ones adds up in float32, and many times as fast as torch's sum.
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
    if winograd.suits(images, weight):
        return winograd.convolve(images, weight, bias)
    return functional.conv2d(images, weight, bias, padding=weight.shape[2] // 2)
