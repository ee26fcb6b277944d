"""Custom autograd functions: straight-through, a clamp with gradient, precomputed gradients and a fast local mean.

The first two are not true derivatives. Source of both: K. Crowson's VQGAN+CLIP notebook (`ReplaceGrad`,
`ClampWithGrad`), described in Crowson et al., "VQGAN-CLIP", arXiv 2204.08583; the straight-through estimator is Bengio
et al., arXiv 1308.3432.
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
        # Descent moves against the gradient: below the range only a negative one points back inside, above only a
        # positive.
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
    """Sum each pixel and its neighbours, zero outside the image; its own adjoint."""
    rows = images.clone(memory_format=torch.contiguous_format)
    rows[..., 1:].add_(images[..., :-1])
    rows[..., :-1].add_(images[..., 1:])
    sums = rows.clone()
    sums[..., 1:, :].add_(rows[..., :-1, :])
    sums[..., :-1, :].add_(rows[..., 1:, :])
    return sums


def straight_through(latent: Tensor, quantised: Tensor) -> Tensor:
    """Return `quantised`, bit for bit, and pass the gradient to `latent` unchanged; both `[N, C, h, w]`.

    The usual `latent + (quantised - latent).detach()` rounds, so its result is not exactly a code vector.
    """
    return cast(Tensor, _StraightThrough.apply(latent, quantised.detach()))  # type: ignore[no-untyped-call]


def clamp_with_gradient(values: Tensor, low: float, high: float) -> Tensor:
    """Clamp `values` to `low..high`; the gradient passes unless a descent step would move further out of the range."""
    return cast(Tensor, _ClampWithGradient.apply(values, low, high))  # type: ignore[no-untyped-call]


def with_gradient(values: Tensor, result: Tensor, gradient: Tensor) -> Tensor:
    """Return the scalar `result` of a function of `values` whose gradient, shaped like `values`, is already known."""
    known = _WithGradient.apply(values, result.detach(), gradient)  # type: ignore[no-untyped-call]
    return cast(Tensor, known)


def local_means(images: Tensor) -> Tensor:
    """Mean of each pixel's 3 x 3 neighbourhood, at the border over the pixels that exist; `[N, C, H, W]`.

    Equal to `avg_pool2d(images, 3, 1, 1, count_include_pad=False)`, whose forward and backward passes together take
    several times as long on a CPU.
    """
    return cast(Tensor, _LocalMeans.apply(images))  # type: ignore[no-untyped-call]
