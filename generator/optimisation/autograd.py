"""Gradients of our own: straight-through, a clamp that lets back in, ones known before, and a cheap local mean.

Runs on the thread that dreams. The first two are no derivatives; source of both: K. Crowson's VQGAN+CLIP notebook
(`ReplaceGrad`, `ClampWithGrad`), described in Crowson et al., "VQGAN-CLIP", arXiv 2204.08583; the straight-through
estimator is Bengio et al., arXiv 1308.3432.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, latent: Tensor, quantised: Tensor) -> Tensor:  # noqa: ANN401 - torch's own untyped context
        return quantised.view_as(quantised)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return gradients[0], None


class _ClampWithGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, low: float, high: float) -> Tensor:  # noqa: ANN401
        clamped = values.clamp(low, high)
        ctx.save_for_backward(values - clamped)
        return clamped

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        (beyond,) = ctx.saved_tensors
        # A descent step moves against the gradient: below the range only a negative one leads back, above a positive.
        return gradients[0].masked_fill(gradients[0] * beyond < 0, 0), None, None


class _LocalMeans(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(counts := _local_sums(torch.ones_like(images[:1, :1])))
        return _local_sums(images).div_(counts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ANN401
        (counts,) = ctx.saved_tensors
        return _local_sums(gradients[0] / counts)


class _WithGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, result: Tensor, gradient: Tensor) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(gradient)
        return result.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        (gradient,) = ctx.saved_tensors
        return gradients[0] * gradient, None, None


def _local_sums(images: Tensor) -> Tensor:
    """The sum of each pixel and its neighbours, beyond the border nothing; its own adjoint."""
    rows = images.clone(memory_format=torch.contiguous_format)
    rows[..., 1:].add_(images[..., :-1])
    rows[..., :-1].add_(images[..., 1:])
    sums = rows.clone()
    sums[..., 1:, :].add_(rows[..., :-1, :])
    sums[..., :-1, :].add_(rows[..., 1:, :])
    return sums


def straight_through(latent: Tensor, quantised: Tensor) -> Tensor:
    """`quantised`, to the bit, with the gradient passed on to `latent` unchanged; both `[N, C, h, w]`.

    The usual `latent + (quantised - latent).detach()` rounds, so that the result is no longer a code vector.
    """
    return cast(Tensor, _StraightThrough.apply(latent, quantised.detach()))  # type: ignore[no-untyped-call]


def clamp_with_gradient(values: Tensor, low: float, high: float) -> Tensor:
    """`values` clamped to `low..high`; the gradient passes where a descent step would not leave the range further."""
    return cast(Tensor, _ClampWithGradient.apply(values, low, high))  # type: ignore[no-untyped-call]


def with_gradient(values: Tensor, result: Tensor, gradient: Tensor) -> Tensor:
    """The scalar `result` of a function of `values` whose gradient, of the shape of `values`, is already known."""
    known = _WithGradient.apply(values, result.detach(), gradient)  # type: ignore[no-untyped-call]
    return cast(Tensor, known)


def local_means(images: Tensor) -> Tensor:
    """The mean of each pixel's 3 x 3 neighbourhood, at the border of what there is of it; `[N, C, H, W]`.

    The same as `avg_pool2d(images, 3, 1, 1, count_include_pad=False)`, whose two directions together take several
    times as long on a CPU.
    """
    return cast(Tensor, _LocalMeans.apply(images))  # type: ignore[no-untyped-call]
