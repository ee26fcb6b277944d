"""Two operations whose gradient is not their derivative: straight-through quantisation and a clamp that lets back in.

Runs on the thread that dreams. Source of both: K. Crowson's VQGAN+CLIP notebook (`ReplaceGrad`, `ClampWithGrad`),
described in Crowson et al., "VQGAN-CLIP", arXiv 2204.08583; the straight-through estimator is Bengio et al.,
arXiv 1308.3432.
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
        ctx.low, ctx.high = low, high
        ctx.save_for_backward(values)
        return values.clamp(low, high)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        (values,) = ctx.saved_tensors
        gradient = gradients[0]
        # A descent step moves against the gradient: below the range only negative gradients lead back, above positive.
        blocked = ((values < ctx.low) & (gradient > 0)) | ((values > ctx.high) & (gradient < 0))
        return gradient.masked_fill(blocked, 0), None, None


def straight_through(latent: Tensor, quantised: Tensor) -> Tensor:
    """`quantised`, to the bit, with the gradient passed on to `latent` unchanged; both `[N, C, h, w]`.

    The usual `latent + (quantised - latent).detach()` rounds, so that the result is no longer a code vector.
    """
    return cast(Tensor, _StraightThrough.apply(latent, quantised.detach()))  # type: ignore[no-untyped-call]


def clamp_with_gradient(values: Tensor, low: float, high: float) -> Tensor:
    """`values` clamped to `low..high`; the gradient passes where a descent step would not leave the range further.

    The original writes the rule as `gradient * (gradient * (values - clamped) >= 0)`; this is the same, without the
    two products.
    """
    return cast(Tensor, _ClampWithGradient.apply(values, low, high))  # type: ignore[no-untyped-call]
