"""Compose planned pictures in batches on the device, as `training.compositor.Compositor` does one by one on a CPU.

All drawings and grounds lie in the device's memory. A drawing is resized and placed by two products with matrices that
hold Pillow's Lanczos weights, so a whole batch of layers of all sizes and places takes one operation.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from training.compositor import COLOURS, Layer, Plan
from training.drawings.raster import SIDE_PX
from training.drawings.store import Drawings
from training.scenes import SCENES

LOBES = 3
"""Of Pillow's Lanczos filter."""
LUMINANCE = (0.299, 0.587, 0.114)
LOADED_AT_ONCE, LAYERS_AT_ONCE = 128, 256
SMALLEST_PX = 8


class BatchCompositor:
    """Paint plans as `[N, 3, S, S] in 0..1` on a device.

    Args:
        drawings: all of them are loaded.
        grounds: pictures `[n, 256, 256, 3] uint8` of every scene.
        seed: of the choice among grounds.
    """

    def __init__(self, drawings: Drawings, grounds: dict[str, np.ndarray], device: str, seed: int = 0) -> None:
        self._device = device
        keys = [(concept, style) for concept in range(len(drawings.table)) for style in drawings.styles(concept)]
        self._sprites = torch.empty(len(keys), 4, SIDE_PX, SIDE_PX, dtype=torch.uint8, device=device)
        self._middles = torch.empty(len(keys), device=device)
        for rows in _parts(range(len(keys)), LOADED_AT_ONCE):
            sprites = torch.from_numpy(np.stack([drawings.sprite(*keys[row]) for row in rows])).to(device)
            part = slice(rows[0], rows[-1] + 1)
            self._sprites[part] = sprites.permute(0, 3, 1, 2)
            self._middles[part] = _middles(self._sprites[part])
        self._rows = {key: row for row, key in enumerate(keys)}
        self._grounds = {
            scene: [*torch.from_numpy(grounds[scene]).permute(0, 3, 1, 2).contiguous().to(device)] for scene in SCENES
        }
        self._colours = torch.tensor(list(COLOURS.values()), device=device) / 255
        self._rng = random.Random(seed)

    def paint(self, plans: Sequence[Plan], side_px: int) -> Tensor:
        """The pictures of plans."""
        return self.over(self.grounds(plans, side_px), plans)

    def sketches(self, plans: Sequence[Plan], side_px: int) -> Tensor:
        """The drawings of plans in their own colours on white."""
        white = torch.ones(len(plans), 3, side_px, side_px, device=self._device)
        return self.over(white, plans, coloured=False)

    def grounds(self, plans: Sequence[Plan], side_px: int) -> Tensor:
        """One of the pictures of each plan's scene, mirrored or not."""
        chosen = []
        for plan in plans:
            picture = self._rng.choice(self._grounds[plan.scene])
            chosen.append(picture.flip(-1) if self._rng.random() < 0.5 else picture)
        pictures = torch.stack(chosen).float().div(255)
        return pictures if side_px == SIDE_PX else F.interpolate(pictures, (side_px, side_px), mode="area")

    def over(self, pictures: Tensor, plans: Sequence[Plan], *, coloured: bool = True) -> Tensor:
        """Lay the drawings of plans over pictures `[N, 3, S, S]`."""
        out = pictures.clone()
        for depth in range(max((len(plan.layers) for plan in plans), default=0)):
            at = [number for number, plan in enumerate(plans) if len(plan.layers) > depth]
            for part in _parts(at, LAYERS_AT_ONCE):
                layers = [plans[number].layers[depth] for number in part]
                drawn = self._drawn(layers, out.shape[-1], coloured)
                rows = torch.tensor(part, device=self._device)
                out[rows] = drawn[:, :3] + (1 - drawn[:, 3:]) * out[rows]
        return out

    def covered(self, plans: Sequence[Plan], side_px: int) -> Tensor:
        """The largest share of each pixel that a drawing covers, `[N, 1, S, S] in 0..1`."""
        black = torch.zeros(len(plans), 1, side_px, side_px, device=self._device)
        for depth in range(max((len(plan.layers) for plan in plans), default=0)):
            at = [number for number, plan in enumerate(plans) if len(plan.layers) > depth]
            drawn = self._drawn([plans[number].layers[depth] for number in at], side_px, coloured=False)
            rows = torch.tensor(at, device=self._device)
            black[rows] = torch.maximum(black[rows], drawn[:, 3:])
        return black

    def _drawn(self, layers: Sequence[Layer], side_px: int, coloured: bool) -> Tensor:
        """Each layer alone on a transparent picture, premultiplied, `[M, 4, S, S]`."""
        rows = torch.tensor([self._rows[layer.concept, layer.style] for layer in layers], device=self._device)
        sprites = self._sprites[rows].float().div(255)
        if coloured:
            names = list(COLOURS)
            which = torch.tensor(
                [names.index(layer.colour) if layer.colour else -1 for layer in layers], device=self._device
            )
            painted = recoloured(sprites, self._colours[which], self._middles[rows])
            sprites = torch.where((which >= 0)[:, None, None, None], painted, sprites)
        alpha = sprites[:, 3:]
        sprites = torch.cat([sprites[:, :3] * alpha, alpha], dim=1)
        sizes = [max(SMALLEST_PX, round(layer.place.side * side_px)) for layer in layers]
        across, down = (
            placements(sizes, [round(centre * side_px - size / 2) for centre, size in zip(centres, sizes, strict=True)],
                       side_px, self._device)
            for centres in ([layer.place.x for layer in layers], [layer.place.y for layer in layers])
        )  # fmt: skip
        with torch.autocast(torch.device(self._device).type, enabled=False):
            placed = down[:, None] @ sprites @ across[:, None].transpose(-1, -2)
        placed = placed.clamp(0, 1)
        return torch.cat([torch.minimum(placed[:, :3], placed[:, 3:]), placed[:, 3:]], dim=1)


def recoloured(sprites: Tensor, target: Tensor, middles: Tensor) -> Tensor:
    """`training.compositor.recolour` for sprites `[M, 4, S, S] in 0..1`, with colours `[M, 3]` and middles `[M]`."""
    rgb, target = sprites[:, :3], target[:, :, None, None]
    light = torch.einsum("mchw,c->mhw", rgb, rgb.new_tensor(LUMINANCE))[:, None]
    middle = middles[:, None, None, None]
    dark = (light / middle).clamp(0, 1) * target
    bright = target + (1 - target) * ((light - middle) / (1 - middle)).clamp(0, 1) * 0.8
    painted = torch.where(light < middle, dark, bright)
    keep = ((0.2 - light) / 0.12).clamp(0, 1) * 0.8
    return torch.cat([painted * (1 - keep) + rgb * keep, sprites[:, 3:]], dim=1)


def placements(sizes: Sequence[int], starts: Sequence[int], side_px: int, device: str) -> Tensor:
    """Matrices `[M, side_px, 256]` that resize a row of 256 px to a size and put it at a start on a row of `side_px`.

    The weights are those of Pillow's Lanczos filter, which widens where it shrinks.
    """
    size, start = (
        torch.tensor(values, device=device, dtype=torch.float32)[:, None, None] for values in (sizes, starts)
    )
    at = torch.arange(side_px, device=device)[None, :, None] - start  # pixel of the resized row
    scale = SIDE_PX / size
    wide = scale.clamp_min(1)
    distance = (torch.arange(SIDE_PX, device=device)[None, None] + 0.5 - (at + 0.5) * scale) / wide
    weights = torch.sinc(distance) * torch.sinc(distance / LOBES) * (distance.abs() < LOBES)
    weights = weights / weights.sum(dim=-1, keepdim=True).abs().clamp_min(1e-6)
    return weights * ((at >= 0) & (at < size))


def _middles(sprites: Tensor) -> Tensor:
    """The middle luminance of the visible part of sprites `[M, 4, S, S] uint8`, as `recolour` bounds it."""
    light = torch.einsum("mchw,c->mhw", sprites[:, :3].float() / 255, torch.tensor(LUMINANCE, device=sprites.device))
    seen = torch.where(sprites[:, 3] > 128, light, math.nan).flatten(1)
    return seen.nanmedian(dim=1).values.nan_to_num(0.5).clamp(0.25, 0.8)


def _parts(items: Sequence[int], size: int) -> list[Sequence[int]]:
    return [items[first : first + size] for first in range(0, len(items), size)]


def read_grounds(path: Path) -> dict[str, np.ndarray]:
    """Grounds as `training.carry` unpacks them."""
    with np.load(path) as kept:
        return {scene: kept[scene] for scene in SCENES}
