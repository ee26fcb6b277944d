"""The composed data set on disk: batches of augmented pictures with freshly worded captions."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from training.compositor import COLOURS, Compositor
from training.scenes import SCENES

COLOUR_NAMES = ("", *COLOURS)
SCENE_NAMES = tuple(SCENES)
Content = tuple[tuple[int, ...], int, str, str]
"""Concepts, their number, colour and scene of a picture."""


@dataclass(frozen=True)
class Batch:
    """Pictures `[N, 3, S, S] in 0..1`, captions, and their content.

    `concepts [N, n_concepts]` is a distribution (all zero for a scene alone), `colours` and `scenes` are `[N]` numbers.
    """

    pictures: Tensor
    captions: list[str]
    concepts: Tensor
    colours: Tensor
    scenes: Tensor

    def to(self, device: str) -> Batch:
        """Move to another device."""
        return Batch(
            self.pictures.to(device),
            self.captions,
            self.concepts.to(device),
            self.colours.to(device),
            self.scenes.to(device),
        )


class Captioned:
    """Captions with their content: of pictures that were planned, and of none.

    Args:
        compositor: words them, and is the only source of chance.
    """

    def __init__(self, compositor: Compositor) -> None:
        self.compositor = compositor
        self.n_concepts = len(compositor.table)

    def labelled(self, pictures: Tensor, contents: Sequence[Content]) -> Batch:
        """A batch of pictures with this content, on their device, and freshly worded captions."""
        concepts = torch.zeros(len(contents), self.n_concepts)
        for number, (shown, _, _, _) in enumerate(contents):
            for concept in shown:
                concepts[number, concept] += 1 / len(shown)
        return Batch(
            pictures,
            [self.compositor.caption(*content) for content in contents],
            concepts.to(pictures.device),
            torch.tensor([COLOUR_NAMES.index(colour) for _, _, colour, _ in contents], device=pictures.device),
            torch.tensor([SCENE_NAMES.index(scene) for _, _, _, scene in contents], device=pictures.device),
        )

    def words(self, size: int) -> Batch:
        """Captions without pictures, with every concept and every name equally frequent."""
        rng, compositor = self.compositor.rng, self.compositor
        captions, concepts = [], torch.zeros(size, self.n_concepts)
        colours, scenes = [], []
        for number in range(size):
            concept = rng.randrange(self.n_concepts)
            colour = rng.choice(COLOUR_NAMES) if rng.random() < 0.3 else ""
            scene = rng.choice(SCENE_NAMES) if rng.random() < 0.4 else "plain"
            name = rng.choice(compositor.table[concept]["aliases"] or [compositor.table[concept]["name"]])
            captions.append(compositor.worded([name], 1, colour, scene))
            concepts[number, concept] = 1
            colours.append(COLOUR_NAMES.index(colour))
            scenes.append(SCENE_NAMES.index(scene))
        return Batch(torch.empty(0), captions, concepts, torch.tensor(colours), torch.tensor(scenes))


class Composed(Captioned):
    """Random access to the data set written by training.compose."""

    def __init__(self, work: Path, name: str = "train", seed: int = 0) -> None:
        self.pictures = np.load(work / f"{name}_pictures.npy", mmap_mode="r")
        self.sketches = np.load(work / f"{name}_sketches.npy", mmap_mode="r")
        self.samples = [
            (tuple(concepts), count, colour, scene)
            for concepts, count, colour, scene in json.loads((work / f"{name}_samples.json").read_text())
        ]
        super().__init__(Compositor(work, 128, seed=seed))
        self.rng = np.random.default_rng(seed)
        self.rows = np.arange(len(self.samples))

    def keep_only(self, concepts: Collection[int]) -> None:
        """From now on, draw only pictures that show some of these concepts and no other."""
        wanted = set(concepts)
        self.rows = np.array(
            [row for row, sample in enumerate(self.samples) if sample[0] and wanted.issuperset(sample[0])]
        )

    def batch(self, size: int, side_px: int, smallest: float = 0.5) -> Batch:
        """Draw `size` random pictures, each cropped, rotated a little and resized to side_px."""
        rows = np.sort(self.rng.choice(self.rows, size, replace=False))
        pictures = torch.from_numpy(self.pictures[rows]).permute(0, 3, 1, 2).float().div(255)
        return self.labelled(augment(pictures, side_px, smallest), [self.samples[row] for row in rows])


def augment(pictures: Tensor, side_px: int, smallest: float) -> Tensor:
    """Crop (a share `smallest`..1 of the side), mirror, rotate by up to 20 degrees, shift colours, add noise."""
    count, device = len(pictures), pictures.device
    scale = torch.empty(count, device=device).uniform_(smallest, 1.1)
    angle = torch.empty(count, device=device).uniform_(-1, 1).pow(3) * math.radians(20)
    mirror = torch.where(torch.rand(count, device=device) < 0.5, -1.0, 1.0)
    shift = (torch.rand(count, 2, device=device) * 2 - 1) * (1.05 - scale).clamp_min(0)[:, None]
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack(
        [torch.stack([cos * mirror, -sin, shift[:, 0]], 1), torch.stack([sin * mirror, cos, shift[:, 1]], 1)], 1
    )
    grid = F.affine_grid(theta, [count, 3, side_px, side_px], align_corners=False)
    soft = F.avg_pool2d(F.pad(pictures, (0, 1, 0, 1), mode="replicate"), 2, stride=1)
    out = F.grid_sample(soft, grid, padding_mode="reflection", align_corners=False)
    tint, light = (torch.randn(count, size, 1, 1, device=device) for size in (3, 1))
    out = out * (1 + tint * 0.04) + light * 0.03
    strength = torch.rand(count, 1, 1, 1, device=device) * 0.08
    return (out + torch.randn_like(out) * strength).clamp(0, 1)
