"""Pixel grid: each cell of the latent is the colour of one large pixel, of a palette if there is one.

Source: the pixel drawer of pixray (D. White, after Dribnet's `pixeldrawer`), https://github.com/pixray/pixray. We
differ in plain tensors in place of a renderer of vector graphics.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as functional
from torch import Tensor


class PixelGrid:
    """Draw pixels of `side_px`, of any colour or of those of a palette, red, green and blue in 0..1."""

    latent_channels = 3
    local = True

    def __init__(self, side_px: int, palette: Sequence[tuple[float, float, float]], device: torch.device) -> None:
        self.factor = side_px
        self._palette = torch.tensor(palette, device=device) if palette else None
        self._device = device

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of pixels."""
        return height // self.factor, width // self.factor

    @property
    def codebook(self) -> Tensor:
        """Black and white."""
        return torch.tensor([[0.0] * 3, [1.0] * 3], device=self._device)

    def encode(self, images: Tensor) -> Tensor:
        """The mean colour of each pixel's place."""
        return functional.avg_pool2d(images, self.factor)

    def settle(self, latent: Tensor) -> Tensor:
        """The nearest colour of the palette for each pixel."""
        if self._palette is None:
            return latent.detach()
        # |pixel - colour|^2 without |pixel|^2, which is the same for every colour
        distances = torch.einsum("kc,nchw->nkhw", self._palette, latent.detach()) * -2
        distances = distances + self._palette.square().sum(dim=1)[:, None, None]
        return self._palette[distances.argmin(dim=1)].permute(0, 3, 1, 2)

    def decode(self, latent: Tensor, tiled: str = "") -> Tensor:
        """Each pixel at its full size."""
        return latent.repeat_interleave(self.factor, dim=2).repeat_interleave(self.factor, dim=3)

    def random(self, height: int, width: int, generator: torch.Generator) -> Tensor:
        """A random colour for each pixel."""
        return torch.rand(1, 3, height, width, generator=generator, device=generator.device)
