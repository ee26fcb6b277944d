"""Layers of a picture: a thing and the ground behind it, so that the camera moves past both at their own speeds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor

from generator.filming.warp import seen_by
from generator.films.camera import Camera
from generator.models.drawings.pixels import filled, foreground
from generator.models.model_set import Models
from generator.optimisation.starts.composition import composition_of, is_posed
from generator.request import GenerationRequest


@dataclass(frozen=True)
class Layers:
    """A picture `[1, 3, H, W] in 0..1` and, where it shows a thing, its mask `[1, 1, H, W]`; the ground goes on below.

    Attributes:
        ground: the picture without the thing.
        thing: its colours, multiplied by the mask, and the mask: `[1, 4, H, W]`.
    """

    ground: Tensor
    thing: Tensor | None

    def to(self, device: torch.device) -> Layers:
        """The layers on a device."""
        return Layers(self.ground.to(device), None if self.thing is None else self.thing.to(device))

    def seen_by(self, camera: Camera, depth: float, size: tuple[int, int]) -> Layers:
        """The layers at `size` (height, width) as a camera sees them, whose way counts for the ground by `depth`."""
        if self.thing is None:
            return Layers(seen_by(camera, self.ground, size), None)
        far = camera._replace(zoom=camera.zoom * depth, x=camera.x * depth, y=camera.y * depth)
        return Layers(seen_by(far, self.ground, size), seen_by(camera, self.thing, size, "zeros"))

    def picture(self) -> Tensor:
        """The thing before the ground, `[1, 3, H, W]`."""
        return self.ground if self.thing is None else self.ground * (1 - self.thing[:, 3:]) + self.thing[:, :3]

    def dissolved(self, other: Layers, share: float, *, in_turn: bool) -> Tensor:
        """A picture on the way to another, `[1, 3, H, W]`; `in_turn`, one thing is gone before the other comes."""
        if not in_turn or self.thing is None or other.thing is None:
            return self.picture().lerp(other.picture(), share)
        ground = self.ground.lerp(other.ground, share)
        seen, strength = (self.thing, 1 - 2 * share) if share < 0.5 else (other.thing, 2 * share - 1)
        return Layers(ground, seen * strength).picture()


def layers_of(picture: Tensor, request: GenerationRequest, models: Models) -> Layers:
    """Divide a picture `[1, 3, H, W]` on the CPU, made for a request, into its layers."""
    mask = _mask(picture, request, models)
    if mask is None or not bool(mask.any()) or bool((mask > 0.5).float().mean() > 0.7):
        return Layers(_mirrored(picture), None)
    margin = max(1, min(picture.shape[2:]) // 48)
    wide = functional.max_pool2d(mask[None], 2 * margin + 1, 1, margin)
    soft = functional.avg_pool2d(functional.pad(wide, (margin,) * 4, mode="replicate"), 2 * margin + 1, 1)
    hidden = functional.max_pool2d(wide, 2 * margin + 1, 1, margin)
    thing = torch.cat([picture * soft, soft], dim=1)
    return Layers(_mirrored(filled(picture[0], hidden[0])[None]), thing)


def _mirrored(picture: Tensor) -> Tensor:
    """The picture with a mirror image in place of its outermost pixels, whose seam would show where it goes on."""
    margin = min(picture.shape[2:]) // 64
    inner = picture[..., margin : picture.shape[2] - margin, margin : picture.shape[3] - margin]
    return functional.pad(inner, (margin,) * 4, mode="reflect") if margin else picture


def _mask(picture: Tensor, request: GenerationRequest, models: Models) -> Tensor | None:
    """Where the picture shows a thing, `[1, H, W]`: as it was composed, else as it differs from an even ground."""
    if models.prior is not None and is_posed(request):
        composition = composition_of(request, models, 0)
        things = models.prior.sketcher.read(composition.words)
        return models.prior.sketcher.layer(things, composition.pose, *picture.shape[2:]).mask if things else None
    return foreground(picture[0])
