"""Regions by words: the parts of a picture that a perceptor finds most like them.

The picture falls into parts: the things before its ground, and areas of one colour. Each part is shown to the
perceptors alone, its surroundings painted over by its own colours, and the parts that score highest are the region.

Sources: masked crops classified by CLIP are Liang et al., "Open-Vocabulary Semantic Segmentation with Mask-adapted
CLIP", arXiv 2210.04150; areas of colour and place by k-means are Achanta et al., "SLIC Superpixels", TPAMI 34 (2012).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as functional
from torch import Tensor

from generator.models.clip import Perceptor
from generator.models.drawings.pixels import filled, foreground
from generator.models.model_set import Models
from generator.models.wording import names_ground, scene_of

_OF_GROUND = frozenset(
    {"sky", "clouds", "sea", "ocean", "water", "lake", "river", "grass", "meadow", "field", "snow", "sand", "beach",
     "floor", "wall", "forest", "street", "paper"}
)  # fmt: skip
"""Words for a part of the ground, also where the models know a drawing of that name."""
_AREAS, _AREAS_BESIDE_THINGS = 10, 4
"""Areas of a picture without a thing before its ground, and of a ground."""
_LEAST_SHARE = 0.01
_GRID, _ROUNDS = 64, 12
_PLACE = 0.25
"""Weight of the place against the colour in telling areas apart."""
_NEAR_BEST = 0.5
"""Parts count whose score is above this share of the way from the worst to the best."""
_MARGIN = 1.3


def region_of_words(picture: Tensor, words: str, models: Models) -> Tensor:
    """Mask `[1, 1, H, W]` of what the words name in a picture `[1, 3, H, W]`, on the CPU."""
    image = picture[0].cpu()
    things, ground = _parts(image)
    if things and names_ground(words):
        return (1 - torch.stack(things).amax(dim=0))[None, None]
    parts = _of_kind(things, ground, words, models)
    scores = torch.zeros(len(parts))
    for perceptor in models.perceptors:
        seen = torch.cat([_alone(image, part, perceptor) for part in parts]).to(perceptor.device)
        scores += (perceptor.embed_images(seen) @ perceptor.embed_texts([words]).t())[:, 0].cpu()
    least = scores.min() + _NEAR_BEST * (scores.max() - scores.min())
    chosen = [part for part, score in zip(parts, scores, strict=True) if score >= least]
    return torch.stack(chosen).amax(dim=0)[None, None]


def _of_kind(things: Sequence[Tensor], ground: Sequence[Tensor], words: str, models: Models) -> list[Tensor]:
    """The parts that the words may mean: things or the ground, if the models know which."""
    of_ground = scene_of(words)[1] or not _OF_GROUND.isdisjoint(words.casefold().split())
    if things and ground and of_ground:
        return list(ground)
    if things and models.prior is not None and models.prior.sketcher.read(words):
        return list(things)
    return [*things, *ground]


def _parts(image: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Things before the ground, and areas of the rest: masks `[H, W]` of 0 and 1."""
    mask = foreground(image)
    if mask is None:
        return [], _areas(image, torch.ones(image.shape[1:]), _AREAS)
    solid = (mask[0] > 0.5).float()
    return _connected(solid), _areas(image, 1 - solid, _AREAS_BESIDE_THINGS)


def _connected(mask: Tensor) -> list[Tensor]:
    """The connected parts of a mask `[H, W]`, without specks."""
    height, width = mask.shape
    labels = (torch.arange(1, height * width + 1, dtype=torch.float64).view(1, 1, height, width)) * mask
    while not torch.equal(grown := functional.max_pool2d(labels, 3, 1, 1) * mask, labels):
        labels = grown
    parts = [(labels[0, 0] == label).float() for label in set(labels.flatten().tolist()) if label > 0]
    return [part for part in parts if part.mean() >= _LEAST_SHARE] or parts


def _areas(image: Tensor, allowed: Tensor, count: int) -> list[Tensor]:
    """Areas of like colour among the allowed pixels: k-means of colour and place, begun at points far apart."""
    pixels = _features(image)
    coarse = _features(functional.interpolate(image[None], (_GRID, _GRID), mode="area")[0])
    known = functional.interpolate(allowed[None, None], (_GRID, _GRID), mode="area")[0, 0].flatten() > 0.5
    points = coarse[known]
    if not len(points):
        return []
    centres = points[:1]
    for _ in range(min(count, len(points)) - 1):
        centres = torch.cat([centres, points[torch.cdist(points, centres).amin(dim=1).argmax()][None]])
    for _ in range(_ROUNDS):
        nearest = torch.cdist(points, centres).argmin(dim=1)
        own = [points[nearest == number] for number in range(len(centres))]
        centres = torch.stack([some.mean(dim=0) if len(some) else old for some, old in zip(own, centres, strict=True)])
    nearest = torch.cdist(pixels, centres).argmin(dim=1).view(allowed.shape)
    areas = [(nearest == number).float() * allowed for number in range(len(centres))]
    return [area for area in areas if area.mean() >= _LEAST_SHARE]


def _features(image: Tensor) -> Tensor:
    """Colour and place of each pixel of an image `[3, h, w]`, as `[h * w, 5]`."""
    down, across = torch.meshgrid(*(torch.linspace(0, 1, side) for side in image.shape[1:]), indexing="ij")
    return torch.cat([image, _PLACE * down[None], _PLACE * across[None]]).flatten(1).t()


def _alone(image: Tensor, part: Tensor, perceptor: Perceptor) -> Tensor:
    """A square around a part of an image, the rest of it painted over, as the perceptor takes it: `[1, 3, s, s]`."""
    shown = filled(image, 1 - part[None])
    rows, columns = (torch.nonzero(part.amax(dim=axis))[:, 0] for axis in (1, 0))
    height, width = image.shape[1:]
    longest = max(int(rows[-1] - rows[0]), int(columns[-1] - columns[0])) + 1
    side = min(round(longest * _MARGIN), height, width)
    top = min(max(0, int(rows[0] + rows[-1]) // 2 - side // 2), height - side)
    left = min(max(0, int(columns[0] + columns[-1]) // 2 - side // 2), width - side)
    square = shown[None, :, top : top + side, left : left + side]
    size = (perceptor.resolution, perceptor.resolution)
    return functional.interpolate(square, size, mode="bicubic", antialias=True).clamp(0, 1)
