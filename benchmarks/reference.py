"""Plain loop as the baseline for speed: VQGAN+CLIP in the manner of the public programs, rewritten.

Networks are the stock modules of taming and clip in float32, weights without gradients. Each crop is cut and resized by
a separate call, then each augmentation is a separate pass over all of them: mirror, sharpen, rotate and shift, tilt,
recolour through HSV, add noise. Losses and settings are those of `generator.optimisation.dream`. The networks see the
crops in one batch, like the public programs, or, with `one_crop_per_call`, one call per crop.

Sources of the structure: K. Crowson's notebooks (arXiv 2204.08583) and nerdyrodent/VQGAN-CLIP.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from generator.models.clip import DEVIATION, MEAN
from generator.models.vqgan import VQGAN
from generator.optimisation.autograd import clamp_with_gradient
from generator.optimisation.cutouts import MAX_HUE, MAX_SATURATION, MAX_SHIFT, MAX_TILT, MAX_TURN
from generator.optimisation.losses.matching import prompt_losses
from generator.optimisation.losses.picture import total_variation
from generator.optimisation.losses.regularisers import anchor_loss, pull_loss
from generator.optimisation.targets import Targets
from generator.settings import Settings


@dataclass(frozen=True)
class Seeing:
    """A stock image encoder of clip, with its input resolution."""

    network: nn.Module
    resolution: int


class PlainLoop:
    """One optimisation; `step` improves it once. Only Adam, no average and no coarse start."""

    def __init__(
        self,
        vqgan: VQGAN,
        eye: Seeing,
        targets: Targets,
        settings: Settings,
        start: Tensor,
        one_crop_per_call: bool = False,
    ) -> None:
        self._vqgan, self._eye, self._targets, self._settings = vqgan, eye, targets, settings
        self._one_crop_per_call = one_crop_per_call
        self.latent = start.detach().clone().requires_grad_(True)
        self._anchor = start.detach().clone()
        self._optimiser = torch.optim.Adam([self.latent], lr=settings.learning_rate)
        codebook = vqgan.codebook
        self._low = codebook.min(dim=0).values[None, :, None, None]
        self._high = codebook.max(dim=0).values[None, :, None, None]
        self._mean = torch.tensor(MEAN, device=start.device).view(1, 3, 1, 1)
        self._deviation = torch.tensor(DEVIATION, device=start.device).view(1, 3, 1, 1)

    def step(self) -> float:
        """One iteration of the loop; returns the loss, read back as the public programs do for their display."""
        self._optimiser.zero_grad(set_to_none=True)
        image = self.decode(self.latent)
        crops = augment(cut(image, self._eye.resolution, self._settings), self._settings)
        normal = (crops - self._mean) / self._deviation
        if self._one_crop_per_call:
            vectors = torch.cat([self._eye.network(one[None]) for one in normal])
        else:
            vectors = self._eye.network(normal)
        loss = self._loss(image, functional.normalize(vectors, dim=-1))
        loss.backward()
        self._optimiser.step()
        with torch.no_grad():
            self.latent.copy_(self.latent.maximum(self._low).minimum(self._high))
        return loss.item()

    def decode(self, latent: Tensor) -> Tensor:
        """Decode the nearest codes to a picture `[1, 3, H, W] in 0..1`, straight through."""
        rows = latent.permute(0, 2, 3, 1).flatten(0, 2)
        codes = torch.cdist(rows, self._vqgan.codebook).argmin(dim=1)
        nearest = self._vqgan.codebook[codes].view(*latent.shape[2:], -1).permute(2, 0, 1)[None]
        through = latent + (nearest - latent).detach()
        decoded = self._vqgan.decoder(self._vqgan.post_quant_conv(through))
        return clamp_with_gradient((decoded + 1) / 2, 0, 1)

    def _loss(self, image: Tensor, vectors: Tensor) -> Tensor:
        settings, targets = self._settings, self._targets
        loss = prompt_losses(vectors, targets.vectors[0], targets.shares, targets.stops).sum()
        if settings.total_variation:
            loss = loss + settings.total_variation * total_variation(image)
        if settings.init_weight:
            loss = loss + settings.init_weight * anchor_loss(self.latent, self._anchor)
        if settings.pull:
            loss = loss + settings.pull * pull_loss(self.latent)
        return loss


def cut(image: Tensor, side: int, settings: Settings) -> Tensor:
    """Cut crops `[N, 3, side, side]` one after the other; the first ones are the whole picture."""
    height, width = image.shape[2:]
    short = min(height, width)
    crops = []
    for number in range(settings.cutouts):
        size = short
        if number >= round(settings.overview * settings.cutouts):
            share = float(torch.rand(())) ** settings.cut_power
            size = int(short * (settings.cut_min + (1 - settings.cut_min) * share))
        x = int(torch.randint(0, width - size + 1, ()))
        y = int(torch.randint(0, height - size + 1, ()))
        crops.append(functional.adaptive_avg_pool2d(image[:, :, y : y + size, x : x + size], side))
    return torch.cat(crops)


def augment(crops: Tensor, settings: Settings) -> Tensor:
    """Apply each augmentation to a random subset of the crops, in a separate pass, as kornia does."""
    crops = _some(crops, settings.flip, lambda some: some.flip(3))
    crops = _some(crops, settings.sharpness, _sharpened)
    crops = _some(crops, settings.affine, _turned)
    crops = _some(crops, settings.perspective, _tilted)
    crops = _some(crops, settings.colour, _recoloured)
    if settings.noise:
        strength = torch.rand(len(crops), 1, 1, 1, device=crops.device) * settings.noise
        crops = crops + strength * torch.randn_like(crops)
    return crops


def _some(crops: Tensor, share: float, change: Callable[[Tensor], Tensor]) -> Tensor:
    chosen = torch.rand(len(crops), device=crops.device) < share
    if not bool(chosen.any()):
        return crops
    changed = crops.clone()
    changed[chosen] = change(crops[chosen])
    return changed


def _sharpened(crops: Tensor) -> Tensor:
    kernel = torch.ones(3, 1, 3, 3, device=crops.device)
    kernel[:, :, 1, 1] = 5
    smooth = functional.conv2d(functional.pad(crops, (1, 1, 1, 1), mode="replicate"), kernel / 13, groups=3)
    return smooth + (crops - smooth) * (1 + _even(crops, 1)).view(-1, 1, 1, 1)


def _turned(crops: Tensor) -> Tensor:
    angle = _even(crops, MAX_TURN)
    top = torch.stack([angle.cos(), -angle.sin(), _even(crops, 2 * MAX_SHIFT)], dim=1)
    bottom = torch.stack([angle.sin(), angle.cos(), _even(crops, 2 * MAX_SHIFT)], dim=1)
    grid = functional.affine_grid(torch.stack([top, bottom], dim=1), list(crops.shape), align_corners=False)
    return functional.grid_sample(crops, grid, padding_mode="border", align_corners=False)


def _tilted(crops: Tensor) -> Tensor:
    count, side = len(crops), crops.shape[3]
    line = (torch.arange(side, device=crops.device) * 2 + 1) / side - 1
    down, across = torch.meshgrid(line, line, indexing="ij")
    square = torch.stack([across, down, torch.ones_like(across)]).view(3, -1)
    matrix = torch.eye(3, device=crops.device).repeat(count, 1, 1)
    matrix[:, 2, 0], matrix[:, 2, 1] = _even(crops, MAX_TILT), _even(crops, MAX_TILT)
    x, y, depth = (matrix @ square).unbind(1)
    grid = torch.stack([x / depth, y / depth], dim=2).view(count, side, side, 2)
    return functional.grid_sample(crops, grid, padding_mode="border", align_corners=False)


def _recoloured(crops: Tensor) -> Tensor:
    hue, saturation, value = _hsv(crops.clamp(0, 1))
    hue = (hue + _even(crops, MAX_HUE / (2 * math.pi)).view(-1, 1, 1)) % 1
    saturation = (saturation * (1 + _even(crops, MAX_SATURATION)).view(-1, 1, 1)).clamp(0, 1)
    return _rgb(hue, saturation, value)


def _hsv(crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    value, place = crops.max(dim=1)
    spread = value - crops.min(dim=1).values
    red, green, blue = crops.unbind(1)
    safe = torch.where(spread == 0, 1, spread)
    hues = torch.stack([(green - blue) / safe, (blue - red) / safe + 2, (red - green) / safe + 4], dim=1)
    hue = hues.gather(1, place[:, None])[:, 0] / 6 % 1
    return hue, spread / (value + 1e-8), value


def _rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    sixth = hue * 6
    part = sixth - sixth.floor()
    low, falling = value * (1 - saturation), value * (1 - saturation * part)
    rising = value * (1 - saturation * (1 - part))
    which = (sixth.floor().long() % 6)[:, None]
    red = torch.stack([value, falling, low, low, rising, value], dim=1).gather(1, which)
    green = torch.stack([rising, value, value, falling, low, low], dim=1).gather(1, which)
    blue = torch.stack([low, low, rising, value, value, falling], dim=1).gather(1, which)
    return torch.cat([red, green, blue], dim=1)


def _even(crops: Tensor, limit: float) -> Tensor:
    """A number for each crop, uniform from -limit to limit."""
    return (torch.rand(len(crops), device=crops.device) * 2 - 1) * limit
