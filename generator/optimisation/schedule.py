"""Values that change from step to step: size, learning rate, cutouts, scene, pull, and the end. No torch; any thread.

Steps count from 0 here: `step` is the number of steps made before the one in question.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from generator.messages import Message
from generator.notation.keyframes import Keyframes, schedules_of
from generator.settings import Settings, Size

# The loss jumps with the crops, so the plateau uses its moving average.
_SMOOTHING = 0.9
# A step at full size costs about this many at half size: four times the pixels, but as many crops.
_FINE_COST = 3.0


@dataclass(frozen=True)
class Schedule:
    """Schedule of one dream.

    Attributes:
        settings: of the request.
        factor: pixels of one code's side.
        scenes: number of scenes in the story, at least one.
    """

    settings: Settings
    factor: int
    scenes: int

    @property
    def size(self) -> Size:
        """Size of the finished picture: the requested one, rounded to the nearest that the model can generate.

        It is a multiple of the factor, or of twice the factor if half the size is generated first.
        """
        unit = self.factor * (2 if self.coarse_steps else 1)
        width, height = (max(unit, (side + unit // 2) // unit * unit) for side in self.settings.size)
        return Size(width, height)

    @property
    def coarse_steps(self) -> int:
        """Number of steps made at half size; fewer than all."""
        return int(self.settings.coarse * self.settings.steps)

    def is_coarse(self, step: int) -> bool:
        """True if a step is made at half size."""
        return step < self.coarse_steps

    def size_at(self, step: int) -> Size:
        """Picture size in a step."""
        return Size(self.size.width // 2, self.size.height // 2) if self.is_coarse(step) else self.size

    @cached_property
    def _schedules(self) -> Mapping[str, Keyframes]:
        return schedules_of(self.settings.schedules)

    def value(self, name: str, step: int) -> float:
        """The number `name` of the settings in a step."""
        frames = self._schedules.get(name)
        value: float = getattr(self.settings, name)
        return value if frames is None else frames.value(step, self.settings.steps)

    @property
    def cutouts_change(self) -> bool:
        """True if the number of cutouts changes during the dream."""
        return "cutouts" in self._schedules

    def cutouts(self, step: int) -> int:
        """Number of cutouts."""
        return max(1, round(self.value("cutouts", step)))

    def learning_rate(self, step: int) -> float:
        """Learning rate: a half cosine from `learning_rate` to its share `learning_rate_end` at the last step.

        Source: Loshchilov and Hutter, "SGDR", arXiv 1608.03983, without restarts.
        """
        end = self.settings.learning_rate_end
        return self.value("learning_rate", step) * (
            end + (1 - end) * (1 + math.cos(math.pi * self._progress(step))) / 2
        )

    def overviews(self, step: int) -> int:
        """Number of cutouts that see the whole picture."""
        first, last = self.settings.overview, self.settings.overview_end
        return round(self.cutouts(step) * (first + (last - first) * self._progress(step)))

    def pull(self, step: int) -> float:
        """Weight of the pull towards zero."""
        return self.settings.pull * self.settings.pull_decay**step

    def scene(self, step: int) -> int:
        """Index of the scene in effect."""
        if self.settings.scene_steps:
            return min(step // self.settings.scene_steps, self.scenes - 1)
        return min(step * self.scenes // self.settings.steps, self.scenes - 1)

    def may_end_early(self, step: int) -> bool:
        """True if a plateau counts: only in the last scene and at full size."""
        return self.settings.plateau > 0 and not self.is_coarse(step) and self.scene(step) == self.scenes - 1

    def work_left(self, step: int, last_step: int) -> float:
        """Work left until `last_step`, in units of the step just before this one."""
        steps_left = last_step - step
        coarse_left = max(0, min(self.coarse_steps, last_step) - step)
        if step and self.is_coarse(step - 1):
            return coarse_left + (steps_left - coarse_left) * _FINE_COST
        return steps_left

    def warnings(self) -> tuple[str, ...]:
        """Messages about settings that cannot be met as requested."""
        warnings: list[str] = []
        if self.size != self.settings.size:
            text = "The picture is painted at {size}, the nearest to {asked} that works."
            warnings.append(Message(text, size=str(self.size), asked=str(self.settings.size)))
        reached = len({self.scene(step) for step in range(self.settings.steps)})
        if reached < self.scenes:
            text = "There are {scenes} scenes, but {steps} steps reach only {reached}."
            warnings.append(Message(text, scenes=self.scenes, steps=self.settings.steps, reached=reached))
        return tuple(warnings)

    def _progress(self, step: int) -> float:
        """Fraction from 0 at the first step to 1 at the last."""
        return step / max(1, self.settings.steps - 1)


@dataclass
class Plateau:
    """Plateau detector: the loss's moving average has found no new minimum for `patience` steps.

    Attributes:
        average: moving average of the loss; None before the first.
        best: its minimum.
        since: steps since then.
    """

    average: float | None = None
    best: float = math.inf
    since: int = 0

    def note(self, loss: float) -> None:
        """Add the loss of one more step."""
        self.average = loss if self.average is None else _SMOOTHING * self.average + (1 - _SMOOTHING) * loss
        if self.average < self.best:
            self.best, self.since = self.average, 0
        else:
            self.since += 1

    def as_dict(self) -> dict[str, float | int | None]:
        """The state as JSON can hold it; `read` is the inverse."""
        return {"average": self.average, "best": None if self.average is None else self.best, "since": self.since}

    @classmethod
    def read(cls, state: Mapping[str, Any]) -> Plateau:
        """Read a plateau written by `as_dict`.

        Raises:
            KeyError: if a part is missing.
            TypeError: if one is of another type.
        """
        average, best, since = state["average"], state["best"], state["since"]
        if average is None:
            return cls()
        return cls(float(average), float(best), int(since))
