"""Build a generator request from typed text and attachments. Any thread except the event loop's.

Pictures are read here, so it can take a while.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, fields, replace
from types import MappingProxyType
from typing import Any

from bot.config import Limits
from bot.errors import InvalidJobSpec, OverLimit
from bot.jobs import MAX_COUNT
from bot.options import Typed, ratio_of, shaped, unknown_in
from bot.service.values import ImageInput, JobSpec
from bot.texts import Sentence
from generator import (
    MAX_PROMPT_CHARACTERS,
    GenerationRequest,
    ImagePrompt,
    InvalidRequest,
    Scene,
    Settings,
    Size,
    TextPrompt,
    canvas_size,
    film_through,
    normalise_apart,
    parse_story,
    plan_film,
    read_setting,
    suggestions_for,
    wanted_words,
)

NEGATIVE_WEIGHT = -0.5
MAX_NOTES = 8
SHOWN_OPTIONS, SHOWN_OPTION = 5, 30
POSES = 4
"""Four seeds in a row are the four combinations of drawing and direction (docs/starter-models.md)."""
REGIONS = ("keep", "repaint")
"""Settings that hold words for a region of a picture."""
MASKS = (*REGIONS, "outpaint")
"""Settings that change a part of a picture."""
_SETTINGS = {item.name: item for item in fields(Settings)}
_SCENE_MARK = re.compile(r"(?<!\\)\^")
_PROMPT_MARK = re.compile(r"(?<!\\)\|")
_MARKS = re.compile(r"(?<!\\)([:^])")


def build(
    spec: JobSpec,
    limits: Limits,
    *,
    settings: Settings,
    models: str,
    style: str = "",
    starts: Mapping[str, Mapping[str, object]] = MappingProxyType({}),
) -> GenerationRequest:
    """Build the request for a job spec.

    `settings` hold the values that the spec leaves out; `starts` overrides them by start. `style` is text to add to
    the prompt.

    Raises:
        InvalidJobSpec: with a sentence about the error.
        OverLimit: if the server does not allow it.
    """
    prompt = compose(spec.prompt, style, spec.negative)
    settings = _settings(spec, limits, _possible(settings, prompt, spec), starts)
    check_count(spec.count, limits)
    init_image = None if spec.init_image is None else _picture(spec.init_image, "init_image")
    mask = None if spec.mask is None else _picture(spec.mask, "mask")
    if init_image is not None and settings.masked and "size" not in spec.settings:
        settings = merged(settings, {"size": canvas_size(init_image, settings, limits.size_px)}, limits)
    request: GenerationRequest = _checked(
        GenerationRequest,
        prompt=prompt,
        image_prompts=image_prompts_of(spec.image_prompts),
        init_image=init_image,
        mask=mask,
        settings=settings,
        models=models,
    )
    return request


def image_prompts_of(given: Sequence[ImageInput]) -> tuple[ImagePrompt, ...]:
    """Attached files as image prompts.

    Raises:
        InvalidJobSpec: if one is no picture.
    """
    return tuple(_checked(ImagePrompt, image=_picture(item.data, "image_prompt"), weight=item.weight) for item in given)


def filmed(
    request: GenerationRequest, values: Mapping[str, object], limits: Limits, *, shortened: bool = False
) -> GenerationRequest:
    """The request for a film, from that for its pictures and the values of its plan as typed.

    It is cut to the length that the server allows if it is to be `shortened`. With `seeds` among the values, whole
    numbers, it goes through the pictures of the prompt with these seeds.

    Raises:
        InvalidJobSpec: with a sentence about the error.
        OverLimit: if it has more steps of frames than the server allows for a picture.
    """
    try:
        if isinstance(seeds := values.get("seeds"), list):
            first = replace(request, prompt=" ^ ".join(_SCENE_MARK.split(request.prompt)[:1]))
            pictures = [replace(first, settings=first.settings.merged({"seed": seed})) for seed in seeds]
            plain = {name: value for name, value in values.items() if name != "seeds"}
            request = film_through(pictures, plain, request.settings)
            check_film(request, limits)
            return request
        story, plan = plan_film(request.prompt, values, request.settings)
        most = limits.steps // (plan.fps * plan.frame_steps)
        if shortened and 1 <= most < plan.seconds:
            story, plan = plan_film(request.prompt, {**values, "seconds": float(most)}, request.settings)
        request = replace(request, prompt=story, film=plan)
    except InvalidRequest as exc:
        raise said(exc) from exc
    check_film(request, limits)
    return request


def morphed(
    pictures: Sequence[GenerationRequest], values: Mapping[str, object], settings: Settings, limits: Limits
) -> GenerationRequest:
    """The request for a film through finished pictures, of the size of the first one.

    Raises:
        InvalidJobSpec, OverLimit: as `filmed`.
    """
    settings = settings.merged({"size": pictures[0].settings.size, "seed": new_seed()})
    try:
        request = film_through(pictures, values, settings)
    except InvalidRequest as exc:
        raise said(exc) from exc
    check_film(request, limits)
    return request


def check_film(request: GenerationRequest, limits: Limits) -> None:
    """Check that a film has no more steps of frames than the server allows for a picture.

    Raises:
        OverLimit
    """
    plan = request.film
    if plan is not None and plan.frames * plan.frame_steps > limits.steps:
        most = limits.steps / (plan.fps * plan.frame_steps)
        raise OverLimit("over_film", seconds=math.floor(most) if most >= 1 else round(most, 2))


def with_typed(spec: JobSpec, found: Typed) -> JobSpec:
    """The spec with the options that were typed into its prompt; an option given beside the prompt goes before them."""
    return replace(
        spec,
        prompt=found.prompt,
        settings={**found.settings, **spec.settings},
        negative=" | ".join(filter(None, (spec.negative, found.negative))),
        style=found.style if spec.style is None else spec.style,
        model=found.model if spec.model is None else spec.model,
        preset=found.preset if spec.preset is None else spec.preset,
        count=found.count if spec.count == 1 else spec.count,
        private=(found.private or None) if spec.private is None else spec.private,
        timelapse=spec.timelapse or found.timelapse,
    )


def with_size(settings: Settings, size: str) -> Settings:
    """The settings with a size or ratio as typed; unchanged without one."""
    ratio = ratio_of(size)
    if ratio is not None:
        return settings.merged({"size": shaped(ratio, math.sqrt(settings.size.width * settings.size.height))})
    return settings.merged({"size": size}) if size else settings


def new_seed() -> int:
    """An unpredictable seed."""
    return secrets.randbelow(2**32)


def reseeded(request: GenerationRequest) -> GenerationRequest:
    """The same request with a new seed, and all of its steps.

    Seeds of the same rest give a composed picture the same drawing in the same direction: the new one has another.
    """
    old = request.settings.seed
    while (seed := new_seed()) % POSES == old % POSES:
        pass
    return replace(request, settings=request.settings.merged({"seed": seed}), stopped_at=None)


def picture_request(request: GenerationRequest, number: int, stopped_at: int | None = None) -> GenerationRequest:
    """Request of picture `number` of a job, from that of its first: seeds are consecutive."""
    seed = (request.settings.seed + number - 1) % 2**32
    return replace(request, settings=request.settings.merged({"seed": seed}), stopped_at=stopped_at)


def compose(prompt: str, style: str, negative: str) -> str:
    """Compose prompt, style and negative prompt in each scene of the story."""
    prompt = prompt.strip()
    if prompt.startswith("`") and prompt.endswith("`"):
        prompt = prompt.strip("`").strip()
    avoided = [_MARKS.sub(r"\\\1", part.strip()) for part in _PROMPT_MARK.split(negative) if part.strip()]
    added = [style.strip(), *(f"{part}:{NEGATIVE_WEIGHT:g}" for part in avoided)]
    scenes = [" | ".join(filter(None, [scene.strip(), *added])) for scene in _SCENE_MARK.split(prompt)]
    return " ^ ".join(scenes)


def check_limits(settings: Settings, limits: Limits) -> None:
    """Check settings against the limits.

    Raises:
        OverLimit
    """
    if settings.steps > limits.steps:
        raise OverLimit("over_steps", most=limits.steps)
    if max(settings.size) > limits.size_px:
        raise OverLimit("over_size", most=limits.size_px)
    if settings.cutouts > limits.cutouts:
        raise OverLimit("over_cutouts", most=limits.cutouts)


def check_count(count: int, limits: Limits) -> None:
    """Check a number of pictures against the limits.

    Raises:
        InvalidJobSpec, OverLimit
    """
    if not 1 <= count <= MAX_COUNT:
        raise InvalidJobSpec("out_of_range", field="count", name="count", low=1, high=MAX_COUNT)
    if count > limits.count:
        raise OverLimit("over_count", count=limits.count)


def unknown_options(prompt: str) -> tuple[Sentence, ...]:
    """A note that names the words of a prompt that look like options and are none."""
    names = ", ".join(f"“{name[:SHOWN_OPTION]}”" for name in unknown_in(prompt)[:SHOWN_OPTIONS])
    return (Sentence.of("note_unknown_options", names=names),) if names else ()


def notes(request: GenerationRequest) -> tuple[Sentence, ...]:
    """Notes about the reading of the prompt, if any."""
    scenes = request.scenes
    if all([prompt[1:] for prompt in scene.prompts] == [TextPrompt("")[1:]] for scene in scenes):
        return ()
    found: list[Sentence] = []
    for number, scene in enumerate(scenes, 1):
        total = sum(abs(prompt.weight) for prompt in scene.prompts) or 1.0
        read = [_note(prompt, total) for prompt in scene.prompts]
        story = len(scenes) > 1
        found += [Sentence.of("note_in_scene", number=number, note=note) for note in read] if story else read
    if len(found) > MAX_NOTES:
        found[MAX_NOTES - 1 :] = [Sentence.of("note_more", count=len(found) - MAX_NOTES + 1)]
    return tuple(found)


def _note(prompt: TextPrompt, total: float) -> Sentence:
    key = "note_towards" if prompt.weight > 0 else "note_away" if prompt.weight < 0 else "note_ignored"
    text = prompt.text if len(prompt.text) <= 80 else f"{prompt.text[:79]}…"
    return Sentence.of(key, text=text, weight=f"{prompt.weight:g}", share=round(100 * abs(prompt.weight) / total))


def _settings(spec: JobSpec, limits: Limits, base: Settings, starts: Mapping[str, Mapping[str, object]]) -> Settings:
    given = {name: typed(name, value) for name, value in spec.settings.items()}
    if spec.init_image is not None:
        given.setdefault("start", "init")
    if spec.mask is not None and "keep" not in given:
        given.setdefault("repaint", "picture")
    base = base.merged(suggestions_for(str(given.get("start", base.start)), {**base.as_dict(), **given}, starts))
    # The host's defaults give way to the server's limits; values from the requester are refused.
    base = base.merged(
        {
            "steps": min(base.steps, limits.steps),
            "size": _shrunk(base.size, limits.size_px),
            "cutouts": min(base.cutouts, limits.cutouts),
        }
    )
    if (ratio := ratio_of(given.get("size"))) is not None:
        given["size"] = shaped(ratio, math.sqrt(base.size.width * base.size.height), limits.size_px)
    given.setdefault("seed", new_seed())
    if spec.init_image is None and given.get("start") == "init":
        raise InvalidJobSpec("start_needs_image", field="start")
    if given.get("start") == "parent":
        raise InvalidJobSpec("start_parent", field="start")
    if spec.init_image is not None and given["start"] != "init":
        raise InvalidJobSpec("start_not_init", field="start")
    settings = merged(base, given, limits)
    check_limits(settings, limits)
    return settings


def _possible(base: Settings, prompt: str, spec: JobSpec) -> Settings:
    """The defaults for a prompt.

    Without words to come near to, the prior cannot propose a start; for posed compositions pictures do as well. There
    each scene of a story has as many steps as a picture.
    """
    scenes = _scenes(prompt)
    posed = base.composition == "posed"
    if posed and len(scenes) > 1:
        base = base.merged({"steps": min(base.steps * len(scenes), _SETTINGS["steps"].metadata["high"])})
    if base.start != "prior" or wanted_words(scenes) or (posed and any(item.weight > 0 for item in spec.image_prompts)):
        return base
    return base.merged({"start": "random"})


def _scenes(prompt: str) -> tuple[Scene, ...]:
    """The scenes of a composed prompt; the request itself checks if they need a picture beside them."""
    try:
        return parse_story(prompt, beside_pictures=True)
    except InvalidRequest as exc:
        raise said(exc) from exc


def merged(base: Settings, given: Mapping[str, object], limits: Limits) -> Settings:
    """The settings changed by the given values; a value out of range is refused with what this server allows.

    Raises:
        InvalidJobSpec
    """
    try:
        return base.merged(given)
    except InvalidRequest as exc:
        item = _SETTINGS.get(exc.field or "")
        if item is None:
            raise said(exc) from exc
        if "colours" in item.metadata or "read" in item.metadata:
            raise said(exc) from exc
        if "choices" in item.metadata:
            choices = ", ".join(item.metadata["choices"])
            raise InvalidJobSpec("not_a_choice", field=item.name, name=item.name, choices=choices) from exc
        if ":" in str(given.get(item.name, "")):
            raise said(exc) from exc
        if item.name == "size":
            raise InvalidJobSpec("not_a_size", field="size", **_range(item, limits.size_px)) from exc
        if "low" in item.metadata:
            key = "out_of_range_whole" if item.type == "int" else "out_of_range"
            bounds = _range(item, getattr(limits, item.name, None))
            raise InvalidJobSpec(key, field=item.name, name=item.name, **bounds) from exc
        raise InvalidJobSpec("not_yes_or_no", field=item.name, name=item.name) from exc


def _range(item: Field[Any], most: int | None) -> dict[str, int | float]:
    low, high = item.metadata["low"], item.metadata["high"]
    return {"low": low, "high": high if most is None else min(high, most)}


def typed(name: str, value: object) -> object:
    """A setting's value from what a person typed, or unchanged."""
    return read_setting(name, value) if isinstance(value, str) else value


def _shrunk(size: Size, most: int) -> Size:
    longest = max(size)
    if longest <= most:
        return size
    return Size(*(max(32, side * most // longest) for side in size))


def _picture(data: bytes, field: str) -> bytes:
    try:
        return normalise_apart(data, mask=field == "mask")
    except InvalidRequest as exc:
        raise InvalidJobSpec("picture_says", field=field, message=Sentence.of_generator(exc.message)) from exc


def _checked(kind: Any, **values: object) -> Any:  # noqa: ANN401 - any of the generator's values
    try:
        return kind(**values)
    except InvalidRequest as exc:
        raise said(exc) from exc


def said(exc: InvalidRequest) -> InvalidJobSpec:
    """The generator's error as ours, translated for its reader."""
    return InvalidJobSpec("generator_says", field=exc.field, message=Sentence.of_generator(exc.message))


def texts_of_spec(spec: JobSpec, style: str) -> list[str]:
    """Every text of a job spec, for the blocklist: as typed, with its style, and the words as they are read.

    It opens no picture.

    Raises:
        InvalidJobSpec: for a prompt that cannot be read.
    """
    prompt = compose(spec.prompt, style, spec.negative)
    scenes = _scenes(prompt)
    # After the longest prompt there can only be spaces, or the prompt would have been refused.
    regions = [str(spec.settings.get(name, "")) for name in REGIONS]
    typed = [text[:MAX_PROMPT_CHARACTERS] for text in (spec.prompt, spec.negative, *filter(None, regions))]
    return list(dict.fromkeys([*typed, prompt, _words(scenes)]))


def texts_of(request: GenerationRequest) -> list[str]:
    """Every text of a request, its parents and its film's pictures, for the blocklist: as typed, and as it is read."""
    texts: list[str] = []
    for part in parts_of(request):
        texts += [part.prompt, _words(part.scenes)]
        texts += [text for name in REGIONS if (text := getattr(part.settings, name)) != "none"]
    return list(dict.fromkeys(texts))


def parts_of(request: GenerationRequest) -> Iterator[GenerationRequest]:
    """The request, the pictures that its film goes through, and the parents of all of them."""
    for first in (request, *request.pictures):
        current: GenerationRequest | None = first
        while current is not None:
            yield current
            current = current.parent


def _words(scenes: Sequence[Scene]) -> str:
    return " | ".join(prompt.text for scene in scenes for prompt in scene.prompts)
