"""Fourier picture: the latent is the spectrum of a picture in decorrelated colours.

Source: Olah, Mordvintsev and Schubert, "Feature Visualization", Distill 2017, and its library lucid (`fft_image`,
`color_correlation_svd_sqrt`): frequencies are scaled so that each takes an equal part in the first steps.
"""

from __future__ import annotations

import torch
from torch import Tensor

_COLOURS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
"""Square root of the correlation of natural pictures' colours; scaled so that the longest column has the length 1."""
_STRENGTH = 0.25
_NOISE = 0.01
_BOUND = 1e4
_NEAREST_EDGE = 0.02


class FourierPicture:
    """Draw pictures from their spectrum: real parts of three channels, then imaginary parts. Pictures have no seam."""

    factor = 2
    latent_channels = 6
    local = False

    def __init__(self, device: torch.device) -> None:
        colours = torch.tensor(_COLOURS, dtype=torch.float64)
        colours = colours / colours.norm(dim=0).max()
        self._colours = colours.float().to(device)
        self._separate = torch.linalg.inv(colours).float().to(device)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the spectrum of a real picture."""
        return height, width // 2 + 1

    @property
    def codebook(self) -> Tensor:
        """Bounds that are never reached."""
        return torch.tensor([[-_BOUND] * 6, [_BOUND] * 6], device=self._colours.device)

    def encode(self, images: Tensor) -> Tensor:
        """The spectrum of images; black and white become nearly black and nearly white."""
        values = torch.logit(images.clamp(_NEAREST_EDGE, 1 - _NEAREST_EDGE))
        values = torch.einsum("ij,njhw->nihw", self._separate, values) / _STRENGTH
        spectrum = torch.fft.rfft2(values, norm="ortho") / self._scale(*images.shape[2:])
        return torch.cat([spectrum.real, spectrum.imag], dim=1)

    def settle(self, latent: Tensor) -> Tensor:
        """Every spectrum may be drawn."""
        return latent.detach()

    def decode(self, latent: Tensor, tiled: str = "") -> Tensor:
        """Draw a spectrum."""
        height, width = latent.shape[2], 2 * (latent.shape[3] - 1)
        spectrum = torch.complex(latent[:, :3], latent[:, 3:]) * self._scale(height, width)
        values = torch.fft.irfft2(spectrum, s=(height, width), norm="ortho") * _STRENGTH
        return torch.einsum("ij,njhw->nihw", self._colours, values).sigmoid()

    def random(self, height: int, width: int, generator: torch.Generator) -> Tensor:
        """A grey picture with faint noise of every frequency."""
        return torch.randn(1, 6, height, width, generator=generator, device=generator.device) * _NOISE

    def _scale(self, height: int, width: int) -> Tensor:
        device = self._colours.device
        down, across = torch.fft.fftfreq(height, device=device)[:, None], torch.fft.rfftfreq(width, device=device)
        frequency: Tensor = (down.square() + across.square()).sqrt()
        return frequency.clamp(min=1 / max(height, width)).reciprocal()
