"""How long a picture takes, from what was measured. Pure; event loop."""

from __future__ import annotations

import math
from collections.abc import Mapping

from generator import Settings

SpeedKey = tuple[str, int, int, int]
"""Name of the models, width and height in pixels, cutouts."""

UNKNOWN_STEP_S = 0.2
BEGIN_S = 1.0
"""What a picture takes beside its steps: prompts, the start, saving."""
_WEIGHT = 0.3


def key_of(models: str, settings: Settings) -> SpeedKey:
    """What the time of a step depends on."""
    return (models, settings.size.width, settings.size.height, settings.cutouts)


class Speeds:
    """Seconds per step, a moving average for each size; sizes that were never measured are told from the nearest."""

    def __init__(self, known: Mapping[SpeedKey, float] | None = None) -> None:
        self._known = dict(known or {})

    def note(self, key: SpeedKey, step_s: float) -> float:
        """Take a measurement in; returns the new average."""
        old = self._known.get(key)
        self._known[key] = step_s if old is None else old + _WEIGHT * (step_s - old)
        return self._known[key]

    def step_s(self, key: SpeedKey) -> float:
        """Seconds per step, as far as one can say: where nothing like it was measured, by area and cutouts."""
        if key in self._known:
            return self._known[key]
        same = {other: value for other, value in self._known.items() if other[0] == key[0]} or self._known
        if not same:
            return UNKNOWN_STEP_S
        nearest = min(same, key=lambda other: abs(math.log(_work(other) / _work(key))))
        return same[nearest] * _work(key) / _work(nearest)

    def picture_s(self, models: str, settings: Settings, *, steps: int | None = None) -> float:
        """Seconds for one whole picture, or for so many of its steps."""
        return BEGIN_S + self.step_s(key_of(models, settings)) * (settings.steps if steps is None else steps)


def _work(key: SpeedKey) -> float:
    """Grows as a step's work does: decoder by area, perceptor by cutouts; both weigh alike at 256x256 with 32."""
    _, width, height, cutouts = key
    return width * height / 256**2 + cutouts / 32
