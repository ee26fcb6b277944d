"""CLIP's vision transformer, frozen: `clip.model.VisionTransformer.forward` in fewer operations.

The modules with the weights are clip's own. Four differences, none of which changes the result beyond rounding: patches
are embedded by one product, whose backward pass is ten times as fast as the convolution's; the last block computes only
the class token, the only one read (a thirteenth less arithmetic with ViT-B); attention is torch's fused one, pictures
first; and QuickGELU, which is `silu(1.702 x) / 1.702`, moves its factors into the products around it, so that torch
keeps one tensor in place of three. A model with GELU as its activation keeps it.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from generator.models.layers import attend

_GELU_SLOPE = 1.702


def embed(network: Any, images: Tensor) -> Tensor:  # noqa: ANN401 - clip has no types
    """Return unnormalised features `[N, D]` of normalised pictures `[N, 3, r, r]`."""
    patches = _patches(network.conv1, images)
    place = network.positional_embedding
    first = (network.class_embedding + place[0]).to(patches.dtype).expand(len(patches), 1, -1)
    tokens = network.ln_pre(torch.cat([first, patches + place[1:].to(patches.dtype)], dim=1))
    *blocks, last = network.transformer.resblocks
    for block in blocks:
        tokens = _block(block, tokens, tokens.shape[1])
    features: Tensor = network.ln_post(_block(last, tokens, 1)[:, 0]) @ network.proj
    return features


def _patches(layer: Any, images: Tensor) -> Tensor:  # noqa: ANN401
    """Convolve non-overlapping square patches, as one product: `[N, L, C]`."""
    weight, side = layer.weight, layer.kernel_size[0]
    rows_n, columns_n = (length // side for length in images.shape[2:])
    squares = images.to(weight.dtype).reshape(*images.shape[:2], rows_n, side, columns_n, side)
    rows = squares.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(0, 2)
    return functional.linear(rows, weight.flatten(1), layer.bias).view(len(images), -1, len(weight))


def _block(block: Any, tokens: Tensor, wanted: int) -> Tensor:  # noqa: ANN401
    """Compute the first `wanted` of a block's tokens `[N, L, C]`."""
    kept = tokens[:, :wanted]
    kept = kept + _attention(block.attn, block.ln_1(tokens), wanted)
    return kept + _perceptron(block.mlp, block.ln_2(kept))


def _attention(layer: Any, tokens: Tensor, wanted: int) -> Tensor:  # noqa: ANN401
    width, weight, bias = layer.embed_dim, layer.in_proj_weight, layer.in_proj_bias
    if wanted == tokens.shape[1]:
        query, key, value = functional.linear(tokens, weight, bias).chunk(3, dim=2)
    else:
        query = functional.linear(tokens[:, :wanted].contiguous(), weight[:width], bias[:width])
        key, value = functional.linear(tokens, weight[width:], bias[width:]).chunk(2, dim=2)
    query, key, value = (
        part.view(*part.shape[:2], layer.num_heads, -1).transpose(1, 2) for part in (query, key, value)
    )
    mixed = attend(query, key, value).transpose(1, 2).flatten(2)
    return functional.linear(mixed, layer.out_proj.weight, layer.out_proj.bias)


def _perceptron(layer: Any, tokens: Tensor) -> Tensor:  # noqa: ANN401
    rows = tokens.flatten(0, 1)
    inner, outer = layer.c_fc, layer.c_proj
    if isinstance(layer.gelu, nn.GELU):
        return cast(Tensor, outer(functional.gelu(inner(rows)))).view(tokens.shape)
    hidden = torch.addmm(inner.bias, rows, inner.weight.t(), beta=_GELU_SLOPE, alpha=_GELU_SLOPE)
    result = torch.addmm(outer.bias, functional.silu(hidden), outer.weight.t(), alpha=1 / _GELU_SLOPE)
    return result.view(tokens.shape)
