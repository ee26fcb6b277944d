"""Pictures as a camera sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as functional
from torch import Tensor

from generator.films.camera import Camera

if TYPE_CHECKING:
    from generator.films.camera import Matrix

_FILLED = 0.9
"""Share of a cell that must be filled; the outermost pixels are blended with what is beyond."""
_FINER = 2
"""Each pixel is the mean of this many samples in each direction, so that a smaller picture does not flicker."""


def seen_by(camera: Camera, picture: Tensor, size: tuple[int, int], padding: str = "reflection") -> Tensor:
    """A picture `[1, C, H, W] in 0..1` as a camera sees it, at `size` (height, width); see `warped`."""
    return warped(picture, camera.matrix(), size, padding)


def warped(picture: Tensor, matrix: Matrix, size: tuple[int, int], padding: str = "reflection") -> Tensor:
    """Look a picture `[1, C, H, W]` up at the points that `matrix` gives for those of the result.

    Outside, the picture continues as its mirror image, or is 0 with `padding` "zeros".
    """
    grid = grid_of(matrix, picture.shape[2], picture.shape[3], size, _FINER, picture.device).to(picture)
    fine = functional.grid_sample(picture, grid, mode="bicubic", padding_mode=padding, align_corners=False)
    return functional.avg_pool2d(fine, _FINER).clamp(0, 1)


def shown_of(
    matrix: Matrix, size: tuple[int, int], cells: tuple[int, int], device: torch.device | str = "cpu"
) -> Tensor:
    """Cells `[1, 1, h, w]` of a result, as of `warped`, that a picture of the same size fills: 1, and 0 elsewhere."""
    whole = warped(torch.ones(1, 1, *size, device=device), matrix, size, "zeros")
    return (functional.adaptive_avg_pool2d(whole, cells) > _FILLED).float()


def grid_of(matrix: Matrix, height: int, width: int, size: tuple[int, int], finer: int, device: torch.device) -> Tensor:
    """Points of a picture, as torch counts them, for each of the result: `[1, h, w, 2]`."""
    rows, columns = (_centres(side * finer, min(size) * finer, device) for side in size)
    down, across = torch.meshgrid(rows, columns, indexing="ij")
    points = torch.stack([across, down, torch.ones_like(across)], dim=-1) @ torch.from_numpy(matrix).T.to(device)
    x, y = (points[..., axis] / points[..., 2] for axis in (0, 1))
    short = min(height, width)
    return torch.stack([x * short / width, y * short / height], dim=-1)[None]


def _centres(side: int, short: int, device: torch.device) -> Tensor:
    """Centres of the pixels along a side; 1 is half of the shorter one."""
    return (torch.arange(side, dtype=torch.float64, device=device) + 0.5 - side / 2) * 2 / short
