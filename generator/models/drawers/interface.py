"""The interface of a drawer: a picture described by numbers, which the loop changes without knowing what they mean."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class Drawer(Protocol):
    """Draws pictures from latents `[N, C, h, w]`; the VQGAN is one.

    Attributes:
        factor: each side of a picture is a multiple of it.
        latent_channels: C.
        local: each cell of the latent shows in its own part of the picture alone, or nearly.
    """

    factor: int
    latent_channels: int
    local: bool

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the latent of a picture of that size."""

    @property
    def codebook(self) -> Tensor:
        """Rows `[n, C]` whose least and largest values bound each channel of a latent."""

    def encode(self, images: Tensor) -> Tensor:
        """The latents that draw images `[N, 3, H, W] in 0..1`, as well as the drawer can."""

    def settle(self, latent: Tensor) -> Tensor:
        """The nearest latent that may be drawn: for a VQGAN of code vectors; no gradient."""

    def decode(self, latent: Tensor, tiled: str = "") -> Tensor:
        """Draw settled latents: images `[N, 3, H, W]`, about 0..1 but not clamped.

        The images continue themselves along the axes in `tiled`, letters of `xy`.
        """

    def random(self, height: int, width: int, generator: torch.Generator) -> Tensor:
        """A random latent with a grid of `height` x `width`."""
