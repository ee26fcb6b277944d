"""Text towers of the BERT family, frozen: XLM-RoBERTa, RoBERTa, BERT and DistilBERT with a mean over their tokens.

Sources: Devlin et al., arXiv 1810.04805; Conneau et al., arXiv 1911.02116; Sanh et al., arXiv 1910.01108. They read
prompts in many languages for the picture tower of a CLIP: OpenCLIP's `xlm-roberta-base-ViT-B-32` was trained with its
own, others were taught the vectors of a CLIP's English texts (Carlsson et al., "Cross-lingual and Multilingual CLIP",
LREC 2022; Reimers and Gurevych, arXiv 2004.09813). Norms come after the parts of a block, padding is not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from generator.models.towers.blocks import Block, Norm, attend_within, run_perceptron

LANDMARK = "text.ln_pre.weight"
"""A name that the state dict of a model with such a tower has, and no other."""
USUAL_WIDTHS = (768, 1024)
_HEAD_WIDTH = 64


@dataclass(frozen=True)
class Family:
    """Facts that the weights do not tell.

    Attributes:
        padding: id of the token that fills up a text.
        first_place: row of the first token in the table of positions.
        epsilon: of its norms.
    """

    padding: int
    first_place: int
    epsilon: float


FAMILIES: Mapping[str, Family] = {"roberta": Family(1, 2, 1e-5), "bert": Family(0, 0, 1e-12)}


class BertText(nn.Module):
    """Text tower.

    Attributes:
        context_length: most tokens of a text, with the marks of its start and end.
        dimension: D of its features.
    """

    def __init__(
        self, family: Family, width: int, heads: int, layers: int, hidden: int, rows: int, places: int, context: int
    ) -> None:
        """Make room for its weights; `places` are the rows of its table of positions."""
        super().__init__()
        self._family = family
        self.context_length = min(context, places - family.first_place)
        self.token_embedding = nn.Embedding(rows, width)
        self.positional_embedding = nn.Parameter(torch.empty(places, width))
        self.type_embedding: nn.Parameter | None = None
        self.ln_pre = Norm(width, family.epsilon)
        blocks = (Block(width, heads, hidden, nn.GELU(), family.epsilon) for _ in range(layers))
        self.transformer = nn.ModuleDict({"resblocks": nn.ModuleList(blocks)})
        self.proj = nn.Sequential()

    @property
    def dimension(self) -> int:
        """D of its features."""
        last = self.proj[-1] if len(self.proj) else None
        return last.out_features if isinstance(last, nn.Linear) else self.token_embedding.embedding_dim

    def forward(self, tokens: Tensor) -> Tensor:
        """Return unnormalised features `[N, D]` of token ids `[N, L]`, padded to the longest text."""
        seen = tokens != self._family.padding
        first = self._family.first_place
        rows = self.token_embedding(tokens)
        rows = rows + self.positional_embedding[first : first + tokens.shape[1]].to(rows.dtype)
        if self.type_embedding is not None:
            rows = rows + self.type_embedding.to(rows.dtype)
        rows = self.ln_pre(rows)
        for block in self.transformer["resblocks"]:  # type: ignore[attr-defined]  # a ModuleList
            rows = block.ln_1(rows + attend_within(block.attn, rows, seen[:, None, None]))
            rows = block.ln_2(rows + run_perceptron(block.mlp, rows))
        shares = seen / seen.sum(dim=1, keepdim=True)
        pooled = (rows.float() * shares[..., None]).sum(dim=1).to(rows.dtype)
        found: Tensor = self.proj(pooled)
        return found


def build_text(state: Mapping[str, Tensor], family: str, heads: int | None, context: int) -> BertText:
    """Build a text tower for a state dict, whose shapes tell the rest.

    Raises:
        KeyError: if it has no such tower, or for an unknown family.
        ValueError: if the number of its heads is not known, or impossible.
    """
    table, places = state["text.token_embedding.weight"], state["text.positional_embedding"]
    width, prefix = table.shape[1], "text.transformer.resblocks."
    layers = len({name.removeprefix(prefix).partition(".")[0] for name in state if name.startswith(prefix)})
    hidden = len(state[f"{prefix}0.mlp.c_fc.weight"])
    if heads is None:
        if width not in USUAL_WIDTHS:
            raise ValueError(f"heads of a text tower {width} wide cannot be counted")
        heads = width // _HEAD_WIDTH
    tower = BertText(FAMILIES[family], width, heads, layers, hidden, len(table), len(places), context)
    if "text.type_embedding" in state:
        tower.type_embedding = nn.Parameter(torch.empty(width))
    for number in sorted({int(name.split(".")[2]) for name in state if name.startswith("text.proj.")}):
        if number:
            tower.proj.append(nn.GELU())
        weight, bias = state[f"text.proj.{number}.weight"], f"text.proj.{number}.bias" in state
        tower.proj.append(nn.Linear(weight.shape[1], weight.shape[0], bias=bias))
    return tower
