"""Check of a request against the models, and warnings, before it is generated.

Any thread: it reads the models and the request's pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from generator.errors import InvalidRequest
from generator.images.tensors import read_image
from generator.messages import Message
from generator.models.language.suggestions import suggestions
from generator.models.model_set import Models
from generator.models.prior import Prior
from generator.models.wording import COLOURS, style_words
from generator.notation.palette import NONE
from generator.notation.regions import PICTURE, area_of
from generator.optimisation.schedule import Schedule
from generator.optimisation.targets import unknown_words, warnings_of
from generator.prompts import Scene, wanted_words
from generator.request import GenerationRequest

_FLAT = 0.01
"""Deviation of the colours below which a picture shows nothing."""


def check_request(request: GenerationRequest, models: Models, *, with_parents: bool = True) -> None:
    """Check that these models can generate a request; its parents too, unless their latents are at hand.

    Raises:
        InvalidRequest: with a sentence about what to change.
    """
    if request.settings.start == "prior" and not (models.prior is not None and request.shows_ground):
        prior_for(models, models.read(request).scenes)
    _check_region(request)
    check_upscaler(request, models.upscaler_name)
    if request.parent is not None and with_parents:
        if request.parent.models != models.name:
            text = "The parent was painted by the models {models}; load those."
            raise InvalidRequest(Message(text, models=repr(request.parent.models)), "models")
        # A parent's final latent is needed, not its enlarged picture.
        bare = request.parent.settings.merged({"upscaler": NONE})
        check_request(replace(request.parent, settings=bare), models)


def check_upscaler(request: GenerationRequest, ours: str | None) -> None:
    """Check that the upscaler of a request is the one that is here, if any is.

    Raises:
        InvalidRequest: if not.
    """
    wanted = request.settings.upscaler
    if wanted != NONE and ours is None:
        text = "This picture needs the upscaler {wanted}, and there is none here; leave it out."
        raise InvalidRequest(Message(text, wanted=repr(wanted)), "upscaler")
    if wanted not in (NONE, ours):
        text = "This picture needs the upscaler {wanted}, and here is only {ours}; choose that, or leave it out."
        raise InvalidRequest(Message(text, wanted=repr(wanted), ours=repr(ours)), "upscaler")


def _check_region(request: GenerationRequest) -> None:
    """Refuse words for a part of a picture of one colour, which has none."""
    settings = request.settings
    for name, region in (("keep", settings.keep), ("repaint", settings.repaint)):
        if region in (NONE, PICTURE) or area_of(region) is not None or request.init_image is None:
            continue
        if float(read_image(request.init_image)[0].flatten(1).std(dim=1).max()) < _FLAT:
            text = (
                "{name}: the picture shows nothing that stands out, so its {words} cannot be found; "
                "give a box or a mask."
            )
            raise InvalidRequest(Message(text, name=name, words=repr(region[:60])), "mask")


def prior_for(models: Models, scenes: Sequence[Scene]) -> tuple[Prior, str]:
    """The prior for start 'prior', and the words that it needs, from the scenes as they are read.

    Raises:
        InvalidRequest: if there is no prior, or there are no words.
    """
    if models.prior is None:
        text = "The models {models} have no prior; choose another start, such as 'random'."
        raise InvalidRequest(Message(text, models=repr(models.name)), "start")
    words = wanted_words(scenes)
    if not words:
        text = "start 'prior' needs words to come near to; add some or choose another start."
        raise InvalidRequest(Message(text), "start")
    return models.prior, words


def request_warnings(request: GenerationRequest, models: Models) -> tuple[str, ...]:
    """Warnings for the requester: cut off or unknown words, with suggestions, and sizes and scenes that do not fit."""
    schedule = Schedule(request.settings, models.drawer(request.settings).factor, max(1, len(request.scenes)))
    read = models.read(request)
    texts = [prompt.text for scene in read.scenes for prompt in scene.prompts]
    # The prior's start knows styles by their names, without a perceptor.
    posed = request.settings.composition == "posed" and request.settings.start in ("prior", "init", "parent")
    styled = models.prior is not None and posed
    styles = frozenset().union(*map(style_words, texts)) if styled else frozenset()
    unknown = [word for text in texts for word in unknown_words(text, models.perceptors, styles)]
    known = models.things | COLOURS.keys() if models.things else models.things
    suggested = suggestions([*unknown, *read.unknown], known, models.examples)
    return (*read.notes, *warnings_of(read, models.perceptors, styles), *suggested, *schedule.warnings())
