"""Queue of step metrics on their way from the device to the host.

On a CPU they are available at once. On a GPU, reading them right after queueing the work would block the host, so they
arrive a fixed number of steps later. The lag is fixed, rather than as soon as possible, because a dream that stops at a
plateau must stop at the same step each time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

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
        """Start transferring the values `[1 + 2 P]` of a step."""
        values = values.detach()
        event = None
        if values.is_cuda:
            values = values.to("cpu", non_blocking=True)
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
        return StepMetrics(scene, tuple(values.tolist()))
