"""The losses of the dream, each with its source. Runs on the thread that dreams.

Nothing here reads a value back to the host: weights and stops are tensors.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

# Past this share of the sphere's diameter arcsin's slope goes to infinity.
_STEEPEST = 1 - 1e-6


def spherical_distance(first: Tensor, second: Tensor) -> Tensor:
    """Half the squared angle between unit vectors, `2 * arcsin(|u - v| / 2) ** 2`, in 0..pi^2 / 2.

    Args:
        first: unit vectors `[..., D]`.
        second: unit vectors `[..., D]`, broadcast against `first`.

    Returns:
        Distances `[...]`.

    Source: `spherical_dist_loss` of K. Crowson's notebooks, arXiv 2204.08583. We differ where the vectors are opposite:
    the ratio is held just under 1, as the derivative is infinite there.
    """
    chord: Tensor = torch.linalg.vector_norm(first - second, dim=-1)
    return 2 * (chord / 2).clamp(max=_STEEPEST).arcsin().square()


def prompt_losses(images: Tensor, targets: Tensor, weights: Tensor, stops: Tensor) -> Tensor:
    """The loss of each prompt, `|weight| * mean over cutouts of sign(weight) * distance`, `[P]`.

    Gradient flows only from cutouts whose `sign(weight) * distance` is above the prompt's stop.

    Args:
        images: unit vectors of the cutouts, `[N, D]`.
        targets: unit vectors of the prompts, `[P, D]`.
        weights: `[P]`, negative ones push away.
        stops: `[P]`, minus infinity never stops.

    Source: `Prompt` of K. Crowson's notebooks, arXiv 2204.08583. We differ in taking all prompts at once, and in that
    the weights are used as given; `Targets` has brought their sum to one.
    """
    signed = spherical_distance(images[:, None], targets[None]) * weights.sign()
    flowing = torch.where(signed > stops, signed, signed.detach())
    return flowing.mean(dim=0) * weights.abs()


def total_variation(images: Tensor) -> Tensor:
    """Mean squared difference between neighbouring pixels of images `[N, 3, H, W]`; a scalar.

    Source: Mahendran and Vedaldi, "Understanding Deep Image Representations by Inverting Them", arXiv 1412.0035, with
    their beta = 2. We differ in taking means, so that the weight does not depend on the size.
    """
    across = (images[..., :, 1:] - images[..., :, :-1]).square().mean()
    down = (images[..., 1:, :] - images[..., :-1, :]).square().mean()
    return across + down


def anchor_loss(latent: Tensor, anchor: Tensor) -> Tensor:
    """`MSE(z, z0) / 2` between a latent and the one the dream began with, both `[N, C, h, w]`; a scalar.

    Source: `init_weight` of K. Crowson's notebook, arXiv 2204.08583. Some peers compare with zero here, which pulls
    towards grey; that is `pull_loss`, and a setting of its own.
    """
    return functional.mse_loss(latent, anchor) / 2


def pull_loss(latent: Tensor) -> Tensor:
    """`MSE(z, 0) / 2` of a latent `[N, C, h, w]`; a scalar, whose weight the dream lets decay.

    Source: the "MSE regularised" variant of the VQGAN+CLIP notebook (jbustter), as kept by nerdyrodent/VQGAN-CLIP.
    """
    return latent.square().mean() / 2
