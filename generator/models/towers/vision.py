"""CLIP's vision transformer, frozen: `clip.model.VisionTransformer.forward` in fewer operations.

The modules with the weights are clip's own. Beside what `generator.models.towers.blocks` says, the last block computes
only the class token, the only one read (a thirteenth less arithmetic with ViT-B). None of it changes the result beyond
rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from generator.models.towers.blocks import patches_of, run_block


def embed(network: Any, images: Tensor) -> Tensor:  # noqa: ANN401 - clip has no types
    """Return unnormalised features `[N, D]` of normalised pictures `[N, 3, r, r]`."""
    patches = patches_of(network.conv1, images)
    place = network.positional_embedding
    first = (network.class_embedding + place[0]).to(patches.dtype).expand(len(patches), 1, -1)
    tokens = network.ln_pre(torch.cat([first, patches + place[1:].to(patches.dtype)], dim=1))
    *blocks, last = network.transformer.resblocks
    for block in blocks:
        tokens = run_block(block, tokens, tokens.shape[1])
    features: Tensor = network.ln_post(run_block(last, tokens, 1)[:, 0]) @ network.proj
    return features
