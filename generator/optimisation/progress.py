"""Progress of a dream: its step, losses and times, and the end condition.

On a CPU the metrics of a step are available at once. On a GPU, reading them right after queueing the work would block
the host, so they arrive a fixed number of steps later. The lag is fixed, rather than as soon as possible, because a
dream that stops at a plateau must stop at the same step each time.
"""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from generator.optimisation.schedule import Plateau, Schedule
from generator.optimisation.targets import Targets
from generator.request import Progress, PromptLoss

GPU_LAG_STEPS = 2


class StepMetrics(NamedTuple):
    """Metrics of one step: its scene, and for its P prompts `[loss, losses..., similarities...]`."""

    scene: int
    values: tuple[float, ...]

    @classmethod
    def read(cls, item: Sequence[Any]) -> StepMetrics:
        """Read metrics that were written as JSON.

        Raises:
            TypeError: if they are none.
            ValueError: unless there are two parts, the second a list of an odd number of floats.
        """
        scene, values = item
        reading = cls(int(scene), tuple(float(value) for value in values))
        if len(reading.values) % 2 == 0:
            raise ValueError("a reading has one loss, and then as many losses as similarities")
        return reading

    @property
    def loss(self) -> float:
        """Total loss, including total variation and the pulls."""
        return self.values[0]

    @property
    def losses(self) -> tuple[float, ...]:
        """Each prompt's share of the loss."""
        return self.values[1 : 1 + len(self.values) // 2]

    @property
    def similarities(self) -> tuple[float, ...]:
        """Mean cosine of each prompt with the cutouts, -1..1."""
        return self.values[1 + len(self.values) // 2 :]


class MetricsQueue:
    """Queue of metrics that are read back `lag` steps after they were put in."""

    def __init__(self, device: torch.device) -> None:
        """Create an empty queue; on a CPU the lag is 0."""
        self._lag = GPU_LAG_STEPS if device.type == "cuda" else 0
        self._waiting: deque[tuple[int, Tensor, torch.cuda.Event | None]] = deque()

    def put(self, scene: int, values: Tensor) -> None:
        """Queue the values `[1 + 2 P]` of a step."""
        values = values.detach()
        event = None
        if values.is_cuda:
            values = values.clone()  # the next replay overwrites a captured step's
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record()  # type: ignore[no-untyped-call]
        self._waiting.append((scene, values, event))

    def take(self) -> list[StepMetrics]:
        """Take all metrics due by now, oldest first."""
        return [self._arrived(*self._waiting.popleft()) for _ in range(len(self._waiting) - self._lag)]

    def waiting(self) -> list[StepMetrics]:
        """Metrics not due yet, oldest first, for a snapshot; they stay in the queue."""
        return [self._arrived(*item) for item in self._waiting]

    def restore(self, waiting: Sequence[StepMetrics]) -> None:
        """Fill the queue with metrics returned by `waiting`."""
        self._waiting = deque((reading.scene, torch.tensor(reading.values), None) for reading in waiting)

    @staticmethod
    def _arrived(scene: int, values: Tensor, event: torch.cuda.Event | None) -> StepMetrics:
        if event is not None:
            event.synchronize()
            with torch.cuda.stream(_reading_stream(values.device)):
                values = values.cpu()
        return StepMetrics(scene, tuple(values.tolist()))


@functools.cache
def _reading_stream(device: torch.device) -> torch.cuda.Stream:
    """The stream that reads metrics, so that they do not wait for the steps queued meanwhile.

    A transfer to pinned memory would not wait either, but freeing such memory after the GPU failed ends the process:
    torch asks the GPU whether the transfer is done, and the error leaves a destructor.
    """
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


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
        self._queue = MetricsQueue(device)
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
        self._queue.put(self._schedule.scene(self.step), values)

    def advance(self, seconds: float) -> bool:
        """Count a step with its duration and read the metrics that are due; False if a loss is not a number."""
        self.step += 1
        # A moving average: the first step includes warm-up and soon loses its weight.
        share = 0.8 if self.step > 2 else 0.0
        self._seconds_per_step = share * self._seconds_per_step + (1 - share) * seconds
        for reading in self._queue.take():
            if not math.isfinite(reading.loss):
                return False
            if self._schedule.may_end_early(len(self.losses)):
                self._plateau.note(reading.loss)
            self.losses.append(reading.loss)
            self._last = reading
        return True

    def facts(self) -> dict[str, Any]:
        """State for `restore` besides the losses, as JSON values."""
        waiting = self._queue.waiting()
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
        self._queue.restore(waiting)
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
