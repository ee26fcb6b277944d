"""Composed starts, for `composition: posed`.

The drawings are pasted at the picture's size on a stored picture of the scene, or on plain paper. The ground of a
parent, an init image or the scene before is kept where the words leave it open. The prior paints what words without
things and scenes may mean, and scenes of sets that store none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as functional
from torch import Tensor

from generator.images.tensors import read_image
from generator.models.drawings.arrangement import side_by_side
from generator.models.drawings.pixels import filled, foreground, paste, trimmed, with_rim
from generator.models.looks import lit, looking
from generator.models.model_set import Models
from generator.models.prior import Prior
from generator.models.vqgan import VQGAN
from generator.models.wording import scene_of
from generator.optimisation.starts.canvas import Canvas
from generator.optimisation.starts.composition import (
    Composition,
    composition_of,
    ground_picture,
    is_anew,
    is_posed,
    is_same_ground,
)
from generator.optimisation.targets import Targets
from generator.request import GenerationRequest
from generator.settings import Size

_SEEN, _SOFT_PX = 0.1, 9
_FILLING = 1.2
"""Scale of things that are painted into a region: most of its shorter side."""
_PAPERS = ((255, 255, 255), (250, 244, 232), (226, 240, 252), (252, 232, 238), (230, 246, 228), (240, 236, 250))
"""Red, green and blue of plain grounds: those that the models have learnt."""


@dataclass(frozen=True)
class Ground:
    """A picture to paint on.

    Attributes:
        picture: `[1, 3, H, W] in 0..1`.
        covered: the part of it that things cover, `[1, H, W]`.
        look: that it has already.
        bare: the picture shows its ground alone, without its things.
    """

    picture: Tensor
    covered: Tensor
    look: str = ""
    bare: bool = False


class StartComposer:
    """Compose the starts of one request.

    Args:
        size: of the picture that the start is for.
        generator: a CPU generator, the source of all randomness.
    """

    def __init__(self, request: GenerationRequest, models: Models, prior: Prior, generator: torch.Generator) -> None:
        self._request, self._models, self._prior, self._generator = request, models, prior, generator
        self._vqgan: VQGAN = models.vqgan

    def first(self, size: Size, targets: Targets) -> Tensor:
        """A picture of the first scene, as a latent `[1, C, h, w]`: on an init image or image prompt if there is one.

        Raises:
            InvalidRequest: for a picture that cannot be read.
        """
        composition = composition_of(self._request, self._models, 0)
        given = ground_picture(self._request)
        if not self._request.scenes:
            return self._together(size)
        if given is None:
            return self._compose(composition, size, targets)
        picture = read_image(given, size)
        mask = foreground(picture[0])
        things = self._prior.sketcher.read(composition.words)
        if self._prior.sketcher.scenery(composition.words).scene and mask is not None:
            if things:
                return self._compose(composition, size, targets)
            kept = picture.lerp(self._scene(composition, True, size, targets, None).cpu(), 1 - mask)
            kept = looking(kept, composition.look, self._request.settings.seed)
            return self._vqgan.encode(kept.to(self._models.device))
        covered = torch.zeros(1, size.height, size.width) if mask is None or not things else mask
        return self._compose(composition, size, targets, Ground(picture.to(self._models.device), covered))

    @torch.no_grad()
    def _together(self, size: Size) -> Tensor:
        """The things that the image prompts show, cut out and side by side, on the ground of one of them."""
        pictures = [read_image(item.image, size) for item in self._request.image_prompts if item.weight > 0]
        shown = [(picture[0], foreground(picture[0])) for picture in pictures]
        things = [(picture, mask) for picture, mask in shown if mask is not None]
        bare = [picture for picture, mask in shown if mask is None]
        if not things:
            return self._vqgan.encode(torch.stack(pictures).mean(dim=0).to(self._models.device))
        canvas = bare[0].clone() if bare else filled(things[0][0], _widened(things[0][1]))
        cuts = [trimmed(picture, mask) for picture, mask in things]
        mask = torch.zeros(1, size.height, size.width)
        for cut, box in zip(cuts, side_by_side(len(cuts), size.height, size.width), strict=True):
            paste(canvas, mask, cut, box, mirrored=False)
        return self._vqgan.encode(canvas[None].to(self._models.device))

    def child(self, parent: GenerationRequest, latent: Tensor, size: Size, targets: Targets) -> Tensor:
        """A varied, remixed or larger picture; `latent` is its parent's, at the new size."""
        new, old = composition_of(self._request, self._models, 0), composition_of(parent, self._models)
        if new == old and self._request.prompt == parent.prompt:
            return self._redrawn(old, latent, size) if is_posed(parent) else latent
        return self._on_ground(new, old, latent, size, targets, is_anew(self._request))

    def _redrawn(self, composition: Composition, latent: Tensor, size: Size) -> Tensor:
        """The same picture with its drawings anew, at the size of the picture: they are crisper than resized ones."""
        things = self._prior.sketcher.read(composition.words)
        if not things:
            return latent
        look = composition.look
        layer = self._prior.sketcher.layer(things, composition.pose, size.height, size.width, look)
        picture = self._smooth(Ground(self._decoded(latent), layer.mask))
        image = layer.image[None] if layer.styled else looking(layer.image[None], look, self._request.settings.seed)
        return self._vqgan.encode(picture.lerp(image.to(latent.device), layer.mask.to(latent.device)))

    def _decoded(self, latent: Tensor) -> Tensor:
        return self._vqgan.decode(self._vqgan.quantise(latent)[0]).clamp(0, 1)

    def scene(self, number: int, latent: Tensor, size: Size, targets: Targets) -> Tensor:
        """A later scene of the story, remixed from the latent of the scene before it."""
        new, old = (composition_of(self._request, self._models, at) for at in (number, number - 1))
        return self._on_ground(new, old, latent, size, targets, False)

    def _on_ground(
        self, new: Composition, old: Composition, latent: Tensor, size: Size, targets: Targets, anew: bool
    ) -> Tensor:
        """Compose a picture on the ground of a picture, or on a new one if the words name another scene."""
        same = is_same_ground(self._prior.sketcher, new.words, old.words)
        another = not same or (old.look and new.look != old.look)
        if anew or another or not self._prior.sketcher.read(new.words):
            return self._compose(new, size, targets)
        things = self._prior.sketcher.read(old.words)
        picture = self._decoded(latent)
        covered = self._prior.sketcher.layer(things, old.pose, size.height, size.width).mask
        if not is_posed(self._request):
            seen = foreground(picture[0].cpu())
            covered = covered if seen is None else torch.maximum(covered, seen)
        return self._compose(new, size, targets, Ground(picture, covered, old.look))

    @torch.no_grad()
    def region(self, number: int, canvas: Canvas, size: Size, targets: Targets) -> Tensor:
        """The base of a canvas with a scene of the story in its region, `[1, 3, H, W]`."""
        composition = composition_of(self._request, self._models, number)
        pose = replace(composition.pose, right=0.0, down=0.0, scale=_FILLING)
        ground = Ground(canvas.ground, canvas.mask[0].cpu(), composition.look, bare=True)
        painted = self._painted(replace(composition, pose=pose), size, targets, ground, canvas.region)
        return canvas.over(painted)

    @torch.no_grad()
    def _compose(self, composition: Composition, size: Size, targets: Targets, ground: Ground | None = None) -> Tensor:
        """Compose a latent of `size`: the things on a scene, on plain paper or on an old ground."""
        place = slice(0, size.height), slice(0, size.width)
        return self._vqgan.encode(self._painted(composition, size, targets, ground, place))

    def _painted(
        self,
        composition: Composition,
        size: Size,
        targets: Targets,
        ground: Ground | None,
        place: tuple[slice, slice],
    ) -> Tensor:
        """The same as a picture `[1, 3, H, W]`, with the things within a part of it."""
        sketcher, device = self._prior.sketcher, self._models.device
        things = sketcher.read(composition.words)
        if things and not sketcher.scenery(composition.words).scene:
            picture = self._plain(size) if ground is None else self._smooth(ground)
        else:
            picture = self._scene(composition, bool(things), size, targets, ground)
        look, seed = composition.look, self._request.settings.seed
        kept = ground is not None and ground.look == look
        if not things:
            return picture if kept else looking(picture, look, seed)
        height, width = (part.stop - part.start for part in place)
        layer = sketcher.layer(things, composition.pose, height, width, look)
        image, mask = layer.image[None].to(device), layer.mask.to(device)
        if layer.styled and not kept:  # its drawings have the look, the ground gets it
            picture = looking(picture, look, seed)
        elif kept and not layer.styled:
            image = looking(image, look, seed)
        here = picture[:, :, place[0], place[1]]
        if layer.inked:
            here = with_rim(here, layer.mask)
        picture = picture.clone()
        picture[:, :, place[0], place[1]] = here.lerp(image, mask)
        return picture if kept or layer.styled else looking(picture, look, seed)

    def _plain(self, size: Size) -> Tensor:
        """Pale paper `[1, 3, H, W]`, a little darker or lighter towards the bottom."""
        number = int(torch.randint(len(_PAPERS), (), generator=self._generator))
        change = torch.rand(2, 1, 3, 1, 1, generator=self._generator) * 0.04 - 0.02
        ends = torch.tensor(_PAPERS[number])[None, :, None, None] / 255 + change
        down = torch.linspace(0, 1, size.height)[:, None]
        return ends[0].lerp(ends[1], down).expand(1, 3, size.height, size.width).clamp(0, 1).to(self._models.device)

    def _smooth(self, ground: Ground) -> Tensor:
        """The ground `[1, 3, H, W]` without its things; their place continues what is around it."""
        if ground.bare:
            return ground.picture
        hidden = _widened(ground.covered)
        if not hidden.any():
            return ground.picture
        return filled(ground.picture[0].cpu(), hidden)[None].to(self._models.device)

    def _scene(
        self, composition: Composition, bare: bool, size: Size, targets: Targets, ground: Ground | None
    ) -> Tensor:
        """The picture `[1, 3, H, W]` of a scene.

        Args:
            composition: names it.
            bare: things come upon it, so it shows none itself.
            size: of the picture.
            targets: choose among several candidates of the prior.
            ground: a picture whose covered part is painted; None paints all of it.
        """
        picture = self._stored(composition, size)
        if picture is None:
            _, where = scene_of(composition.words)
            return self._proposed(where if bare else composition.words, bare, size, targets, ground)
        if ground is None:
            return picture
        picture = looking(picture, ground.look, self._request.settings.seed)
        hidden = functional.avg_pool2d(_widened(ground.covered)[None], _SOFT_PX, 1, _SOFT_PX // 2)
        return ground.picture.lerp(picture, hidden.to(picture.device))

    def _stored(self, composition: Composition, size: Size) -> Tensor | None:
        """A stored picture of the scene, in the light of its time of day; None if there is none."""
        scenery = self._prior.sketcher.scenery(composition.words)
        picture, sky = (
            self._prior.sketcher.ground(name, composition.ground) for name in (scenery.scene, scenery.light)
        )
        if picture is None:
            return None
        device = self._models.device
        picture, sky = picture.to(device), None if sky is None else sky.to(device)
        if composition.ground % 4 > 1:
            picture = picture.flip(-1)
        picture, sky = _covering(picture, size), None if sky is None else _covering(sky, size)
        return lit(picture, scenery.light, sky, windows=scenery.scene == "city")

    def _proposed(self, words: str, bare: bool, size: Size, targets: Targets, ground: Ground | None) -> Tensor:
        """The prior's picture of words, see `_scene`."""
        vqgan, grid, device = self._vqgan, self._prior.network.grid, self._models.device
        edge, sides = grid * vqgan.factor, (size.height, size.width)
        sketch = torch.full((grid, grid), self._prior.network.n_codes)
        if bare:
            sketch = vqgan.nearest(vqgan.encode(torch.ones(1, 3, edge, edge, device=device)))[0].cpu()
        known, hidden = torch.full((grid, grid), -1), None
        if ground is not None:
            hidden = functional.max_pool2d(functional.adaptive_max_pool2d(ground.covered, grid), 3, 1, 1)
            codes = vqgan.nearest(vqgan.encode(_resized(ground.picture, (edge, edge))))[0].cpu()
            known = torch.where(hidden[0] > _SEEN, known, codes)
        features = self._models.perceptors[0].embed_texts([words])
        codes = self._prior.fill(features, sketch, known, self._generator, self._request.settings.candidates)
        pictures = torch.cat([vqgan.decode(vqgan.lookup(one[None])).clamp(0, 1) for one in codes])
        if len(pictures) > 1:
            pictures = pictures[targets.scores(pictures, self._models.perceptors).argmax()][None]
        painted = _resized(pictures, sides)
        if ground is None or hidden is None:
            return painted
        soft = functional.interpolate((hidden[None] > _SEEN).float(), sides, mode="bilinear")
        return ground.picture.lerp(painted, soft.to(device))


def _widened(covered: Tensor) -> Tensor:
    """A mask `[1, H, W]` with a margin of a sixteenth of its shorter side, as wide as a code's cell."""
    margin = max(1, min(covered.shape[1:]) // 32)
    return functional.max_pool2d(covered, 2 * margin + 1, 1, margin)


def _covering(picture: Tensor, size: Size) -> Tensor:
    """The middle of a picture, scaled so that it covers `size`."""
    scale = max(size.height / picture.shape[2], size.width / picture.shape[3])
    sides = max(size.height, round(picture.shape[2] * scale)), max(size.width, round(picture.shape[3] * scale))
    picture = _resized(picture, sides)
    top, left = (sides[0] - size.height) // 2, (sides[1] - size.width) // 2
    return picture[:, :, top : top + size.height, left : left + size.width]


def _resized(picture: Tensor, sides: tuple[int, int]) -> Tensor:
    if picture.shape[2:] == sides:
        return picture
    return functional.interpolate(picture, sides, mode="bicubic", antialias=True).clamp(0, 1)
