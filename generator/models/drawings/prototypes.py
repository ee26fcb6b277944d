"""Prototypes: what a perceptor sees in drawings of known things, to name the thing in another picture. Worker thread.

A few-shot classifier without training, as in Zhang et al., "Tip-Adapter: Training-free Adaption of CLIP for Few-shot
Classification", ECCV 2022, with one or two pictures of each thing: the nearest of each counts. The shares say how often
they were right on labelled pictures (Guo et al., "On Calibration of Modern Neural Networks", arXiv 1706.04599), and add
up to less than 1: the rest is for things unlike all drawings.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

from generator.errors import CheckpointError
from generator.models.clip import Perceptor
from generator.models.drawings.pixels import foreground

_MARGIN = 1 / 16
"""Free border on each side of a drawing, as a share of the side."""
_LEVELS = 127
_COLUMN_PX = 512
"""Longer side, in pixels, to which a picture is reduced before its thing is cut out."""


@dataclass(frozen=True)
class Calibration:
    """How likenesses become shares.

    Attributes:
        sharpness: factor of the likenesses before a softmax over things.
        slope, middle: of the logistic curve of the largest likeness, the share of all things together.
    """

    sharpness: float
    slope: float
    middle: float


@dataclass(frozen=True, eq=False)
class Prototypes:
    """Drawings by name: `names`, some of them twice, and `vectors [N, D]` of unit length."""

    names: tuple[str, ...]
    vectors: Tensor
    calibration: Calibration

    @classmethod
    def read(cls, path: Path) -> Prototypes:
        """Read a file written by `write`.

        Raises:
            CheckpointError: if it is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                names = tuple(file["names"].tolist())
                vectors = torch.from_numpy(file["vectors"].astype(np.float32))
                calibration = Calibration(*map(float, file["calibration"]))
            if len(names) != len(vectors) or vectors.ndim != 2 or not names:
                raise ValueError("its parts do not fit together")
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as exc:
            raise CheckpointError(f"{path} is damaged ({exc}); get it again from where Reverie came from.") from exc
        return cls(names, functional.normalize(vectors, dim=-1), calibration)

    def write(self, path: Path) -> None:
        """Write them, as numbers of one byte."""
        vectors = self.vectors.cpu()
        levels = (vectors / vectors.abs().max() * _LEVELS).round().to(torch.int8).numpy()
        np.savez_compressed(
            path, names=np.array(self.names), vectors=levels, calibration=np.array(astuple(self.calibration))
        )

    @torch.no_grad()
    def shares(self, image: Tensor, perceptor: Perceptor) -> list[tuple[str, float]]:
        """Share of each thing in a picture `[3, H, W] float32 in 0..1`, likeliest first."""
        seen = perceptor.embed_images(views(image, perceptor.resolution).to(perceptor.device)).cpu()
        best = dict[str, float]()
        for name, likeness in zip(self.names, (seen @ self.vectors.t()).amax(dim=0).tolist(), strict=True):
            best[name] = max(likeness, best.get(name, -1.0))
        likenesses = torch.tensor(list(best.values()))
        of_all = torch.sigmoid(self.calibration.slope * (likenesses.max() - self.calibration.middle))
        shares = (self.calibration.sharpness * likenesses).softmax(dim=0) * of_all
        return sorted(zip(best, shares.tolist(), strict=True), key=lambda pair: -pair[1])


def views(image: Tensor, side: int) -> Tensor:
    """A picture `[3, H, W]` as drawings are, and mirrored: its thing on white, else its middle."""
    height, width = image.shape[1:]
    if max(height, width) > _COLUMN_PX:
        scale = _COLUMN_PX / max(height, width)
        image = _resized(image, max(1, round(height * scale)), max(1, round(width * scale)))
    mask = foreground(image) if min(image.shape[1:]) >= side else None
    if mask is None:
        edge = min(image.shape[1:])
        top, left = ((length - edge) // 2 for length in image.shape[1:])
        seen = _resized(image[:, top : top + edge, left : left + edge], side, side)
    else:
        seen = framed(image, mask, side)
    return torch.stack([seen, seen.flip(-1)])


def framed(image: Tensor, mask: Tensor, side: int) -> Tensor:
    """The part of a picture `[3, H, W]` under a mask `[1, H, W]`, in the middle of a white square `[3, side, side]`."""
    box = [_extent(mask[0].amax(dim=axis)) for axis in (1, 0)]
    image = (image * mask + 1 - mask)[:, box[0], box[1]]
    within = round(side * (1 - 2 * _MARGIN))
    scale = within / max(image.shape[1:])
    height, width = (max(1, round(length * scale)) for length in image.shape[1:])
    out = torch.ones(3, side, side)
    top, left = (side - height) // 2, (side - width) // 2
    out[:, top : top + height, left : left + width] = _resized(image, height, width)
    return out


def _extent(line: Sequence[float] | Tensor) -> slice:
    """The part of a line of a mask that is not empty; all of an empty one."""
    there = torch.nonzero(torch.as_tensor(line) > 0.5)[:, 0]
    return slice(int(there[0]), int(there[-1]) + 1) if len(there) else slice(None)


def _resized(image: Tensor, height: int, width: int) -> Tensor:
    return functional.interpolate(image[None], (height, width), mode="bilinear", antialias=True)[0].clamp(0, 1)
