"""The two towers of a SigLIP, frozen.

Source: Zhai et al., "Sigmoid Loss for Language Image Pre-Training", arXiv 2303.15343; SigLIP 2 of a fixed size has the
same towers (Tschannen et al., arXiv 2502.14786). The picture tower has no class token: a learnt query, `probe`, attends
to all patches. The text tower has no causal mask and no mask for its padding, so texts are always padded to its full
length; it is read at its last token. GELU is the tanh form, as in transformers and in JAX, in which they were trained
(open_clip computes the exact one for some of them, which differs by less than 1e-3).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from generator.models.towers.blocks import (
    Attention,
    Block,
    Norm,
    Perceptron,
    attend_from,
    patches_of,
    run_block,
    run_perceptron,
)

LANDMARK = "visual.pool.probe"
"""A name that the state dict of such a model has, and no other."""
MEAN = DEVIATION = (0.5, 0.5, 0.5)
_EPSILON = 1e-6
USUAL_HEADS = {768: 12, 1024: 16, 1152: 16, 1536: 16}
"""Heads by width of all published ones."""


def _gelu() -> nn.Module:
    return nn.GELU(approximate="tanh")


class _Pool(nn.Module):
    """Attention of one learnt query to all patches."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.probe = nn.Parameter(torch.empty(width))
        self.attn, self.ln = Attention(width, heads), Norm(width, _EPSILON)
        self.mlp = Perceptron(width, hidden, _gelu())

    def forward(self, tokens: Tensor) -> Tensor:
        asking = self.probe.to(tokens.dtype).expand(len(tokens), 1, -1)
        found = attend_from(self.attn, asking, tokens)
        return (found + run_perceptron(self.mlp, self.ln(found)))[:, 0]


class SiglipVision(nn.Module):
    """Picture tower.

    Attributes:
        input_resolution: side, in pixels, of its square input.
        dimension: D of its features.
    """

    def __init__(self, width: int, heads: int, layers: int, patch: int, grid: int, hidden: tuple[int, int]) -> None:
        """Make room for its weights; `hidden` are the widths within a block and within the pool."""
        super().__init__()
        self.input_resolution, self.dimension = patch * grid, width
        self.conv1 = nn.Conv2d(3, width, patch, stride=patch)
        self.positional_embedding = nn.Parameter(torch.empty(grid**2, width))
        blocks = (Block(width, heads, hidden[0], _gelu(), _EPSILON) for _ in range(layers))
        self.transformer = nn.ModuleDict({"resblocks": nn.ModuleList(blocks)})
        self.ln_post, self.pool = Norm(width, _EPSILON), _Pool(width, heads, hidden[1])

    def forward(self, images: Tensor) -> Tensor:
        """Return unnormalised features `[N, D]` of normalised pictures `[N, 3, r, r]`."""
        patches = patches_of(self.conv1, images)
        tokens = patches + self.positional_embedding.to(patches.dtype)
        for block in self.transformer["resblocks"]:  # type: ignore[attr-defined]  # a ModuleList
            tokens = run_block(block, tokens, tokens.shape[1])
        found: Tensor = self.pool(self.ln_post(tokens))
        return found


class SiglipText(nn.Module):
    """Text tower.

    Attributes:
        context_length: tokens of every text, padding included.
        dimension: D of its features.
    """

    def __init__(
        self, width: int, heads: int, layers: int, hidden: int, rows: int, context: int, dimension: int
    ) -> None:
        super().__init__()
        self.context_length, self.dimension = context, dimension
        self.token_embedding = nn.Embedding(rows, width)
        self.positional_embedding = nn.Parameter(torch.empty(context, width))
        blocks = (Block(width, heads, hidden, _gelu(), _EPSILON) for _ in range(layers))
        self.transformer = nn.ModuleDict({"resblocks": nn.ModuleList(blocks)})
        self.ln_final, self.text_projection = Norm(width, _EPSILON), nn.Linear(width, dimension)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return unnormalised features `[N, D]` of padded token ids `[N, context_length]`."""
        rows = self.token_embedding(tokens)
        rows = rows + self.positional_embedding.to(rows.dtype)
        for block in self.transformer["resblocks"]:  # type: ignore[attr-defined]  # a ModuleList
            rows = run_block(block, rows, rows.shape[1])
        found: Tensor = self.text_projection(self.ln_final(rows[:, -1]))
        return found


def build_vision(state: Mapping[str, Tensor], heads: int | None) -> SiglipVision:
    """Build a picture tower for a state dict, whose shapes tell the rest.

    Raises:
        KeyError: if it has no such tower.
        ValueError: if the number of its heads is not known, or impossible.
    """
    kernel, places = state["visual.conv1.weight"], state["visual.positional_embedding"]
    width, first = len(kernel), "visual.transformer.resblocks.0.mlp.c_fc.weight"
    hidden = len(state[first]), len(state["visual.pool.mlp.c_fc.weight"])
    layers, grid = _layers(state, "visual."), round(len(places) ** 0.5)
    return SiglipVision(width, heads or usual_heads(width), layers, kernel.shape[-1], grid, hidden)


def build_text(state: Mapping[str, Tensor], heads: int | None) -> SiglipText:
    """Build a text tower, as `build_vision`.

    Raises:
        KeyError: if it has no such tower.
        ValueError: if the number of its heads is not known, or impossible.
    """
    table, places = state["text.token_embedding.weight"], state["text.positional_embedding"]
    width, hidden = table.shape[1], len(state["text.transformer.resblocks.0.mlp.c_fc.weight"])
    dimension, layers = len(state["text.text_projection.weight"]), _layers(state, "text.")
    return SiglipText(width, heads or usual_heads(width), layers, hidden, len(table), len(places), dimension)


def usual_heads(width: int) -> int:
    """Attention heads of the published towers of this width.

    Raises:
        ValueError: if none has it.
    """
    if width not in USUAL_HEADS:
        raise ValueError(f"no published SigLIP is {width} wide, so that its heads cannot be counted")
    return USUAL_HEADS[width]


def _layers(state: Mapping[str, Tensor], side: str) -> int:
    prefix = f"{side}transformer.resblocks."
    return len({name.removeprefix(prefix).partition(".")[0] for name in state if name.startswith(prefix)})
