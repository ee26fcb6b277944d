"""Transformer blocks of perceptors' towers, frozen, in fewer operations than their packages take.

The functions work on clip.model's blocks and on those of this module, whose weights have the same names: attention is
torch's fused one, pictures first; patches are embedded by one product, whose backward pass is ten times as fast as the
convolution's; and QuickGELU, which is `silu(1.702 x) / 1.702`, moves its factors into the products around it, so that
torch keeps one tensor in place of three. Another activation stays as it is.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from generator.models.layers import attend

_GELU_SLOPE = 1.702


class Norm(nn.LayerNorm):
    """Layer norm that sums in float32 and keeps the format of its input."""

    def forward(self, rows: Tensor) -> Tensor:
        """Normalise the last dimension."""
        return super().forward(rows.float()).to(rows.dtype)


class Attention(nn.Module):
    """Weights of an attention, by the names of nn.MultiheadAttention."""

    def __init__(self, width: int, heads: int) -> None:
        """Make room for them; `heads` has to divide `width`."""
        super().__init__()
        if heads < 1 or width % heads:
            raise ValueError(f"{heads} heads do not divide {width} channels")
        self.embed_dim, self.num_heads = width, heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)


class Perceptron(nn.Module):
    """Weights of the two products after an attention, with the activation between them."""

    def __init__(self, width: int, hidden: int, activation: nn.Module) -> None:
        super().__init__()
        self.c_fc, self.gelu, self.c_proj = nn.Linear(width, hidden), activation, nn.Linear(hidden, width)


class Block(nn.Module):
    """Weights of a block; whether its norms come before or after its parts is up to the tower."""

    def __init__(self, width: int, heads: int, hidden: int, activation: nn.Module, epsilon: float) -> None:
        super().__init__()
        self.ln_1, self.attn = Norm(width, epsilon), Attention(width, heads)
        self.ln_2, self.mlp = Norm(width, epsilon), Perceptron(width, hidden, activation)


def run_block(block: Any, tokens: Tensor, wanted: int) -> Tensor:  # noqa: ANN401 - clip has no types
    """Compute the first `wanted` of the tokens `[N, L, C]` of a block with norms before its parts."""
    kept = tokens[:, :wanted]
    kept = kept + run_attention(block.attn, block.ln_1(tokens), wanted)
    return kept + run_perceptron(block.mlp, block.ln_2(kept))


def run_attention(layer: Any, tokens: Tensor, wanted: int) -> Tensor:  # noqa: ANN401
    """Let the first `wanted` of normalised tokens `[N, L, C]` attend to all."""
    if wanted == tokens.shape[1]:
        return attend_within(layer, tokens)
    return attend_from(layer, tokens[:, :wanted].contiguous(), tokens)


def attend_within(layer: Any, tokens: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: ANN401
    """Let tokens `[N, L, C]` attend to each other; `mask [N, 1, 1, L] bool` is true where to look."""
    query, key, value = functional.linear(tokens, layer.in_proj_weight, layer.in_proj_bias).chunk(3, dim=2)
    return _joined(layer, query, key, value, mask)


def attend_from(layer: Any, asking: Tensor, tokens: Tensor) -> Tensor:  # noqa: ANN401
    """Let tokens `[N, M, C]` attend to others `[N, L, C]`."""
    width, weight, bias = layer.embed_dim, layer.in_proj_weight, layer.in_proj_bias
    query = functional.linear(asking, weight[:width], bias[:width])
    key, value = functional.linear(tokens, weight[width:], bias[width:]).chunk(2, dim=2)
    return _joined(layer, query, key, value)


def _joined(layer: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: ANN401
    """Attend with all heads, and mix their results: `[N, M, C]`."""
    query, key, value = (
        part.view(*part.shape[:2], layer.num_heads, -1).transpose(1, 2) for part in (query, key, value)
    )
    if mask is None:
        mixed = attend(query, key, value)
    else:
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return functional.linear(mixed.transpose(1, 2).flatten(2), layer.out_proj.weight, layer.out_proj.bias)


def run_perceptron(layer: Any, tokens: Tensor) -> Tensor:  # noqa: ANN401
    """Apply both products and the activation to tokens `[N, L, C]`."""
    rows = tokens.flatten(0, 1)
    inner, outer = layer.c_fc, layer.c_proj
    if isinstance(layer.gelu, nn.GELU):
        return cast(Tensor, outer(layer.gelu(inner(rows)))).view(tokens.shape)
    hidden = torch.addmm(inner.bias, rows, inner.weight.t(), beta=_GELU_SLOPE, alpha=_GELU_SLOPE)
    result = torch.addmm(outer.bias, functional.silu(hidden), outer.weight.t(), alpha=1 / _GELU_SLOPE)
    return result.view(tokens.shape)


def patches_of(layer: Any, images: Tensor) -> Tensor:  # noqa: ANN401
    """Convolve non-overlapping square patches, as one product: `[N, L, C]`."""
    weight, side = layer.weight, layer.kernel_size[0]
    rows_n, columns_n = (length // side for length in images.shape[2:])
    squares = images.to(weight.dtype).reshape(*images.shape[:2], rows_n, side, columns_n, side)
    rows = squares.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(0, 2)
    return functional.linear(rows, weight.flatten(1), layer.bias).view(len(images), -1, len(weight))
