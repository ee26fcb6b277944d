"""Drawings as pixels: trimmed, recoloured and pasted. No model; any thread."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor

from generator.models.wording import PALETTE

_EVEN, _UNLIKE = 0.2, 0.2
"""Largest difference between the ends of a row of an even ground, and least difference of a thing from its ground."""
_BLEED_PX = 6
_OUTLINED = 0.55
"""Share of white from which a drawing in ink counts as an outline."""
_LIGHTNESS = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Cut:
    """A drawing cut out of its ground: `image [3, h, w] in 0..1` and `mask [1, h, w] in 0..1`, on the CPU.

    Around the drawing the image continues the drawing's own colours, so that no fringe of its old ground shows.
    """

    image: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Box:
    """Where a drawing goes: its centre, and the width and height that it must fit into.

    `rise`: where it stands within a box that is higher than it: 0 at the top, 1 at the bottom.
    """

    x: float
    y: float
    width: float
    height: float
    rise: float = 0.5


def foreground(image: Tensor) -> Tensor | None:
    """The thing that a picture `[3, H, W]` shows before an even ground: a mask `[1, H, W]`; None if it shows none.

    A ground is even where each row is alike at both of its ends, so a horizon is no thing.
    """
    edge = max(2, image.shape[-1] // 32)
    ends = torch.stack([image[..., :edge].median(dim=-1).values, image[..., -edge:].median(dim=-1).values])
    even = ((ends[0] - ends[1]).abs().amax(dim=0) < _EVEN).float().mean()
    unlike = (image - ends.mean(dim=0)[..., None]).abs().amax(dim=0)
    mask = (unlike > _UNLIKE)[None, None].float()
    mask = functional.max_pool2d(-functional.max_pool2d(-mask, 3, 1, 1), 3, 1, 1)
    mask = -functional.max_pool2d(-functional.max_pool2d(mask, 7, 1, 3), 7, 1, 3)[0]
    border = torch.cat([mask[0, :edge].flatten(), mask[0, :, :edge].flatten(), mask[0, :, -edge:].flatten()])
    share = float(mask.mean())
    return mask if even > 0.8 and 0.02 < share < 0.7 and border.mean() < 0.15 else None


def filled(image: Tensor, hidden: Tensor) -> Tensor:
    """An image `[3, H, W]` whose hidden part, `[1, H, W]` in 0..1, continues what is around it, smoothly.

    Pull and push: each coarser level is the mean of the pixels that are known, and fills those that are not.
    Source: Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.4.
    """
    known = (hidden < 0.01).float()
    return _filled((image * known)[None], known[None])[0]


def _filled(image: Tensor, weight: Tensor) -> Tensor:
    """Fill `[1, 3, h, w]`, already multiplied by its weights `[1, 1, h, w]`."""
    if min(image.shape[2:]) <= 1 or bool((weight > 0).all()):
        return image / weight.clamp(min=1e-6)
    size = -(-image.shape[2] // 2), -(-image.shape[3] // 2)
    coarse = _filled(functional.adaptive_avg_pool2d(image, size), functional.adaptive_avg_pool2d(weight, size))
    below = functional.interpolate(coarse, image.shape[2:], mode="bilinear")
    return torch.where(weight > 0, image / weight.clamp(min=1e-6), below)


def mean_colour(image: Tensor, mask: Tensor) -> tuple[float, float, float]:
    """Median red, green and blue of the part of an image `[3, H, W]` that a mask `[1, H, W]` shows."""
    red, green, blue = image[:, mask[0] > 0.5].median(dim=1).values.tolist()
    return red, green, blue


def trimmed(image: Tensor, mask: Tensor) -> Cut:
    """The part of an image `[3, h, w]` where its mask `[1, h, w]` is not empty."""
    rows, columns = (torch.nonzero(mask[0].sum(dim=axis) > 1)[:, 0] for axis in (1, 0))
    if not len(rows) or not len(columns):
        return Cut(image, torch.ones_like(mask))
    area = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    image, mask = image[:, area[0], area[1]], mask[:, area[0], area[1]]
    return Cut(_bled(image, mask), mask)


def _bled(image: Tensor, mask: Tensor) -> Tensor:
    """Continue the colours of the drawing's inside over its edge, whose pixels are mixed with the ground."""
    inner = -functional.max_pool2d(-functional.pad(mask[None], (1, 1, 1, 1)), 3, 1)[0]
    colours, known, around = image * inner, inner, torch.ones(1, 1, 3, 3)
    for _ in range(_BLEED_PX):
        near = functional.conv2d(functional.pad(colours[:, None], (1, 1, 1, 1)), around)[:, 0]
        count = functional.conv2d(functional.pad(known[:, None], (1, 1, 1, 1)), around)[:, 0]
        new = (known < 0.5) & (count > 0.5)
        colours = torch.where(new, near / count.clamp(min=1), colours)
        known = torch.where(new, 1.0, known)
    return torch.where(known > 0.5, colours, image)


def recoloured(cut: Cut, colour: str) -> Cut:
    """The drawing in another colour: shading is kept, near-white and near-black are kept in part.

    As `training.compositor` recolours the drawings that the models learn from.
    """
    target = torch.tensor(PALETTE[colour])[:, None, None] / 255
    light = (cut.image * torch.tensor(_LIGHTNESS)[:, None, None]).sum(dim=0, keepdim=True)
    seen = light[cut.mask > 0.5]
    middle = float(seen.median().clamp(0.25, 0.8)) if len(seen) else 0.5
    dark = (light / middle).clamp(0, 1) * target
    bright = target + (1 - target) * ((light - middle) / (1 - middle)).clamp(0, 1) * 0.8
    painted = torch.where(light < middle, dark, bright)
    keep = ((0.2 - light) / 0.12).clamp(0, 1) * 0.8
    return Cut((painted * (1 - keep) + cut.image * keep).clamp(0, 1), cut.mask)


def inked(cut: Cut, colour: str) -> Cut:
    """A drawing in black ink, drawn in an ink of another colour; what is white stays so."""
    target = torch.tensor(PALETTE[colour])[:, None, None] / 255
    if colour == "white":  # white ink shows on dark paper alone
        return Cut(1 - cut.image, cut.mask)
    dark = 1 - (cut.image * torch.tensor(_LIGHTNESS)[:, None, None]).sum(dim=0, keepdim=True)
    return Cut((1 - dark * (1 - target)).clamp(0, 1), cut.mask)


def tinted(cut: Cut, colour: str) -> Cut:
    """A drawing in black ink as if it was painted: an outline filled with a colour, or a silhouette in it.

    Mostly white drawings are outlines; their ink stays dark.
    """
    target = torch.tensor(PALETTE["grey" if colour == "white" else colour])[:, None, None] / 255
    light = (cut.image * torch.tensor(_LIGHTNESS)[:, None, None]).sum(dim=0, keepdim=True)
    down = torch.linspace(1, 0, light.shape[1])[None, :, None]  # lighter above, as under a lamp
    shade = target * (0.82 + 0.18 * down) + (1 - target) * 0.22 * down
    inside = light[cut.mask > 0.5]
    if len(inside) and float((inside > 0.5).float().mean()) > _OUTLINED:
        return Cut((cut.image.amin(dim=0, keepdim=True) * shade + (1 - light) * 0.14).clamp(0, 1), cut.mask)
    return Cut((light + (1 - light) * shade).clamp(0, 1), cut.mask)


def with_rim(image: Tensor, mask: Tensor) -> Tensor:
    """An image `[1, 3, H, W]` that is white around what a mask `[1, H, W]` shows, so that dark ink stands out there."""
    reach = max(1, min(mask.shape[1:]) // 50)
    rim = functional.avg_pool2d(functional.max_pool2d(mask[None], 2 * reach + 1, 1, reach), 3, 1, 1)
    return image + (1 - image) * rim.to(image.device)


def paste(canvas: Tensor, mask: Tensor, cut: Cut, box: Box, mirrored: bool) -> None:
    """Put a drawing into its box, in pixels of `canvas [3, H, W]`, as large as it fits; add it to `mask [1, H, W]`."""
    high, wide = cut.image.shape[1:]
    share = min(box.height / high, box.width / wide)
    size = max(2, round(high * share)), max(2, round(wide * share))
    outline = cut.mask
    if share > 1:  # an enlarged outline must not show the steps of its pixels
        outline = functional.avg_pool2d(functional.pad(outline, (1, 1, 1, 1)), 3, 1)
    both = torch.cat([cut.image, outline])[None]
    both = functional.interpolate(both, size, mode="bicubic", antialias=True)[0].clamp(0, 1)
    if mirrored:
        both = both.flip(-1)
    top = round(box.y - box.height / 2 + (box.height - size[0]) * box.rise)
    left = round(box.x - size[1] / 2)
    above, before = max(0, -top), max(0, -left)
    below, behind = min(size[0], canvas.shape[1] - top), min(size[1], canvas.shape[2] - left)
    if below <= above or behind <= before:
        return
    image = both[:3, above:below, before:behind]
    # A little narrower than the mask, whose pixels are all or nothing, and as steep at any size.
    steep = max(2.0, 2 * share)
    seen = ((both[3:, above:below, before:behind] - 0.5) * steep + 0.4).clamp(0, 1)
    area = slice(top + above, top + below), slice(left + before, left + behind)
    canvas[:, area[0], area[1]] = canvas[:, area[0], area[1]].lerp(image, seen)
    mask[:, area[0], area[1]] = torch.maximum(mask[:, area[0], area[1]], seen)
