"""Check of a request against the models, and warnings, before it is generated.

Any thread: it reads the models and the request's pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from generator.errors import InvalidRequest
from generator.images.tensors import read_image
from generator.messages import Message
from generator.models.language.parsing import SILENT, Parsed
from generator.models.language.suggestions import suggestions
from generator.models.model_set import Models
from generator.models.prior import Prior
from generator.models.sketch import Sketcher
from generator.models.wording import COLOURS, names_ground, style_words, without_style
from generator.notation.palette import NONE
from generator.notation.regions import PICTURE, area_of
from generator.optimisation.schedule import Schedule
from generator.optimisation.targets import never_seen, unknown_words, warnings_of
from generator.prompts import Scene, wanted_words
from generator.request import GenerationRequest
from generator.settings import Settings

_SHOWN = 5
"""Words that a sentence lists."""
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
    if request.init_image is None:
        return
    for name, region in _named_regions(request.settings):
        if float(read_image(request.init_image)[0].flatten(1).std(dim=1).max()) < _FLAT:
            text = (
                "{name}: the picture shows nothing that stands out, so its {words} cannot be found; "
                "give a box or a mask."
            )
            raise InvalidRequest(Message(text, name=name, words=repr(region[:60])), "mask")


def _named_regions(settings: Settings) -> list[tuple[str, str]]:
    """The options that name a part of the init image in words, with these words."""
    named = [("keep", settings.keep), ("repaint", settings.repaint)]
    return [(name, text) for name, text in named if text not in (NONE, PICTURE) and area_of(text) is None]


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
    parsed = [] if models.prior is None or not posed else _parsed(models.prior.sketcher, read.scenes)
    kinds = {thing.words: thing.kind for each in parsed for thing in each.things if thing.kind}
    # Silent words matter to nobody once the picture shows something.
    silent = SILENT if any(each.things or each.scenery.scene for each in parsed) else frozenset()
    understood = styles.union(silent, *map(str.split, kinds))
    unknown = [word for text in texts for word in unknown_words(text, models.perceptors, understood)]
    unused = dict.fromkeys(word for each in parsed for word in each.unused if word not in {*unknown, *styles})
    uncombined = dict.fromkeys(word for each in parsed for word in each.uncombined if word not in styles)
    known = models.things | COLOURS.keys() if models.things else models.things
    lost = [] if any(each.things or each.scenery.scene for each in parsed) else unused
    suggested = suggestions([*unknown, *read.unknown, *lost], known, models.examples)
    warnings = warnings_of(read, models.perceptors, understood)
    for _, words in _named_regions(request.settings):
        if not names_ground(words):
            reading = models.read_words(request, words)
            warnings += (*reading.notes, *never_seen(reading, models.perceptors))
    return (
        *read.notes,
        *warnings,
        *_left_out(kinds, tuple(unused), tuple(uncombined)),
        *suggested,
        *schedule.warnings(),
    )


def _parsed(sketcher: Sketcher, scenes: Sequence[Scene]) -> list[Parsed]:
    wanted = [[prompt.text for prompt in scene.prompts if prompt.weight > 0] for scene in scenes]
    return [sketcher.parse(without_style(pieces)) for pieces in wanted if pieces]


def _left_out(kinds: Mapping[str, str], unused: Sequence[str], uncombined: Sequence[str]) -> list[Message]:
    """Sentences about things that are drawn as others, and about words that change nothing."""
    text = "“{typed}” is drawn as “{kind}”: these models have no drawing of it."
    found = [Message(text, typed=typed[:40], kind=kind) for typed, kind in list(kinds.items())[:_SHOWN]]
    if unused:
        text = "The picture does not show {words}: these models have no drawing of that."
        found.append(Message(text, words=_quoted(unused)))
    if uncombined:
        text = "The picture does not show {words}: these models cannot combine that with the rest."
        found.append(Message(text, words=_quoted(uncombined)))
    return found


def _quoted(words: Sequence[str]) -> str:
    return ", ".join(f"“{word[:40]}”" for word in words[:_SHOWN])
