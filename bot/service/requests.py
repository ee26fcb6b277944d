"""From what a person typed and attached to a request that the generator can dream. Any thread but the event loop's.

Pictures are read here, so it can take a while.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from bot.config import Limits
from bot.errors import InvalidJobSpec, OverLimit
from bot.jobs import MAX_COUNT
from bot.service.values import JobSpec
from bot.texts import Sentence
from generator import (
    GenerationRequest,
    ImagePrompt,
    InvalidRequest,
    Settings,
    Size,
    TextPrompt,
    normalise_apart,
    read_setting,
)

NEGATIVE_WEIGHT = -0.5
MAX_NOTES = 8
_SETTINGS = {item.name: item for item in fields(Settings)}
_SCENE_MARK = re.compile(r"(?<!\\)\^")
_PROMPT_MARK = re.compile(r"(?<!\\)\|")
_MARKS = re.compile(r"(?<!\\)([:^])")


@dataclass(frozen=True)
class Ground:
    """What a wish is put on: the settings that hold where the person said nothing, models, limits, style.

    `starts` says by start which settings hold otherwise.
    """

    settings: Settings
    models: str
    limits: Limits
    style: str = ""
    starts: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


def build(spec: JobSpec, ground: Ground) -> GenerationRequest:
    """The request for a wish.

    Raises:
        InvalidWish: with the sentence for what is wrong, whatever it is.
        OverLimit: for what the server does not allow.
    """
    settings = _settings(spec, ground)
    check_count(spec.count, ground.limits)
    init_image = None if spec.init_image is None else _picture(spec.init_image, "init_image")
    prompts = tuple(
        _checked(ImagePrompt, image=_picture(item.data, "image_prompt"), weight=item.weight)
        for item in spec.image_prompts
    )
    request: GenerationRequest = _checked(
        GenerationRequest,
        prompt=compose(spec.prompt, ground.style, spec.negative),
        image_prompts=prompts,
        init_image=init_image,
        settings=settings,
        models=ground.models,
    )
    return request


def new_seed() -> int:
    """A seed that nobody can foresee."""
    return secrets.randbelow(2**32)


def reseeded(request: GenerationRequest) -> GenerationRequest:
    """The same request with a new seed, and all of its steps."""
    return replace(request, settings=request.settings.merged({"seed": new_seed()}), stopped_at=None)


def picture_request(request: GenerationRequest, number: int, stopped_at: int | None = None) -> GenerationRequest:
    """The request of picture `number` of a job, from that of its first: the seeds follow one another."""
    seed = (request.settings.seed + number - 1) % 2**32
    return replace(request, settings=request.settings.merged({"seed": seed}), stopped_at=stopped_at)


def compose(prompt: str, style: str, negative: str) -> str:
    """The prompt with its style and what to keep away from, in each scene of the story."""
    prompt = prompt.strip()
    if prompt.startswith("`") and prompt.endswith("`"):
        prompt = prompt.strip("`").strip()
    avoided = [_MARKS.sub(r"\\\1", part.strip()) for part in _PROMPT_MARK.split(negative) if part.strip()]
    added = [style.strip(), *(f"{part}:{NEGATIVE_WEIGHT:g}" for part in avoided)]
    scenes = [" | ".join(filter(None, [scene.strip(), *added])) for scene in _SCENE_MARK.split(prompt)]
    return " ^ ".join(scenes)


def check_limits(settings: Settings, limits: Limits) -> None:
    """See that settings keep to the limits.

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
    """See that a number of pictures keeps to the limits.

    Raises:
        InvalidWish, OverLimit
    """
    if not 1 <= count <= MAX_COUNT:
        raise InvalidJobSpec("out_of_range", field="count", name="count", low=1, high=MAX_COUNT)
    if count > limits.count:
        raise OverLimit("over_count", count=limits.count)


def notes(request: GenerationRequest) -> tuple[Sentence, ...]:
    """How the prompt was read, where there is anything to say about it."""
    scenes = request.scenes
    if [prompt[1:] for scene in scenes for prompt in scene.prompts] == [TextPrompt("")[1:]]:
        return ()
    found: list[Sentence] = []
    for number, scene in enumerate(scenes, 1):
        if len(scenes) > 1:
            found.append(Sentence.of("note_scene", number=number))
        total = sum(abs(prompt.weight) for prompt in scene.prompts) or 1.0
        found.extend(_note(prompt, total) for prompt in scene.prompts)
    if len(found) > MAX_NOTES:
        found[MAX_NOTES - 1 :] = [Sentence.of("note_more", count=len(found) - MAX_NOTES + 1)]
    return tuple(found)


def _note(prompt: TextPrompt, total: float) -> Sentence:
    key = "note_towards" if prompt.weight > 0 else "note_away" if prompt.weight < 0 else "note_ignored"
    text = prompt.text if len(prompt.text) <= 80 else f"{prompt.text[:79]}…"
    return Sentence.of(key, text=text, weight=f"{prompt.weight:g}", share=round(100 * abs(prompt.weight) / total))


def _settings(spec: JobSpec, ground: Ground) -> Settings:
    given = {name: _typed(name, value) for name, value in spec.settings.items()}
    if spec.init_image is not None:
        given.setdefault("start", "init")
    limits = ground.limits
    base = ground.settings.merged(ground.starts.get(str(given.get("start", ground.settings.start)), {}))
    # What the host set as a default gives way to the server's limits; what the person gave is refused.
    base = base.merged(
        {
            "steps": min(base.steps, limits.steps),
            "size": _shrunk(base.size, limits.size_px),
            "cutouts": min(base.cutouts, limits.cutouts),
        }
    )
    given.setdefault("seed", new_seed())
    if spec.init_image is None and given.get("start") == "init":
        raise InvalidJobSpec("start_needs_image", field="start")
    if given.get("start") == "parent":
        raise InvalidJobSpec("start_parent", field="start")
    if spec.init_image is not None and given["start"] != "init":
        raise InvalidJobSpec("start_not_init", field="start")
    settings = _merged(base, given)
    check_limits(settings, limits)
    return settings


def _merged(base: Settings, given: Mapping[str, object]) -> Settings:
    try:
        return base.merged(given)
    except InvalidRequest as exc:
        item = _SETTINGS.get(exc.field or "")
        if item is None:
            raise said(exc) from exc
        if "choices" in item.metadata:
            choices = ", ".join(item.metadata["choices"])
            raise InvalidJobSpec("not_a_choice", field=item.name, name=item.name, choices=choices) from exc
        if item.name == "size":
            raise InvalidJobSpec("not_a_size", field="size", **_range(item.metadata)) from exc
        if "low" in item.metadata:
            key = "out_of_range_whole" if item.type == "int" else "out_of_range"
            raise InvalidJobSpec(key, field=item.name, name=item.name, **_range(item.metadata)) from exc
        raise InvalidJobSpec("not_yes_or_no", field=item.name, name=item.name) from exc


def _range(metadata: Mapping[Any, Any]) -> dict[str, int | float]:
    return {"low": metadata["low"], "high": metadata["high"]}


def _typed(name: str, value: object) -> object:
    return read_setting(name, value) if isinstance(value, str) else value


def _shrunk(size: Size, most: int) -> Size:
    longest = max(size)
    if longest <= most:
        return size
    return Size(*(max(32, side * most // longest) for side in size))


def _picture(data: bytes, field: str) -> bytes:
    try:
        return normalise_apart(data)
    except InvalidRequest as exc:
        raise InvalidJobSpec("picture_says", field=field, message=Sentence.of_generator(exc.message)) from exc


def _checked(kind: Any, **values: object) -> Any:  # noqa: ANN401 - any of the generator's values
    try:
        return kind(**values)
    except InvalidRequest as exc:
        raise said(exc) from exc


def said(exc: InvalidRequest) -> InvalidJobSpec:
    """What the generator refuses, in the language of whoever reads it."""
    return InvalidJobSpec("generator_says", field=exc.field, message=Sentence.of_generator(exc.message))


def texts_of(request: GenerationRequest) -> list[str]:
    """Every text that a request says, its parents' too, for the blocklist: as typed, and the words as they are read."""
    texts: list[str] = []
    current: GenerationRequest | None = request
    while current is not None:
        words = " | ".join(prompt.text for scene in current.scenes for prompt in scene.prompts)
        texts += [current.prompt, words]
        current = current.parent
    return list(dict.fromkeys(texts))
