"""Estimated time of a picture, from measurements. Pure; event loop."""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Mapping

from generator import Settings

SpeedKey = tuple[str, int, int, int]
"""Name of the models, width and height in pixels, cutouts."""

UNKNOWN_STEP_S = 0.2
BEGIN_S = 1.0
"""Time of a picture besides its steps: prompts, the start, saving."""
_WEIGHT = 0.3


class Estimates:
    """Seconds per step, a moving average for each size; unmeasured sizes are estimated from the nearest.

    The values are seconds of a step at full size: coarse steps cost less, and their number differs between pictures.
    """

    def __init__(self, known: Mapping[SpeedKey, float] | None = None) -> None:
        self._known = dict(known or {})
        self._glimpsed: dict[SpeedKey, float] = {}

    def note_unfinished(self, models: str, settings: Settings, step_s: float) -> None:
        """Record a preliminary speed of an unfinished picture; it counts until one of its size was measured."""
        self._glimpsed[_key(models, settings)] = step_s / _step_cost(settings)

    def note(self, models: str, settings: Settings, step_s: float) -> tuple[SpeedKey, float]:
        """Record the mean seconds per step of a whole picture; return the updated entry, to be stored."""
        key, full_s = _key(models, settings), step_s / _step_cost(settings)
        old = self._known.get(key)
        self._known[key] = full_s if old is None else old + _WEIGHT * (full_s - old)
        return key, self._known[key]

    def step_s(self, models: str, settings: Settings) -> float:
        """Estimate of mean seconds per step; without a similar measurement, by area and cutouts."""
        return self._full_s(_key(models, settings)) * _step_cost(settings)

    def picture_s(self, models: str, settings: Settings) -> float:
        """Seconds for one whole picture."""
        return BEGIN_S + self.step_s(models, settings) * settings.steps

    def _full_s(self, key: SpeedKey) -> float:
        known = ChainMap(self._known, self._glimpsed)
        if key in known:
            return known[key]
        same = {other: value for other, value in known.items() if other[0] == key[0]} or known
        if not same:
            return UNKNOWN_STEP_S
        nearest = min(same, key=lambda other: abs(math.log(_work(other) / _work(key))))
        return same[nearest] * _work(key) / _work(nearest)


def _key(models: str, settings: Settings) -> SpeedKey:
    return (models, settings.size.width, settings.size.height, settings.cutouts)


def _work(key: SpeedKey) -> float:
    """Relative work of a step: decoder by area, perceptor by cutouts; both weigh alike at 256x256 with 32."""
    _, width, height, cutouts = key
    return width * height / 256**2 + cutouts / 32


def _step_cost(settings: Settings) -> float:
    """Cost of a mean step as a share of one at full size: coarse ones have a quarter of the area."""
    models, width, height, cutouts = _key("", settings)
    small = _work((models, width // 2, height // 2, cutouts)) / _work((models, width, height, cutouts))
    return 1 - settings.coarse + settings.coarse * small
