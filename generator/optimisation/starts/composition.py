"""Words and pose of a picture, from its request and its parents alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from generator.images.tensors import read_image
from generator.models.drawings.pixels import foreground, mean_colour
from generator.models.model_set import Models
from generator.models.sketch import Pose, Sketcher
from generator.models.wording import carried, drawing_of_style, look_of_style, nearest_colour, without_style
from generator.optimisation.schedule import Schedule
from generator.prompts import Scene
from generator.request import GenerationRequest

_ANEW = 0.67
"""Strength of a variation from which the ground is another one too."""


@dataclass(frozen=True)
class Composition:
    """Content of a picture.

    Attributes:
        words: for things and ground.
        pose: of the things' drawings.
        look: that the prompt asks for.
        ground: chooses among the pictures of a scene.
    """

    words: str
    pose: Pose
    look: str = ""
    ground: int = 0


def composition_of(request: GenerationRequest, models: Models, scene: int | None = None) -> Composition:
    """Words and pose of a request's scene, by default its last.

    Raises:
        InvalidRequest: if an init image cannot be read.
    """
    if scene is None:
        steps = request.stopped_at or request.settings.steps
        scene = Schedule(request.settings, 1, max(1, len(request.scenes))).scene(steps - 1)
    pieces = _pieces(models.read(request).scenes, scene)
    own = without_style(pieces)
    if scene > 0:
        before = composition_of(request, models, scene - 1)
        pose = before.pose
    elif request.parent is not None:
        before = composition_of(request.parent, models)
        pose = before.pose
        if request.settings.variation:
            pose = pose.varied(request.settings.variation, request.settings.seed)
        if request.prompt == request.parent.prompt:
            ground = request.settings.seed if is_anew(request) else before.ground
            return Composition(before.words, pose, before.look, ground)
    else:
        before = _beginning(request)
        pose = before.pose
    typed = " ".join(pieces)
    styled, look = drawing_of_style(typed), look_of_style(typed)
    if styled is not None:
        pose = replace(pose, style=styled)
    elif not look and (scene > 0 or request.parent is not None):
        look = before.look
    things, others = (() if models.prior is None else models.prior.sketcher.read(text) for text in (own, before.words))
    # In a story each scene's things have their own colours, and of several things a colour may be that of any.
    thing = things[0].words if len(things) == 1 and len(others) < 2 and scene == 0 else ""
    words = carried(own, before.words, thing)
    same = models.prior is not None and is_same_ground(models.prior.sketcher, words, before.words)
    ground = before.ground if same and not is_anew(request) else request.settings.seed + scene
    return Composition(words, pose, look, ground)


def is_anew(request: GenerationRequest) -> bool:
    """True for a variation that gets another ground."""
    return request.settings.variation >= _ANEW


def is_same_ground(sketcher: Sketcher, new: str, old: str) -> bool:
    """True if the new words leave the ground of the old ones."""
    return sketcher.scenery(new) == sketcher.scenery(old)


def _pieces(scenes: Sequence[Scene], scene: int) -> list[str]:
    """Texts of a scene's prompts with a positive weight."""
    return [prompt.text for prompt in scenes[scene].prompts if prompt.weight > 0] if scenes else []


def ground_picture(request: GenerationRequest) -> bytes | None:
    """The picture that a first picture stands on: the init image, or the first that attracts."""
    if request.init_image is not None:
        return request.init_image
    return next((item.image for item in request.image_prompts if item.weight > 0), None)


def is_posed(request: GenerationRequest) -> bool:
    """True if the poses of the picture and of all its parents follow from their requests."""
    current: GenerationRequest | None = request
    while current is not None:
        if current.settings.composition != "posed" or current.settings.start not in ("prior", "init", "parent"):
            return False
        current = current.parent
    return True


def _beginning(request: GenerationRequest) -> Composition:
    """The pose that a first picture begins with; on a picture that shows a thing, the place and colour of that."""
    if request.settings.composition != "posed":
        return Composition("", Pose())
    seed = request.settings.seed
    pose = Pose.of_seed(seed)
    ground = ground_picture(request)
    if ground is None or request.settings.masked:
        return Composition("", pose, ground=seed)
    picture = read_image(ground, request.settings.size)[0]
    mask = foreground(picture)
    if mask is None:
        return Composition("", pose, ground=seed)
    return Composition(nearest_colour(mean_colour(picture, mask)), Pose.over(mask, pose.drawing), ground=seed)
