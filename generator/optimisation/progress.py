"""Progress of a dream: its step, losses and times, and the end condition."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from generator.optimisation.metrics_queue import MetricsQueue, StepMetrics
from generator.optimisation.schedule import Plateau, Schedule
from generator.optimisation.targets import Targets
from generator.request import Progress, PromptLoss


class ProgressTracker:
    """Tracks one dream.

    Attributes:
        step: number of steps made.
        losses: the loss of each step; on a GPU the last few are still in transit.
    """

    def __init__(
        self, schedule: Schedule, targets: Sequence[Targets], stopped_at: int | None, device: torch.device
    ) -> None:
        """Start without measurements; `stopped_at` is the request's."""
        self._schedule, self._targets = schedule, targets
        self._last_step = stopped_at or schedule.settings.steps
        self._readings = MetricsQueue(device)
        self._plateau = Plateau()
        self._last: StepMetrics | None = None
        self._seconds_per_step = 0.0
        self.step = 0
        self.losses: list[float] = []

    @property
    def finished(self) -> bool:
        """True once all steps are made, the dream was stopped, or it reached its plateau."""
        return self.step >= self._last_step or 0 < self._schedule.settings.plateau <= self._plateau.since

    @property
    def progress(self) -> Progress:
        """Current progress; before the first step it has no losses (0)."""
        left = 0.0 if self.finished else self._schedule.work_left(self.step, self._last_step)
        reading = self._last or StepMetrics(0, (0.0,))
        targets = self._targets[reading.scene]
        values = zip(targets.labels, reading.losses, reading.similarities, strict=False)
        return Progress(
            step=self.step,
            steps=self._schedule.settings.steps,
            loss=reading.loss,
            similarity=targets.similarity(reading.similarities),
            prompts=tuple(PromptLoss(text=text, loss=loss, similarity=same) for text, loss, same in values),
            seconds_per_step=self._seconds_per_step,
            seconds_left=left * self._seconds_per_step,
        )

    def measure(self, values: Tensor) -> None:
        """Queue the metrics of the current step; `values` as in StepMetrics."""
        self._readings.put(self._schedule.scene(self.step), values)

    def advance(self, seconds: float) -> bool:
        """Count a step with its duration and read the metrics that are due; False if a loss is not a number."""
        self.step += 1
        # A moving average: the first step includes warm-up and soon loses its weight.
        share = 0.8 if self.step > 2 else 0.0
        self._seconds_per_step = share * self._seconds_per_step + (1 - share) * seconds
        for reading in self._readings.take():
            if not math.isfinite(reading.loss):
                return False
            if self._schedule.may_end_early(len(self.losses)):
                self._plateau.note(reading.loss)
            self.losses.append(reading.loss)
            self._last = reading
        return True

    def facts(self) -> dict[str, Any]:
        """State for `restore` beside the losses, as JSON can hold it."""
        waiting = self._readings.waiting()
        return {"step": self.step, "plateau": self._plateau.as_dict(), "last": self._last, "waiting": waiting}

    def restore(self, facts: Mapping[str, Any], losses: Sequence[float]) -> None:
        """Restore a state returned by `facts`.

        Raises:
            KeyError: if a part is missing.
            TypeError: if one is of another type.
            ValueError: if one does not fit.
        """
        self.step = int(facts["step"])
        if not 0 <= self.step <= self._schedule.settings.steps:
            raise ValueError(f"step {self.step} of {self._schedule.settings.steps}")
        self._plateau = Plateau.read(facts["plateau"])
        waiting = [self._read(item) for item in facts["waiting"]]
        self._readings.restore(waiting)
        self._last = None if facts["last"] is None else self._read(facts["last"])
        self.losses = list(losses)
        if len(self.losses) + len(waiting) != self.step:
            raise ValueError(f"{len(self.losses)} losses after {self.step} steps")

    def _read(self, item: Sequence[Any]) -> StepMetrics:
        reading = StepMetrics.read(item)
        if not 0 <= reading.scene < len(self._targets):
            raise ValueError(f"there is no scene {reading.scene}")
        if len(reading.losses) != len(self._targets[reading.scene].labels):
            raise ValueError("a reading has another number of prompts")
        return reading
