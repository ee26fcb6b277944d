"""Batches of composed pictures as tensors, made in a worker process parallel to the training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from training.compositor import Compositor


@dataclass(frozen=True)
class Crops(IterableDataset[tuple[Tensor, Tensor]]):
    """Endless (input, target) crops `[3, C, C] in 0..1` for the VQGAN.

    Most come from pictures of `side_px`; `share_large` from pictures of twice the side, half of those with an input
    that was downsampled and upsampled by two, so that encoding an enlarged picture learns to sharpen it.
    """

    work: Path
    crop_px: int
    seed: int
    side_px: int = 128
    share_large: float = 0.3

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        normal = Compositor(self.work, self.side_px, seed=self.seed, held_out=False)
        large = Compositor(self.work, self.side_px * 2, seed=self.seed + 1, held_out=False)
        rng = normal.rng
        while True:
            is_large = rng.random() < self.share_large
            picture = (large if is_large else normal).sample().picture
            for _ in range(1 if picture.width == self.crop_px else 2):
                left, top = (rng.randint(0, picture.width - self.crop_px) for _ in range(2))
                target = picture.crop((left, top, left + self.crop_px, top + self.crop_px))
                source = target
                if is_large and rng.random() < 0.5:
                    half = target.resize((self.crop_px // 2,) * 2, Image.Resampling.BOX)
                    source = half.resize(target.size, Image.Resampling.BICUBIC)
                yield as_tensor(source), as_tensor(target)


def as_tensor(image: Image.Image) -> Tensor:
    """An RGB image as `[3, H, W] float32 in 0..1`."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div(255)


def disturbed(pictures: Tensor) -> Tensor:
    """Pictures `[N, 3, S, S] in 0..1`, tinted, noisy and half of them soft: judges must not go by such things."""

    def chance(*shape: int) -> Tensor:
        return torch.rand(len(pictures), *shape, 1, 1, device=pictures.device)

    soft = F.interpolate(F.avg_pool2d(pictures, 2), pictures.shape[2:], mode="bilinear")
    seen = torch.where(chance(1) < 0.5, soft, pictures)
    tint, light, noise = 0.93 + 0.14 * chance(3), 0.08 * chance(3) - 0.04, 0.04 * chance(1)
    return (seen * tint + light + noise * torch.randn_like(seen)).clamp(0, 1)


def crops(work: Path, crop_px: int, batch: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches of crops."""
    return iter(DataLoader(Crops(work, crop_px, seed), batch_size=batch, num_workers=1, prefetch_factor=4))
