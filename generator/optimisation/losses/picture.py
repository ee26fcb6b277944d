"""Losses of the picture itself: its colours, symmetry, smoothness, saturation and contrast, and of its edges.

All take images `[N, 3, H, W] in 0..1`, return a scalar, and are means, so that a weight does not depend on the size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from generator.notation.palette import rgb_of
from generator.settings import Settings

Rgb = tuple[float, float, float]
"""Red, green and blue in 0..1."""
_LUMINANCE = (0.2126, 0.7152, 0.0722)
# The slope of a square root is infinite at 0, which a picture of one colour has.
_EPSILON = 1e-6


def picture_losses(
    images: Tensor, settings: Settings, weights: Mapping[str, float | Tensor] | None = None
) -> Iterator[Tensor]:
    """The losses that the settings ask for, times their `weights` by the names of the settings; none by default."""
    weights = vars(settings) if weights is None else weights
    if palette := rgb_of(settings.palette):
        yield weights["palette_weight"] * palette_loss(images, palette)
    if settings.symmetry != "none":
        yield weights["symmetry_weight"] * symmetry_loss(images, settings.symmetry)
    if settings.flatness:
        yield weights["flatness"] * flatness_loss(images)
    if settings.laplacian:
        yield weights["laplacian"] * laplacian_loss(images)
    if settings.saturation:
        yield -weights["saturation"] * colourfulness(images)
    if settings.contrast:
        yield -weights["contrast"] * contrast(images)


def palette_loss(images: Tensor, palette: Sequence[Rgb]) -> Tensor:
    """Mean squared distance of each pixel to the nearest colour of a palette.

    Source: `PaletteLoss` of pixray (D. White), https://github.com/pixray/pixray. We differ in keeping only the nearest
    colours for the gradient, not the distances to all.
    """
    colours = _tensor(palette, images)
    with torch.no_grad():
        # |pixel - colour|^2 without |pixel|^2, which is the same for every colour
        distances = colours.square().sum(dim=1)[:, None, None] - 2 * torch.einsum("kc,nchw->nkhw", colours, images)
        nearest = colours[distances.argmin(dim=1)].permute(0, 3, 1, 2)
    return (images - nearest).square().sum(dim=1).mean()


def symmetry_loss(images: Tensor, kind: str) -> Tensor:
    """Mean squared difference from the mirrored picture: `left-right`, `up-down`, or for `both` the mean of the two.

    Source: `SymmetryLoss` of pixray (D. White), https://github.com/pixray/pixray.
    """
    axes = {"left-right": (3,), "up-down": (2,), "both": (2, 3)}[kind]
    return torch.stack([(images - images.flip(axis)).square().mean() for axis in axes]).mean()


def total_variation(images: Tensor) -> Tensor:
    """Mean squared difference between neighbouring pixels of images `[N, 3, H, W]`; a scalar.

    Source: Mahendran and Vedaldi, "Understanding Deep Image Representations by Inverting Them", arXiv 1412.0035, with
    their beta = 2. We differ in taking means, so that the weight does not depend on the size.
    """
    across = (images[..., :, 1:] - images[..., :, :-1]).square().mean()
    down = (images[..., 1:, :] - images[..., :-1, :]).square().mean()
    return across + down


def flatness_loss(images: Tensor) -> Tensor:
    """Mean absolute difference between neighbouring pixels: even areas with sharp edges.

    Source: Rudin, Osher and Fatemi, "Nonlinear total variation based noise removal algorithms", Physica D 60 (1992).
    We differ in adding the differences along both axes instead of taking their length.
    """
    across = (images[..., :, 1:] - images[..., :, :-1]).abs().mean()
    down = (images[..., 1:, :] - images[..., :-1, :]).abs().mean()
    return across + down


def laplacian_loss(images: Tensor) -> Tensor:
    """Mean squared second difference along both axes: gradients stay, ripples and grain go.

    Source: Poggio, Torre and Koch, "Computational vision and regularization theory", Nature 317 (1985), their
    stabiliser of second order without its mixed term.
    """
    across = (images[..., :, 2:] - 2 * images[..., :, 1:-1] + images[..., :, :-2]).square().mean()
    down = (images[..., 2:, :] - 2 * images[..., 1:-1, :] + images[..., :-2, :]).square().mean()
    return across + down


def border_loss(images: Tensor, colour: Rgb, width: float) -> Tensor:
    """Mean squared distance to a colour of all pixels nearer to an edge than `width`, a share of the short edge.

    Source: `EdgeLoss` of pixray (D. White), https://github.com/pixray/pixray.
    """
    height_px, width_px = images.shape[2:]
    frame = rim_of(height_px, width_px, width, images.device)
    rim = _rim_px(height_px, width_px, width)
    pixels = height_px * width_px - max(0, height_px - 2 * rim) * max(0, width_px - 2 * rim)
    distances = (images - _tensor([colour], images)[..., None, None]).square().sum(dim=1)
    return (distances * frame).sum() / (len(images) * pixels)


def rim_of(height_px: int, width_px: int, width: float, device: torch.device) -> Tensor:
    """Mask `[H, W]` of the pixels nearer to an edge than `width`, a share of the short edge."""
    rim = _rim_px(height_px, width_px, width)
    frame = torch.ones(height_px, width_px, device=device)
    frame[rim : height_px - rim, rim : width_px - rim] = 0
    return frame


def _rim_px(height_px: int, width_px: int, width: float) -> int:
    return max(1, round(width * min(height_px, width_px)))


def colourfulness(images: Tensor) -> Tensor:
    """Spread and strength of the opponent colours: 0 for greys, above 0.4 for vivid pictures.

    Source: Hasler and Süsstrunk, "Measuring colourfulness in natural images", SPIE 5007 (2003), for values in 0..1.
    """
    red, green, blue = images.unbind(1)
    opponents = torch.stack([red - green, (red + green) / 2 - blue]).flatten(1)
    spread = _root(opponents.var(dim=1, correction=0).sum())
    return spread + 0.3 * _root(opponents.mean(dim=1).square().sum())


def contrast(images: Tensor) -> Tensor:
    """Standard deviation of the luminance, 0..0.5.

    Source: root mean square contrast of Peli, "Contrast in complex images", JOSA A 7 (1990), with the luminance
    weights of ITU-R BT.709 applied to gamma-coded values.
    """
    red, green, blue = (share * channel for share, channel in zip(_LUMINANCE, images.unbind(1), strict=True))
    return _root((red + green + blue).var(correction=0))


def _root(value: Tensor) -> Tensor:
    return (value + _EPSILON).sqrt() - math.sqrt(_EPSILON)


def _tensor(colours: Sequence[Rgb], like: Tensor) -> Tensor:
    """Colours as `[K, 3]`, filled in on the device: a captured step may not copy from the host."""
    return torch.stack([like.new_full((), value) for colour in colours for value in colour]).view(-1, 3)
