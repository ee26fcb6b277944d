"""Losses of prompts: distance between what the perceptor sees and what it should see."""

from __future__ import annotations

import torch
from torch import Tensor

# Beyond this share of the sphere's diameter the slope of arcsin goes to infinity.
_STEEPEST = 1 - 1e-6


def spherical_distance(first: Tensor, second: Tensor) -> Tensor:
    """Half the squared angle between unit vectors, `2 * arcsin(|u - v| / 2) ** 2`, in 0..pi^2 / 2.

    Args:
        first: unit vectors `[..., D]`.
        second: unit vectors `[..., D]`, broadcast against `first`.

    Returns:
        Distances `[...]`.

    Source: `spherical_dist_loss` of K. Crowson's notebooks, arXiv 2204.08583. We differ for opposite vectors:
    the ratio is held just under 1, as the derivative is infinite there.
    """
    chord: Tensor = torch.linalg.vector_norm(first - second, dim=-1)
    return 2 * (chord / 2).clamp(max=_STEEPEST).arcsin().square()


def prompt_losses(images: Tensor, targets: Tensor, weights: Tensor, stops: Tensor) -> Tensor:
    """Loss of each prompt, `|weight| * mean over cutouts of sign(weight) * distance`, `[P]`.

    Gradient flows only from cutouts whose `sign(weight) * distance` is above the prompt's stop.

    Args:
        images: unit vectors of the cutouts, `[N, D]`.
        targets: unit vectors of the prompts, `[P, D]`.
        weights: `[P]`; negative ones repel.
        stops: `[P]`; minus infinity never stops.

    Source: `Prompt` of K. Crowson's notebooks, arXiv 2204.08583. We differ in two ways: all prompts are computed at
    once, and the weights are used as given; `Targets` has normalised their sum to one.
    """
    signed = spherical_distance(images[:, None], targets[None]) * weights.sign()
    flowing = torch.where(signed > stops, signed, signed.detach())
    return flowing.mean(dim=0) * weights.abs()
