"""The canvas of a masked dream: the picture that is kept, and the region that is repainted.

The edge is feathered around what the request names: a region to repaint shows the new picture alone, what it keeps
stays to the last bit, and so does the old picture within new margins. Only a thing that is kept by its name has the
edge, of half the width, within itself. The perceptors look at the region with some of its surroundings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as functional
from torch import Tensor

from generator.images.tensors import read_image
from generator.models.drawings.pixels import filled, foreground
from generator.models.model_set import Models
from generator.models.wording import names_ground
from generator.notation.palette import NONE
from generator.notation.regions import PICTURE, Area, area_of, margins_of
from generator.optimisation.starts.named_regions import region_of_words
from generator.request import GenerationRequest
from generator.settings import Size

_AROUND = 0.25
"""Surroundings of the region that the perceptors see, as a share of its longer side."""
_LEAST_SEEN_PX = 64
_LEAST_GROUND = 0.05
"""Share of the picture from which its ground can be continued without its things."""


@dataclass(frozen=True)
class Canvas:
    """A picture with the region to repaint.

    Attributes:
        base: the picture that is kept, `[1, 3, H, W] in 0..1`; in a margin that is added to it, its mirrored ground.
        ground: the base without its things, which the new picture stands on.
        mask: 1 where the new picture shows, 0 where the base does, `[1, 1, H, W]`.
        free: 1 for the cells of the latent that may change, `[1, 1, h, w]`.
        region: the rows and columns that are painted anew, without the feather.
        seen: the part that the perceptors see, likewise.
    """

    base: Tensor
    ground: Tensor
    mask: Tensor
    free: Tensor
    region: tuple[slice, slice]
    seen: tuple[slice, slice]

    def over(self, image: Tensor) -> Tensor:
        """The region of `image [1, 3, H, W]` on the base; where the mask is 0, the base to the last bit."""
        return self.base.lerp(image, self.mask)

    def view(self, image: Tensor) -> Tensor:
        """The part of an image `[1, 3, H, W]` that the perceptors see."""
        return image[:, :, self.seen[0], self.seen[1]]

    def copy(self) -> Canvas:
        """Return an independent copy, which may be overwritten."""
        return replace(self, base=self.base.clone(), ground=self.ground, mask=self.mask.clone(), free=self.free.clone())

    def load(self, other: Canvas) -> None:
        """Copy the pixels of a canvas with the same seen part, in place."""
        for mine, theirs in ((self.base, other.base), (self.mask, other.mask), (self.free, other.free)):
            mine.copy_(theirs)


@torch.no_grad()
def canvas_of(request: GenerationRequest, models: Models, size: Size) -> Canvas | None:
    """The canvas of a request for a picture of `size`, a multiple of the model's factor; None without a mask.

    Raises:
        InvalidRequest: if a picture cannot be read.
    """
    settings = request.settings
    if request.init_image is None or not settings.masked:
        return None
    if settings.outpaint != NONE:
        base, kept = _extended(request.init_image, margins_of(settings.outpaint).kept, size)
        ground = base
        mask = 1 - _feathered(kept, settings.feather)
    else:
        base = read_image(request.init_image, size)
        name, text = ("keep", settings.keep) if settings.keep != NONE else ("repaint", settings.repaint)
        named = _region(request, models, base, text)
        if name == "repaint":
            mask = _feathered(named, settings.feather)
        elif text == PICTURE or area_of(text) is not None:
            mask = 1 - _feathered(named, settings.feather)
        else:  # around a thing an edge of its old ground would show
            mask = _feathered(1 - named, settings.feather / 2)
        ground = _bare(base, mask)
    drawer = models.drawer(settings)
    free = torch.ones(1, 1, 1, 1)
    if drawer.local:  # a cell beyond the edge takes part in decoding the pixels at the edge
        free = functional.max_pool2d(functional.max_pool2d(mask, drawer.factor), 3, 1, 1).gt(0).float()
    seen = (slice(0, size.height), slice(0, size.width)) if settings.tiled else _with_surroundings(mask)
    base, ground, mask, free = (tensor.to(models.device) for tensor in (base, ground, mask, free))
    return Canvas(base, ground, mask, free, _bounds((mask >= mask.max()).float()), seen)


def _bare(base: Tensor, mask: Tensor) -> Tensor:
    """The base with its ground continued into the masked part; things beside that part do not colour it."""
    things = foreground(base[0])
    hidden = mask[0].gt(0).float()
    if things is not None and float((known := 1 - torch.maximum(hidden, _wider(things)))[0].mean()) > _LEAST_GROUND:
        hidden = 1 - known
    return filled(base[0], hidden)[None]


def _wider(mask: Tensor) -> Tensor:
    return functional.max_pool2d(mask, 9, 1, 4)


def _region(request: GenerationRequest, models: Models, base: Tensor, text: str) -> Tensor:
    """Mask `[1, 1, H, W]` of a region on the base, without feather."""
    height, width = base.shape[2:]
    if (area := area_of(text)) is not None:
        return _rectangle(area, height, width)
    if text == PICTURE and request.mask is not None:
        return read_image(request.mask, Size(width, height))[:, :1]
    words = text if names_ground(text) else models.read_words(request, text).text
    return region_of_words(base, words, models)


def _rectangle(area: Area, height: int, width: int) -> Tensor:
    mask = torch.zeros(1, 1, height, width)
    mask[
        ...,
        round(area.top * height) : round(area.bottom * height),
        round(area.left * width) : round(area.right * width),
    ] = 1
    return mask


def _extended(image: bytes, kept: Area, size: Size) -> tuple[Tensor, Tensor]:
    """A picture with margins that mirror its ground, and the mask of the picture without them."""
    left, top = round(kept.left * size.width), round(kept.top * size.height)
    inner = Size(max(1, round(kept.right * size.width) - left), max(1, round(kept.bottom * size.height) - top))
    picture = read_image(image, inner)
    things = foreground(picture[0])
    ground = picture if things is None else filled(picture[0], _wider(things))[None]
    rows, columns = _mirrored(size.height, top, inner.height), _mirrored(size.width, left, inner.width)
    base, mask = ground[:, :, rows][:, :, :, columns], torch.zeros(1, 1, size.height, size.width)
    area = slice(top, top + inner.height), slice(left, left + inner.width)
    base[:, :, area[0], area[1]], mask[:, :, area[0], area[1]] = picture, 1
    return base, mask


def _mirrored(length: int, start: int, inner: int) -> Tensor:
    """For each of `length` places the one within `inner` that it mirrors, which begin at `start`."""
    turn = (torch.arange(length) - start) % (2 * inner)
    return torch.minimum(turn, 2 * inner - 1 - turn)


def _feathered(hard: Tensor, feather: float) -> Tensor:
    """A mask with an edge that falls to 0 within `feather` of the short edge, outside of it.

    A square mean over a widened region: 1 inside, 0 beyond the feather, and a straight ramp between.
    """
    radius = round(feather * min(hard.shape[2:]) / 2)
    if radius == 0:
        return hard
    soft = functional.max_pool2d(hard, 2 * radius + 1, 1, radius)
    for kernel, padding in (
        ((2 * radius + 1, 1), (0, 0, radius, radius)),
        ((1, 2 * radius + 1), (radius, radius, 0, 0)),
    ):
        soft = functional.avg_pool2d(functional.pad(soft, padding, mode="replicate"), kernel, 1)
    return torch.maximum(soft.clamp(0, 1), hard)


def _bounds(mask: Tensor) -> tuple[slice, slice]:
    rows, columns = (torch.nonzero(mask[0, 0].amax(dim=axis) > 0)[:, 0] for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _with_surroundings(mask: Tensor) -> tuple[slice, slice]:
    height, width = mask.shape[2:]
    if float(mask.max()) == 0:  # cut to another shape, a mask may show nothing
        return slice(0, height), slice(0, width)
    rows, columns = _bounds(mask)
    around = round(_AROUND * max(rows.stop - rows.start, columns.stop - columns.start))
    return _widened(rows, around, height), _widened(columns, around, width)


def _widened(part: slice, around: int, whole: int) -> slice:
    start, stop = max(0, part.start - around), min(whole, part.stop + around)
    lacking = min(whole, _LEAST_SEEN_PX) - (stop - start)
    if lacking > 0:
        start = max(0, min(start - lacking // 2, whole - (stop - start + lacking)))
        stop = min(whole, max(stop, start + min(whole, _LEAST_SEEN_PX)))
    return slice(start, stop)
