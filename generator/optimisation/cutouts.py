"""Cutouts: many crops of a picture, rotated, tilted and resized in one resampling, then augmented.

`draw` and `draw_noise` make all random choices of a step with the dream's generator, `cut` resamples the picture for
all crops in one `grid_sample`, and `augment` changes colours, sharpness and noise.
tests/generator/optimisation/test_cutouts.py has a plain reference version, one crop at a time, and compares values and
gradients with it.

Source: `MakeCutouts` of K. Crowson's notebooks (arXiv 2204.08583) with the augmentations of nerdyrodent/VQGAN-CLIP. We
differ in three ways: a rotated crop shows the surrounding picture instead of its own smeared border, shrinking averages
first (see `_atlas`), and a picture that is not square is covered by overviews of several sizes (see `draw`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as functional
from torch import Tensor

from generator.models.layers import wrapped
from generator.optimisation.autograd import clamp_with_gradient, local_means
from generator.settings import Settings

MAX_TURN = math.radians(30)
MAX_SHIFT = 0.1
MAX_TILT = 0.1
MAX_HUE = 0.01 * 2 * math.pi
MAX_SATURATION = 0.01
# A blur with the kernel (1 1 1, 1 5 1, 1 1 1) / 13 moves each pixel this far towards the mean of its 3 x 3.
_BLUR = 9 / 13


class CutoutParams(NamedTuple):
    """Random choices for N crops, each `[N] float32`, lengths in pixels of the picture, angles in radians.

    Attributes:
        x: left edge of the crop's square; may lie outside the picture.
        y: top edge of the square.
        side: length of its edges.
        mirror: -1 mirrored, 1 not.
        turn: rotation angle.
        shift_x: shift to the right, as a share of the side.
        shift_y: shift downwards, as a share of the side.
        tilt_x: perspective; how much nearer the right edge is than the centre.
        tilt_y: the same for the lower edge.
        hue: rotation of the colours about the grey axis.
        saturation: factor of the colours' distance from grey.
        sharpness: 0 leaves the crop as it is, -1 blurs, 1 sharpens.
        noise: standard deviation of the added noise.
    """

    x: Tensor
    y: Tensor
    side: Tensor
    mirror: Tensor
    turn: Tensor
    shift_x: Tensor
    shift_y: Tensor
    tilt_x: Tensor
    tilt_y: Tensor
    hue: Tensor
    saturation: Tensor
    sharpness: Tensor
    noise: Tensor

    def part(self, which: slice) -> CutoutParams:
        """Select some of the crops."""
        return CutoutParams(*(choices[which] for choices in self))


def draw(
    settings: Settings, overviews: int | Tensor, width_px: int, height_px: int, generator: torch.Generator
) -> CutoutParams:
    """Choose `settings.cutouts` crops, of which the first `overviews` see the picture as a whole.

    An inner crop has a side of `u ** cut_power * (short - low) + low`, with low = `cut_min * short`, and lies anywhere
    inside the picture. An overview covers the short edge; its side is uniform between the short and the long edge. In a
    square picture it is exactly the whole picture. In other shapes one crop cannot be both whole and unpadded: squares
    of the short edge alone put the subject into the picture twice, side by side, and padded ones alone waste the
    perceptor's resolution, so all sizes in between occur. A crop that leaves the picture repeats the border's
    colours. Along the axes of a tile, crops begin anywhere and go on at the opposite edge.
    """
    # Every choice is drawn, used or not, so that disabling one augmentation leaves all others unchanged.
    even = torch.rand(18, settings.cutouts, generator=generator, device=generator.device)
    place_x, place_y, size, length, flip, affine, perspective, colour, sharp, noise = even[:10]
    turn, shift_x, shift_y, tilt_x, tilt_y, hue, saturation, sharpness = even[10:].mul(2).sub(1)
    affine, perspective = affine < settings.affine, perspective < settings.perspective
    colour, sharp = colour < settings.colour, sharp < settings.sharpness
    short, long = min(width_px, height_px), max(width_px, height_px)
    whole = torch.arange(settings.cutouts, device=even.device) < overviews
    inner = short * (settings.cut_min + (1 - settings.cut_min) * size**settings.cut_power)
    side = torch.where(whole, short + (long - short) * length, inner)
    return CutoutParams(
        x=place_x * (width_px if "x" in settings.tiled else width_px - side),
        y=place_y * (height_px if "y" in settings.tiled else height_px - side),
        side=side,
        mirror=1 - 2 * (flip < settings.flip).float(),
        turn=affine * turn * MAX_TURN,
        shift_x=affine * shift_x * MAX_SHIFT,
        shift_y=affine * shift_y * MAX_SHIFT,
        tilt_x=perspective * tilt_x * MAX_TILT,
        tilt_y=perspective * tilt_y * MAX_TILT,
        hue=colour * hue * MAX_HUE,
        saturation=1 + colour * saturation * MAX_SATURATION,
        sharpness=sharp * sharpness,
        noise=noise * settings.noise,
    )


def draw_noise(settings: Settings, resolution_px: int, generator: torch.Generator) -> Tensor | None:
    """Noise for all crops of one resolution, `[N, 3, r, r]` with variance 1; None if the settings add no noise."""
    if settings.noise == 0:
        return None
    shape = (settings.cutouts, 3, resolution_px, resolution_px)
    return torch.randn(shape, generator=generator, device=generator.device)


def cut(image: Tensor, cuts: CutoutParams, resolution_px: int, exact: bool = False, tiled: str = "") -> Tensor:
    """Cut all crops out of a picture.

    Args:
        image: `[1, 3, H, W]`.
        cuts: N crops.
        resolution_px: side of each result.
        exact: use `gather` instead of `grid_sample`, whose gradient is summed in random order on a GPU.
        tiled: axes along which the picture continues itself, letters of `xy`.

    Returns:
        `[N, 3, resolution_px, resolution_px]`.
    """
    atlas, levels = _atlas(image, resolution_px, tiled)
    places = _places(cuts, image.shape[3], image.shape[2], levels, resolution_px, tiled)
    count, side = len(cuts.side), resolution_px
    sampled = (_gathered if exact else _sampled)(atlas, places.reshape(count * side, side, 2))
    return sampled.view(3, count, side, side).transpose(0, 1)


def _atlas(image: Tensor, resolution_px: int, tiled: str) -> tuple[Tensor, int]:
    """Stack the picture and its halves, quarters and so on, as many as the largest crop can need.

    Bilinear sampling reads two pixels across: a crop that shrinks by more would skip pixels and miss noise between
    them. So each crop samples the level nearest to its own scale; as all levels lie in one image, it is still one
    resampling. Along the axes in `tiled` each level has one pixel of its opposite edge more.

    Returns:
        The atlas `[1, 3, sum of heights, W]` and the number of levels.
    """
    levels = [image]
    for _ in range(round(math.log2(max(image.shape[2:]) / resolution_px))):
        levels.append(functional.avg_pool2d(levels[-1], 2, ceil_mode=True))
    levels = [wrapped(level, tiled, 0, 1) for level in levels]
    padded = [functional.pad(level, (0, levels[0].shape[3] - level.shape[3])) for level in levels]
    return torch.cat(padded, dim=2), len(levels)


def _places(cuts: CutoutParams, width_px: int, height_px: int, levels: int, resolution_px: int, tiled: str) -> Tensor:
    """Sampling positions in the atlas for each crop's pixels: x and y, `[N, r * r, 2]`; 0 is the centre of pixel 0."""
    device = cuts.side.device
    halvings = torch.arange(levels, device=device)
    widths, heights = (
        torch.full_like(halvings, -edge).bitwise_right_shift(halvings).neg() for edge in (width_px, height_px)
    )
    rows = heights + ("y" in tiled)
    tops = rows.cumsum(0) - rows
    level = (cuts.side / resolution_px).log2().round().clamp(0, levels - 1).long()

    line = (torch.arange(resolution_px, device=device) * 2 + 1) / resolution_px - 1
    down, across = torch.meshgrid(line, line, indexing="ij")
    square = torch.stack([across, down, torch.ones_like(across)]).view(3, -1)
    across, down, depth = (_projections(cuts) @ square).unbind(1)
    scale = 0.5 ** level[:, None] / depth
    x = _held(across * scale - 0.5, widths[level][:, None], "x" in tiled)
    y = _held(down * scale - 0.5, heights[level][:, None], "y" in tiled)
    return torch.stack([x, y + tops[level][:, None]], dim=-1)


def _held(places: Tensor, length: Tensor, wraps: bool) -> Tensor:
    """Places in an axis of so many pixels; beyond its ends they go on at the other one, or stay at the edge."""
    return places.remainder(length) if wraps else torch.minimum(places.clamp(min=0), length - 1)


def _projections(cuts: CutoutParams) -> Tensor:
    """Homographies `[N, 3, 3]` from a crop's own square (-1..1) to picture pixels: tilt, rotation, shift, mirror."""
    half = cuts.side / 2
    cosine, sine = cuts.turn.cos() * half, cuts.turn.sin() * half
    none, one = torch.zeros_like(half), torch.ones_like(half)
    turned = torch.stack([cuts.mirror * cosine, -cuts.mirror * sine, none, sine, cosine, none], dim=1).view(-1, 2, 3)
    across = cuts.x + half + cuts.mirror * cuts.shift_x * cuts.side
    down = cuts.y + half + cuts.shift_y * cuts.side
    tilt = torch.stack([cuts.tilt_x, cuts.tilt_y, one], dim=1)[:, None]
    centre = torch.stack([across, down], dim=1)[:, :, None]
    return torch.cat([turned + centre * tilt, tilt], dim=1)


def _sampled(atlas: Tensor, places: Tensor) -> Tensor:
    """Bilinear samples `[3, ...]` of an atlas `[1, 3, H, W]` at places `[A, B, 2]`."""
    x, y = (places * 2 + 1).unbind(-1)
    grid = torch.stack([x / atlas.shape[3], y / atlas.shape[2]], dim=-1) - 1
    return functional.grid_sample(atlas, grid[None], padding_mode="border", align_corners=False)


def _gathered(atlas: Tensor, places: Tensor) -> Tensor:
    """Same result as `_sampled` from four row look-ups, whose gradient is sorted before it is summed."""
    width, height = atlas.shape[3], atlas.shape[2]
    rows = atlas[0].flatten(1).t()
    floor = places.floor()
    share_x, share_y = (places - floor).reshape(-1, 2, 1).unbind(1)
    left, upper = floor.long().view(-1, 2).unbind(1)
    right, lower = (left + 1).clamp(max=width - 1), (upper + 1).clamp(max=height - 1)
    above = rows[upper * width + left] * (1 - share_x) + rows[upper * width + right] * share_x
    below = rows[lower * width + left] * (1 - share_x) + rows[lower * width + right] * share_x
    return (above * (1 - share_y) + below * share_y).t().contiguous()


def augment(cutouts: Tensor, cuts: CutoutParams, settings: Settings, noise: Tensor | None) -> Tensor:
    """Shift colours, blur or sharpen, add noise, clamp to 0..1 with gradient; all `[N, 3, r, r]`."""
    if settings.colour > 0:
        cutouts = (_colour_matrices(cuts) @ cutouts.flatten(2)).view(cutouts.shape)
    if settings.sharpness > 0:
        strength = (cuts.sharpness * _BLUR)[:, None, None, None]
        cutouts = cutouts + (cutouts - local_means(cutouts)) * strength
    if noise is not None:
        cutouts = cutouts + noise * cuts.noise[:, None, None, None]
    return clamp_with_gradient(cutouts, 0, 1)


def _colour_matrices(cuts: CutoutParams) -> Tensor:
    """RGB matrices `[N, 3, 3]` that rotate colours about the grey axis (Rodrigues' formula) and scale their saturation.

    The original jitter rotates hue in HSV, pixel by pixel; within its 3.6 degrees a linear map does the same.
    """
    same = torch.eye(3, device=cuts.hue.device)
    grey = torch.full_like(same, 1 / 3)
    axis = (same.roll(1, 0) - same.roll(2, 0)) / math.sqrt(3)
    cosine = (cuts.saturation * cuts.hue.cos())[:, None, None]
    sine = (cuts.saturation * cuts.hue.sin())[:, None, None]
    return grey + cosine * (same - grey) + sine * axis


def views(images: Tensor, resolution_px: int) -> Tensor:
    """Square views of pictures `[N, 3, H, W]` for scoring, without augmentation.

    A square picture gives one view; other shapes give three squares of the short edge: both ends and the middle.
    Resized like CLIP's own preprocessing (bicubic, antialiased).

    Returns:
        `[N, V, 3, resolution_px, resolution_px]` in 0..1.
    """
    height, width = images.shape[2:]
    short, spare = min(width, height), abs(width - height)
    starts = [0] if spare == 0 else [0, spare // 2, spare]
    axis = 3 if width > height else 2
    squares = torch.cat([images.narrow(axis, start, short) for start in starts])
    resized = functional.interpolate(squares, (resolution_px, resolution_px), mode="bicubic", antialias=True)
    return resized.clamp(0, 1).view(len(starts), len(images), *resized.shape[1:]).transpose(0, 1)
