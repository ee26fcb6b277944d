"""Layers of frozen networks that keep as little as possible: values and input gradients as torch's, in fewer passes.

Runs on the thread that dreams. torch keeps a convolution's input even where its weights are frozen, and each of a
norm's, a swish's and a product's inputs; here a convolution keeps nothing but its weights, and a norm with its swish
keeps one tensor and computes the rest again. Layers compute in the format of their weights, whatever autocast says, and
a norm of half pictures adds up in float32, as torch's kernels do, but writes half again: on a GPU it is the passes over
memory that take the time. The plain versions are taming's and clip's own modules, which the tests hold these to.

On a CPU wide 3 x 3 convolutions go by Winograd's minimal filtering (`generator.winograd`).
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv2d_input

from generator import winograd

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
            return _convolved(gradient, weight.flip(2, 3).transpose(0, 1).contiguous(), None), None, None
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
        gradient, _, _ = torch.ops.aten.native_group_norm_backward(
            norm, images, mean, scale, weight, count, channels, area, groups, [True, False, False]
        )
        return gradient, None, None, None, None


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
    return cast(
        Tensor,
        _NormSwish.apply(images.contiguous(), layer.weight, layer.bias, layer.num_groups, layer.eps),  # type: ignore[no-untyped-call]
    )


def _convolved(images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if winograd.suits(images, weight):
        return winograd.convolve(images, weight, bias)
    return functional.conv2d(images, weight, bias, padding=weight.shape[2] // 2)
