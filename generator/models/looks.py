"""Looks of a style that small models cannot paint, or of which a thing has no drawing: filters of a composed picture.

They change the picture that a dream begins with, so the VQGAN's codes follow them. No model; any thread.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as functional
from torch import Tensor

DRAWN = frozenset(("lines", "stencil", "doodle", "flat", "clipart"))
"""Looks that some stored drawings have by themselves."""
_PIXELS, _LEVELS = 24, 6
"""Squares along the shorter side of pixel art, and levels of each colour."""
_FLAT_LEVELS = 4
_HATCH_PX, _BLUE = 7, (0.18, 0.42, 0.95)
_LIGHT = {"night": ((0.26, 0.3, 0.5), (0.0, 0.01, 0.06)), "sunset": ((0.92, 0.66, 0.56), (0.07, 0.02, 0.03))}
"""Share of each colour that is left at that time of day, and what comes to it."""
_SKY = 0.45
"""Share of a scene's height that its sky is seen in."""
_WINDOW, _LIGHTER, _LAMP = 18, 0.06, (1.0, 0.84, 0.46)
"""Windows are smaller than this share of the picture, and lighter than their wall by so much; their colour at night."""


def looking(image: Tensor, look: str, seed: int) -> Tensor:
    """An image `[1, 3, H, W] in 0..1` in a look; as it is for "" and names without a filter."""
    if look == "watercolour":
        return _watercolour(image, seed)
    if look == "doodle":
        return _doodle(image, seed)
    return _PLAIN[look](image) if look in _PLAIN else image


def lit(image: Tensor, light: str, sky: Tensor | None, *, windows: bool = False) -> Tensor:
    """An image `[1, 3, H, W]` of a scene at "night" or "sunset"; as it is for "".

    Args:
        image: the scene by day.
        light: the time of day.
        sky: a picture of the same size of that time of day, whose upper part lightens the image.
        windows: lamps are on at night in small places that are lighter than what is around them.
    """
    if light not in _LIGHT:
        return image
    share, glow = (image.new_tensor(values)[None, :, None, None] for values in _LIGHT[light])
    dimmed = (image * share + glow).clamp(0, 1)
    if windows and light == "night":
        level, reach = image.mean(dim=1, keepdim=True), min(image.shape[2:]) // _WINDOW // 2
        side = 2 * reach + 1
        wall = functional.max_pool2d(-functional.max_pool2d(-level, side, 1, reach), side, 1, reach)
        lamps = ((level - wall) / _LIGHTER - 0.4).clamp(0, 1)
        dimmed = dimmed.lerp(image.new_tensor(_LAMP)[None, :, None, None].expand_as(dimmed), lamps)
    if sky is None:
        return dimmed
    fading = (1 - torch.linspace(0, 1, image.shape[2], device=image.device) / _SKY).clamp(0, 1)[None, None, :, None]
    return torch.maximum(dimmed, sky * (fading * 2).clamp(max=1))


def _pixels(image: Tensor) -> Tensor:
    height, width = image.shape[2:]
    edge = max(1, min(height, width) // _PIXELS)
    small = functional.interpolate(image, (max(1, height // edge), max(1, width // edge)), mode="area")
    return functional.interpolate((small * _LEVELS).round() / _LEVELS, (height, width), mode="nearest")


def _lines(image: Tensor) -> Tensor:
    """Ink where the colours change; white elsewhere."""
    return (1 - 0.85 * _outlines(image)).expand(-1, 3, -1, -1)


def _outlines(image: Tensor) -> Tensor:
    """Where the colours change, `[1, 1, H, W]` in 0..1."""
    soft = _blurred(image, 2)
    change = functional.max_pool2d(soft, 3, 1, 1) + functional.max_pool2d(-soft, 3, 1, 1)
    return ((change.amax(dim=1, keepdim=True) - 0.05) * 8).clamp(0, 1)


def _stencil(image: Tensor) -> Tensor:
    """Black where the picture is darker than its middle, and along outlines; white elsewhere."""
    light = _blurred(image, 1).mean(dim=1, keepdim=True)
    dark = ((light.median().clamp(0.35, 0.6) - light) * 16 + 0.5).clamp(0, 1)
    return (1 - 0.9 * torch.maximum(dark, _outlines(image))).expand(-1, 3, -1, -1)


def _flat(image: Tensor) -> Tensor:
    """Few even colours, without shading."""
    return (_blurred(image, 2) * _FLAT_LEVELS).round() / _FLAT_LEVELS


def _clip_art(image: Tensor) -> Tensor:
    """Even colours and bold dark outlines."""
    ink = functional.max_pool2d(_outlines(image), 3, 1, 1)
    return _flat(image) * (1 - 0.9 * ink)


def _doodle(image: Tensor, seed: int) -> Tensor:
    """Shaky outlines in black ink, and what is dark hatched in blue."""
    height, width = image.shape[2:]
    chance = torch.Generator().manual_seed(seed)
    shift = functional.interpolate(
        torch.rand(1, 2, 9, 9, generator=chance) - 0.5, (height, width), mode="bicubic", align_corners=True
    ).to(image.device)
    around = torch.eye(2, 3, device=image.device)[None]
    grid = functional.affine_grid(around, [1, 1, height, width], align_corners=False)
    grid = grid + 0.03 * shift.permute(0, 2, 3, 1)
    ink = functional.max_pool2d(_outlines(image), 3, 1, 1)
    ink = functional.grid_sample(ink, grid, padding_mode="border", align_corners=False)
    dark = (_blurred(image, 2).mean(dim=1, keepdim=True) < 0.55).float()
    rows, columns = (torch.arange(side, device=image.device) for side in (height, width))
    hatch = ((rows[:, None] + columns) % _HATCH_PX < 2).float() * dark
    blue = image.new_tensor(_BLUE)[None, :, None, None]
    return (1 - hatch * (1 - blue)) * (1 - 0.9 * ink)


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


_PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "pixels": _pixels, "lines": _lines, "stencil": _stencil, "flat": _flat, "clipart": _clip_art,
}  # fmt: skip
