"""Keyframes: values and prompts with times, such as `0s: 1 ^ 4s: 2` and `0s: a forest ^ 4s: a city at night`.

A curve passes through all its keys and never swings beyond two of them: a monotone cubic, which for two keys is a
straight line. Source: Fritsch and Carlson, "Monotone Piecewise Cubic Interpolation", SIAM J. Numer. Anal. 17 (1980).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from generator.errors import InvalidRequest
from generator.messages import Message

MAX_KEYS = 64
_TIMED = re.compile(r"\s*(\d{1,5}(?:[.,]\d{1,3})?)\s*s\s*:\s*(.*)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?\d{1,9}(?:[.,]\d{1,9})?")
_BETWEEN = re.compile(r"(?<!\\)\^")


@dataclass(frozen=True)
class Track:
    """A value over time: pairs of seconds and value, in order; without any it is 0 throughout."""

    keys: tuple[tuple[float, float], ...] = ()

    def at(self, time_s: float) -> float:
        """The value at a time; before the first key and after the last one it stays."""
        keys = self.keys
        if not keys:
            return 0.0
        if time_s <= keys[0][0]:
            return keys[0][1]
        if time_s >= keys[-1][0]:
            return keys[-1][1]
        number = next(n for n in range(1, len(keys)) if time_s < keys[n][0])
        (start, low), (end, high) = keys[number - 1 : number + 1]
        share, length = (time_s - start) / (end - start), end - start
        first, second = self._slope(number - 1) * length, self._slope(number) * length
        bend = first + second - 2 * (high - low)
        return low + share * (first + share * (3 * (high - low) - 2 * first - second + share * bend))

    def _slope(self, number: int) -> float:
        """Slope at a key: the harmonic mean of those on its sides, and 0 at a turn."""
        slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(self.keys[max(0, number - 1) : number + 2])]
        if len(slopes) == 1:
            return slopes[0]
        before, after = slopes
        return 0.0 if before * after <= 0 else 2 * before * after / (before + after)


def parse_track(name: str, text: str, seconds: float) -> Track:
    """Read the keyframes of a value; one number alone is where it arrives at the end, from its rest.

    Raises:
        InvalidRequest: with a sentence that says what is wrong.
    """
    parts = _BETWEEN.split(text)
    if len(parts) > MAX_KEYS:
        said = "{name} has {count} keyframes; at most {most} are allowed."
        raise InvalidRequest(Message(said, name=name, count=len(parts), most=MAX_KEYS), name)
    if len(parts) == 1 and _NUMBER.fullmatch(parts[0].strip()):
        rest = 1.0 if name == "zoom" else 0.0
        return Track(((0.0, rest), (seconds, _number(parts[0]))))
    keys = []
    for part in parts:
        timed = _TIMED.fullmatch(part)
        if timed is None or not _NUMBER.fullmatch(timed[2].strip()):
            said = "{name} cannot be {given}; write keyframes such as '0s: 1 ^ 4s: 2', or one number."
            raise InvalidRequest(Message(said, name=name, given=repr(part.strip()[:40])), name)
        keys.append((_number(timed[1]), _number(timed[2])))
    check_times([time_s for time_s, _ in keys], seconds, name)
    return Track(tuple(keys))


def split_times(prompt: str) -> tuple[str, tuple[float, ...]]:
    """Take the times out of a prompt: the story without them, and the second at which each scene is reached.

    Raises:
        InvalidRequest: if some scenes have a time and others none, or the times are out of order.
    """
    parts = _BETWEEN.split(prompt)
    timed = [_TIMED.fullmatch(part) for part in parts]
    if not any(timed):
        return prompt, ()
    if timed[0] is None:
        timed[0] = _TIMED.fullmatch(f"0s: {parts[0]}")
    found = [match for match in timed if match is not None]
    if len(found) < len(timed):
        said = "Give every scene of the film a time, as in '0s: a forest ^ 4s: a city at night', or none."
        raise InvalidRequest(Message(said), "prompt")
    times = [_number(match[1]) for match in found]
    check_times(times, math.inf, "prompt")
    return " ^ ".join(match[2].strip() for match in found), tuple(times)


def check_times(times: Sequence[float], seconds: float, name: str) -> None:
    """Check that times rise and lie within the film.

    Raises:
        InvalidRequest: if they do not.
    """
    for before, after in pairwise(times):
        if after <= before:
            said = "The keyframes of {name} are out of order: {after} s comes after {before} s."
            raise InvalidRequest(Message(said, name=name, after=f"{after:g}", before=f"{before:g}"), name)
    if times and times[-1] > seconds:
        said = "{name} has a keyframe at {time} s, and the film ends after {seconds} s."
        raise InvalidRequest(Message(said, name=name, time=f"{times[-1]:g}", seconds=f"{seconds:g}"), name)


def _number(text: str) -> float:
    return float(text.strip().replace(",", "."))
