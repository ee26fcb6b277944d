"""Starts that the prior paints for `composition: posed`: first pictures, varied and remixed ones, init images, scenes.

A picture is painted on the prior's own scale, with the shorter side as long as its grid. The ground of a parent is kept
as it is; the prior draws anew what the old or the new sketch covers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as functional
from torch import Tensor

from generator.models.model_set import Models
from generator.models.prior import Prior
from generator.models.sketch import Pose, Sketcher
from generator.models.vqgan import VQGAN
from generator.models.wording import carried, drawing_of_style, scene_of, without_style
from generator.optimisation.schedule import Schedule
from generator.optimisation.targets import Targets
from generator.request import GenerationRequest
from generator.settings import Size

MAX_RATIO = 4
"""The prior paints pictures of at most this ratio of sides; longer ones are stretched."""


@dataclass(frozen=True)
class Composition:
    """The words that the prior paints, and the pose of their sketch."""

    words: str
    pose: Pose


@dataclass(frozen=True)
class Ground:
    """A picture `[1, 3, H, W]`, and the part of it that things cover, `[1, H, W]`."""

    picture: Tensor
    covered: Tensor


def composition_of(request: GenerationRequest, sketcher: Sketcher, scene: int | None = None) -> Composition:
    """Words and pose of a request's scene, by default its last: from the request and its parents alone."""
    if scene is None:
        steps = request.stopped_at or request.settings.steps
        scene = Schedule(request.settings, 1, max(1, len(request.scenes))).scene(steps - 1)
    pieces = _pieces(request, scene)
    own = without_style(pieces)
    if scene > 0:
        before = composition_of(request, sketcher, scene - 1)
        pose = before.pose
    elif request.parent is not None:
        before = composition_of(request.parent, sketcher)
        pose = before.pose
        if request.settings.variation:
            pose = pose.varied(request.settings.variation, request.settings.seed)
        if request.prompt == request.parent.prompt:
            return Composition(before.words, pose)
    else:
        pose = Pose.of_seed(request.settings.seed) if request.settings.composition == "posed" else Pose()
        before = None
    styled = drawing_of_style(" ".join(pieces))
    if styled is not None:
        pose = replace(pose, drawing=styled)
    if before is None:
        return Composition(own, pose)
    things = sketcher.read(own)
    return Composition(carried(own, before.words, things[0].words if len(things) == 1 else ""), pose)


def _pieces(request: GenerationRequest, scene: int) -> list[str]:
    """Texts of a scene's prompts with a positive weight."""
    return [prompt.text for prompt in request.scenes[scene].prompts if prompt.weight > 0] if request.scenes else []


class Painter:
    """Paint the starts of one request.

    Args:
        size: of the picture that the start is for.
        generator: a CPU generator, the source of all randomness.
    """

    def __init__(self, request: GenerationRequest, models: Models, prior: Prior, generator: torch.Generator) -> None:
        self._request, self._models, self._prior, self._generator = request, models, prior, generator
        self._vqgan: VQGAN = models.vqgan

    def first(self, size: Size, targets: Targets) -> Tensor:
        """A picture of the first scene, as a latent `[1, C, h, w]`."""
        composition = composition_of(self._request, self._prior.sketcher, 0)
        return self._paint(composition, size, targets)

    def child(self, parent: GenerationRequest, latent: Tensor, size: Size, targets: Targets) -> Tensor:
        """A varied or remixed picture; `latent` is its parent's, of the same size."""
        sketcher = self._prior.sketcher
        new, old = composition_of(self._request, sketcher, 0), composition_of(parent, sketcher)
        anew = self._request.settings.variation >= 0.67
        return self._on_ground(new, old, latent, size, targets, anew)

    def scene(self, number: int, latent: Tensor, size: Size, targets: Targets) -> Tensor:
        """A later scene of the story, remixed from the latent of the scene before it."""
        new, old = (composition_of(self._request, self._prior.sketcher, at) for at in (number, number - 1))
        return self._on_ground(new, old, latent, size, targets, False)

    def _on_ground(
        self, new: Composition, old: Composition, latent: Tensor, size: Size, targets: Targets, anew: bool
    ) -> Tensor:
        """Paint a composition on the ground of a picture, or on a new one if the words name another scene."""
        things = self._prior.sketcher.read(old.words)
        if anew or not things or scene_of(new.words)[0] != scene_of(old.words)[0]:
            return self._paint(new, size, targets)
        picture = self._vqgan.decode(self._vqgan.quantise(latent)[0]).clamp(0, 1)
        covered = self._prior.sketcher.layer(things, old.pose, size.height, size.width).mask
        return self._paint(new, size, targets, Ground(picture, covered))

    @torch.no_grad()
    def _paint(self, composition: Composition, size: Size, targets: Targets, ground: Ground | None = None) -> Tensor:
        """Paint a composition as a latent of `size`: the prior's ground, or an old one, and the things upon it."""
        sketcher, vqgan = self._prior.sketcher, self._vqgan
        things = sketcher.read(composition.words)
        _, where = scene_of(composition.words)
        words = where if things and where else composition.words
        picture = self._ground(words, bool(things), size, targets, ground)
        if things:
            layer = sketcher.layer(things, composition.pose, size.height, size.width)
            picture = picture.lerp(layer.image.to(picture.device), layer.mask.to(picture.device))
        return vqgan.encode(picture)

    def _ground(self, words: str, bare: bool, size: Size, targets: Targets, ground: Ground | None) -> Tensor:
        """The picture `[1, 3, H, W]` behind the things.

        Args:
            words: that the prior paints.
            bare: things come upon it, so it shows none itself.
            size: of the picture.
            targets: choose among several candidates.
            ground: a picture whose covered part is filled; None paints all of it.
        """
        vqgan, shape = self._vqgan, self._shape(size)
        sketch = torch.full(shape, self._prior.network.n_codes)
        if bare:
            white = torch.ones(1, 3, shape[0] * vqgan.factor, shape[1] * vqgan.factor, device=self._models.device)
            sketch = vqgan.nearest(vqgan.encode(white))[0].cpu()
        known, hidden = torch.full(shape, -1), None
        if ground is not None:
            hidden = _grown(ground.covered, shape)
            codes = vqgan.nearest(vqgan.encode(self._resized(ground.picture, shape)))[0].cpu()
            known = torch.where(hidden, known, codes)
        features = self._models.perceptors[0].embed_texts([words])
        count = self._request.settings.candidates
        codes = self._prior.paint(features, sketch, known, self._generator, count)
        pictures = torch.cat([vqgan.decode(vqgan.lookup(one[None])).clamp(0, 1) for one in codes])
        if count > 1:
            pictures = pictures[targets.scores(pictures, self._models.perceptors).argmax()][None]
        sides = (size.height, size.width)
        painted = functional.interpolate(pictures, sides, mode="bicubic", antialias=True).clamp(0, 1)
        if ground is None or hidden is None:
            return painted
        soft = functional.interpolate(hidden[None, None].float(), sides, mode="bilinear")
        return ground.picture.lerp(painted, soft.to(painted.device))

    def _shape(self, size: Size) -> tuple[int, int]:
        """H and w of the prior's grid for a picture of this size."""
        grid, short = self._prior.network.grid, min(size)
        height, width = (min(MAX_RATIO * grid, round(grid * side / short)) for side in (size.height, size.width))
        return height, width

    def _resized(self, picture: Tensor, shape: tuple[int, int]) -> Tensor:
        sides = (shape[0] * self._vqgan.factor, shape[1] * self._vqgan.factor)
        if picture.shape[2:] == sides:
            return picture
        return functional.interpolate(picture, sides, mode="bicubic", antialias=True).clamp(0, 1)


def _grown(covered: Tensor, shape: tuple[int, int]) -> Tensor:
    """Cells `[h, w] bool` that a mask `[1, H, W]` touches, with their neighbours."""
    cells = functional.adaptive_max_pool2d(covered[None], shape)
    return functional.max_pool2d(cells, 3, 1, 1)[0, 0] > 0.1
