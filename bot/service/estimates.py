"""Estimated time of a picture, from measurements. Pure; event loop."""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Mapping
from statistics import fmean

from generator import Settings

SpeedKey = tuple[str, int, int, int, str]
"""Name of the models, width and height in pixels, cutouts, kind of device (empty if unknown)."""
_DEVICE = 4

UNKNOWN_STEP_S = 0.2
UNKNOWN_LOAD_S = 10.0
BEGIN_S = 1.0
"""Time of a picture besides its steps: prompts, the start, saving."""
_WEIGHT = 0.3


class Estimates:
    """Seconds per step, a moving average for each size and kind of device; unmeasured sizes are estimated.

    The values are seconds of a step at full size: coarse steps cost less, and their number differs between pictures.
    Without a device, estimates are means over the devices that were measured.
    """

    def __init__(self, known: Mapping[SpeedKey, float] | None = None) -> None:
        self._known = dict(known or {})
        self._glimpsed: dict[SpeedKey, float] = {}
        self._loads: dict[tuple[str, str], float] = {}

    def note_unfinished(self, models: str, settings: Settings, step_s: float, device: str = "") -> None:
        """Record a preliminary speed of an unfinished picture; it counts until one of its size was measured."""
        self._glimpsed[_key(models, settings, device)] = step_s / _step_cost(settings)

    def note(self, models: str, settings: Settings, step_s: float, device: str = "") -> tuple[SpeedKey, float]:
        """Record the mean seconds per step of a whole picture; return the updated entry, to be stored."""
        key, full_s = _key(models, settings, device), step_s / _step_cost(settings)
        old = self._known.get(key)
        self._known[key] = full_s if old is None else old + _WEIGHT * (full_s - old)
        return key, self._known[key]

    def note_load(self, models: str, load_s: float, device: str = "") -> None:
        """Record the seconds that loading a model set took."""
        self._loads[models, device] = load_s

    def step_s(self, models: str, settings: Settings, device: str = "") -> float:
        """Estimate of mean seconds per step; without a similar measurement, by area and cutouts."""
        return self._full_s(_key(models, settings, device)) * _step_cost(settings)

    def picture_s(self, models: str, settings: Settings, device: str = "") -> float:
        """Seconds for one whole picture, its models being loaded."""
        return BEGIN_S + self.step_s(models, settings, device) * settings.steps

    def load_s(self, models: str, device: str = "") -> float:
        """Seconds to load a model set: as measured on that device, else on another, else UNKNOWN_LOAD_S."""
        others = [load_s for (name, _), load_s in self._loads.items() if name == models]
        return self._loads.get((models, device), max(others, default=UNKNOWN_LOAD_S))

    def _full_s(self, key: SpeedKey) -> float:
        known = ChainMap(self._known, self._glimpsed)
        if key in known:
            return known[key]
        same = {other: value for other, value in known.items() if other[0] == key[0]} or known
        if not same:
            return UNKNOWN_STEP_S
        devices = {other[_DEVICE] for other in same} - {""} or {""}
        if key[_DEVICE] in devices:
            devices = {key[_DEVICE]}
        return fmean(_nearest(key, {k: v for k, v in same.items() if k[_DEVICE] == device}) for device in devices)


def _nearest(key: SpeedKey, same: Mapping[SpeedKey, float]) -> float:
    nearest = min(same, key=lambda other: abs(math.log(_work(other) / _work(key))))
    return same[nearest] * _work(key) / _work(nearest)


def _key(models: str, settings: Settings, device: str = "") -> SpeedKey:
    return (models, settings.size.width, settings.size.height, settings.cutouts, device)


def _work(key: SpeedKey) -> float:
    """Relative work of a step: decoder by area, perceptor by cutouts; both weigh alike at 256x256 with 32."""
    _, width, height, cutouts, _ = key
    return width * height / 256**2 + cutouts / 32


def _step_cost(settings: Settings) -> float:
    """Cost of a mean step as a share of one at full size: coarse ones have a quarter of the area."""
    width, height, cutouts = settings.size.width, settings.size.height, settings.cutouts
    small = _work(("", width // 2, height // 2, cutouts, "")) / _work(("", width, height, cutouts, ""))
    return 1 - settings.coarse + settings.coarse * small
