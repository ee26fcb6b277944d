"""Looks of a style that small models cannot paint: pixel art, a line drawing, a watercolour. No model; any thread.

They change the picture that a dream begins with, so the VQGAN's codes follow them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

_PIXELS, _LEVELS = 24, 6
"""Squares along the shorter side of pixel art, and levels of each colour."""


def looking(image: Tensor, look: str, seed: int) -> Tensor:
    """An image `[1, 3, H, W] in 0..1` in a look: "pixels", "lines" or "watercolour"; as it is for others."""
    if look == "pixels":
        return _pixels(image)
    if look == "lines":
        return _lines(image)
    return _watercolour(image, seed) if look == "watercolour" else image


def _pixels(image: Tensor) -> Tensor:
    height, width = image.shape[2:]
    edge = max(1, min(height, width) // _PIXELS)
    small = functional.interpolate(image, (max(1, height // edge), max(1, width // edge)), mode="area")
    return functional.interpolate((small * _LEVELS).round() / _LEVELS, (height, width), mode="nearest")


def _lines(image: Tensor) -> Tensor:
    """Ink where the colours change, and where the picture is dark and something is drawn; white elsewhere."""
    soft = _blurred(image, 2)
    change = functional.max_pool2d(soft, 3, 1, 1) + functional.max_pool2d(-soft, 3, 1, 1)
    ink = ((change.amax(dim=1, keepdim=True) - 0.05) * 8).clamp(0, 1)
    return (1 - 0.85 * ink).expand(-1, 3, -1, -1)


def _watercolour(image: Tensor, seed: int) -> Tensor:
    """Thin colour on white paper, thicker here and there, with a darker rim where it ran together."""
    height, width = image.shape[2:]
    chance = torch.Generator().manual_seed(seed)
    spots = [torch.rand(1, 1, count, count, generator=chance) for count in (7, 23)]
    broad, fine = (
        functional.interpolate(spot, (height, width), mode="bicubic", align_corners=True).to(image.device)
        for spot in spots
    )
    soft = _blurred(image, max(2, min(height, width) // 85))
    rim = (image - soft).abs().amax(dim=1, keepdim=True)
    thick = ((broad + 0.5 * fine) / 1.5).clamp(0, 1)
    return (1 - (1 - soft) * (0.35 + 0.6 * thick) - 0.35 * rim).clamp(0, 1)


def _blurred(image: Tensor, reach: int) -> Tensor:
    padded = functional.pad(image, (reach, reach, reach, reach), mode="replicate")
    return functional.avg_pool2d(padded, 2 * reach + 1, 1)
