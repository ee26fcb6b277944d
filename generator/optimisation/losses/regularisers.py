"""Losses of the latent, which hold it to its start or to zero."""

from __future__ import annotations

import torch.nn.functional as functional
from torch import Tensor


def anchor_loss(latent: Tensor, anchor: Tensor) -> Tensor:
    """`MSE(z, z0) / 2` between a latent and the one the dream started with, both `[N, C, h, w]`; a scalar.

    Source: `init_weight` of K. Crowson's notebook, arXiv 2204.08583. Some forks compare with zero here, which pulls
    towards grey; that is `pull_loss`, a separate setting.
    """
    return functional.mse_loss(latent, anchor) / 2


def pull_loss(latent: Tensor) -> Tensor:
    """`MSE(z, 0) / 2` of a latent `[N, C, h, w]`; a scalar whose weight decays during the dream.

    Source: the "MSE regularised" variant of the VQGAN+CLIP notebook (jbustter), as kept by nerdyrodent/VQGAN-CLIP.
    """
    return latent.square().mean() / 2
