"""Numbers that change during a dream: `0: 1.0, 50%: 0.2`. No torch; any thread.

A keyframe is a place and a value. Places are shares of the steps or numbers of steps, all of one kind beside 0; between
two keyframes the value changes in a straight line, and outside of them it stays. Source: the keyframed parameters of
pytti (sportsracer48) and DiscoArt.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from generator.errors import InvalidRequest
from generator.messages import Message
from generator.notation.palette import NONE

MAX_KEYFRAMES = 16
_NUMBER = r"[+-]?(?:\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})"
_KEYFRAME = re.compile(rf"(\d{{1,5}}(?:\.\d{{0,4}})?)\s*(%?)\s*:\s*({_NUMBER})")


class Keyframe(NamedTuple):
    """A value at a place: a step counted from 0, or with `share` a share of the steps in 0..1."""

    place: float
    share: bool
    value: float

    def step(self, steps: int) -> float:
        """The place as a step of `steps`, of which the last is at 100%."""
        return self.place * (steps - 1) if self.share else self.place

    def __str__(self) -> str:
        place = f"{round(100 * self.place, 4):g}%" if self.share else f"{self.place:g}"
        value = f"{self.value:.9f}".rstrip("0").rstrip(".")
        return f"{place}: {value}"


class Keyframes(tuple[Keyframe, ...]):
    """At least two keyframes, in order."""

    __slots__ = ()

    @property
    def largest(self) -> float:
        """The value farthest from 0."""
        return max((frame.value for frame in self), key=abs)

    def value(self, step: int, steps: int) -> float:
        """The value in a step, counted from 0, of `steps`."""
        before = self[0]
        for after in self:
            start, end = before.step(steps), after.step(steps)
            if step < end:
                share = 0.0 if step <= start else (step - start) / (end - start)
                return before.value + (after.value - before.value) * share
            before = after
        return before.value

    def __str__(self) -> str:
        return ", ".join(map(str, self))


def looks_scheduled(value: str) -> bool:
    """True for text that is meant as keyframes rather than as one number."""
    return ":" in value


def read_keyframes(text: str, field: str) -> Keyframes:
    """Read keyframes such as `0: 1.0, 50%: 0.2`.

    Raises:
        InvalidRequest: for text that is none, places that run backwards, and too many; it names the `field`.
    """
    found = []
    for part in text.strip(" {},").split(","):
        match = _KEYFRAME.fullmatch(part.strip())
        if match is None or (match[2] and float(match[1]) > 100):
            said = "{name} must be a number, or numbers by steps such as 0: 1.0, 50%: 0.2, not {given}."
            raise InvalidRequest(Message(said, name=field, given=repr(text[:40])), field)
        place = float(match[1])
        found.append(Keyframe(place / 100 if match[2] else place, bool(match[2]), float(match[3])))
    if len(found) > MAX_KEYFRAMES:
        said = "{name} takes at most {most} keyframes, not {count}."
        raise InvalidRequest(Message(said, name=field, most=MAX_KEYFRAMES, count=len(found)), field)
    if len({frame.share for frame in found if frame.place}) > 1:
        said = "{name} mixes steps and shares; write either 10: 0.5 or 10%: 0.5 throughout."
        raise InvalidRequest(Message(said, name=field), field)
    if any(after.place <= before.place for before, after in pairwise(found)):
        said = "The keyframes of {name} run backwards; each must come after the one before it."
        raise InvalidRequest(Message(said, name=field), field)
    shares = any(frame.share for frame in found)
    return Keyframes(frame._replace(share=shares) for frame in found)


def canonical_schedules(text: str, field: str) -> str:
    """Rewrite schedules of several numbers, `NAME = KEYFRAMES; NAME = KEYFRAMES`, sorted by name; `none` stays.

    Raises:
        InvalidRequest: as `read_keyframes`.
    """
    return text_of_schedules(schedules_of(text, field))


def schedules_of(text: str, field: str = "schedules") -> dict[str, Keyframes]:
    """Schedules by name; none for `none`.

    Raises:
        InvalidRequest: as `read_keyframes`.
    """
    if text.strip() in ("", NONE):
        return {}
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip(): read_keyframes(frames, name.strip()[:40] or field) for name, _, frames in pairs}


def text_of_schedules(schedules: dict[str, Keyframes]) -> str:
    """Text of schedules, `none` without any."""
    return "; ".join(f"{name} = {frames}" for name, frames in sorted(schedules.items())) or NONE
