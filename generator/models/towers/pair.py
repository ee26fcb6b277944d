"""A picture tower and a text tower with a tokenizer of its own, side by side: their vectors are of one space."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from generator.models.towers.bert import BertText
from generator.models.towers.siglip import SiglipText


class Pair(nn.Module):
    """A picture tower and a text tower.

    Attributes:
        visual: has `input_resolution`; takes normalised pictures `[N, 3, r, r]`.
        text: takes token ids `[N, L]`.
        dimension: D of the vectors of both.
    """

    def __init__(self, visual: nn.Module, text: SiglipText | BertText, dimension: int) -> None:
        """Join them; `dimension` is that of the picture tower.

        Raises:
            ValueError: if their vectors have different lengths.
        """
        super().__init__()
        if text.dimension != dimension:
            raise ValueError(f"its pictures become vectors of {dimension} numbers, its texts of {text.dimension}")
        self.visual, self.text, self.dimension = visual, text, dimension
        self.logit_scale = nn.Parameter(torch.empty(()))

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Return unnormalised features `[N, D]` of token ids `[N, L]`."""
        found: Tensor = self.text(tokens)
        return found
