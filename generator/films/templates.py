"""Templates: films by name. A template chooses the camera's way and the scenes; everything given explicitly wins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from generator.errors import InvalidRequest
from generator.films.keyframes import Track, parse_track, split_times
from generator.films.plan import MAX_SECONDS, MOVES, FilmPlan, read_values
from generator.films.prompts import story_through
from generator.messages import Message
from generator.prompts import Scene, parse_story
from generator.settings import Settings

DEFAULT = "zoom in"
LEAST_S, SCENE_S = 4.0, 2.0
"""Seconds of a film whose length is not given: at least, and for each scene."""
WANDERING_STEPS = 10


class Template(NamedTuple):
    """Values of a plan for a film of so many seconds, and endings of the prompt that make its scenes."""

    values: Callable[[float], Mapping[str, object]]
    endings: tuple[str, ...] = ()


def _ramp(seconds: float, first: float, last: float) -> Track:
    return Track(((0.0, first), (seconds, last)))


def _wave(seconds: float, rest: float, most: float) -> Track:
    return Track(((0.0, rest), (seconds / 2, most), (seconds, rest)))


TEMPLATES: Mapping[str, Template] = {
    "zoom in": Template(lambda s: {"zoom": _ramp(s, 1, 2 ** (s / 4)), "loop": True}),
    "zoom out": Template(lambda s: {"zoom": _ramp(s, 2 ** (s / 4), 1), "loop": True}),
    "fly over": Template(
        lambda s: {"y": _ramp(s, 0, -0.4 * s), "tilt": Track(((0.0, 30),)), "dissolve": 1.5, "loop": True}
    ),
    "pan": Template(lambda s: {"x": _ramp(s, 0, 0.3 * s), "loop": True}),
    "spin": Template(
        lambda s: {"turn": _ramp(s, 0, 360), "zoom": _wave(s, 1, 1.25), "shot": 0.0, "loop": True, "from_start": True}
    ),
    "breathe": Template(lambda s: {"zoom": _wave(s, 1, 1.2), "turn": _wave(s, 0, 4), "shot": 0.0, "loop": True}),
    "seasons": Template(
        lambda s: {"zoom": _ramp(s, 1, 1.5), "shot": 0.0, "loop": True},
        ("in a garden in spring", "on the beach in summer", "in autumn", "in the snow"),
    ),
    "day and night": Template(
        lambda s: {"zoom": _wave(s, 1, 1.15), "shot": 0.0, "loop": True}, ("under the sky", "at sunset", "at night")
    ),
    "still": Template(lambda s: {"shot": 0.0}),
}


def template(name: str) -> Template:
    """The template of that name.

    Raises:
        InvalidRequest: if there is none.
    """
    if name not in TEMPLATES:
        said = "There is no template {given}, only {known}."
        raise InvalidRequest(Message(said, given=repr(name[:40]), known=", ".join(TEMPLATES)), "template")
    return TEMPLATES[name]


def plan_film(prompt: str, given: Mapping[str, object], settings: Settings) -> tuple[str, FilmPlan]:
    """The story and the plan of a film, from a prompt as typed and values by name.

    Args:
        prompt: perhaps with times, such as `0s: a forest ^ 4s: a city at night`.
        given: values of FilmPlan, moves as typed keyframes, and `template`; None stands for a value that is not given.
        settings: of a picture: its steps are those of each shot's picture.

    Raises:
        InvalidRequest: with a sentence that says what is wrong.
    """
    values = {name: value for name, value in given.items() if value is not None}
    story, times = split_times(prompt)
    chosen = template(str(values.pop("template", DEFAULT)))
    parsed = parse_story(story, beside_pictures=True)
    if chosen.endings and len(parsed) == 1 and not times:
        story = story_through([[_ended(parsed[0], ending)] for ending in chosen.endings])
    scenes = max(1, len(parse_story(story, beside_pictures=True)))
    length = max(LEAST_S, SCENE_S * scenes)
    if times:
        length = max(LEAST_S, times[-1] + SCENE_S)
    seconds = values.setdefault("seconds", length)
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0.5 <= seconds <= MAX_SECONDS:
        FilmPlan(seconds=seconds)  # type: ignore[arg-type]  # says what is wrong
    length = float(seconds)  # type: ignore[arg-type]  # checked just above
    typed = {name: text for name, text in values.items() if name in MOVES and isinstance(text, str)}
    own = {name: parse_track(name, text, length) for name, text in typed.items()}
    return story, read_values({**_feedback(settings), **chosen.values(length), **values, **own, "times": times})


def _ended(scene: Scene, ending: str) -> Scene:
    """The scene with an ending to its first prompt; styles and what is to be avoided stay as they are."""
    first, *others = scene.prompts
    return Scene((first._replace(text=f"{first.text} {ending}"), *others))


def _feedback(settings: Settings) -> dict[str, object]:
    """Models that compose a picture in a few steps hold a film to its pictures; with others it wanders."""
    if settings.composition == "posed" and settings.start in ("prior", "init", "parent"):
        return {"picture_steps": settings.steps}
    return {"picture_steps": settings.steps, "carry": 1.0, "frame_steps": WANDERING_STEPS, "depth": 1.0}
