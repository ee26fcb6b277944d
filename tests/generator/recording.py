"""A recorder for CPUs: it repeats the work itself on the same buffers, as a replayed CUDA graph does on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class Repeating:
    """Run work three times to warm up, then once per replay; results are in tensors that the next replay overwrites.

    Attributes:
        recorded: number of recordings.
        replayed: number of replays of all of them.
        failing: raised instead of recording, if given.
        held_bytes: a thousand for each recording.
    """

    def __init__(self, failing: Exception | None = None) -> None:
        self.recorded, self.replayed, self.failing = 0, 0, failing
        self.held_bytes = 0

    def record(self, work: Callable[[], Any], generator: torch.Generator | None = None) -> Callable[[], Any]:
        if self.failing is not None:
            raise self.failing
        self.recorded += 1
        self.held_bytes += 1000
        for _ in range(3):
            result = work()
        kept = None if result is None else type(result)(*(tensor.clone() for tensor in result))

        def replay() -> Any:  # noqa: ANN401 - the work decides
            self.replayed += 1
            for buffer, tensor in zip(kept or (), work() or (), strict=True):
                buffer.copy_(tensor)
            return kept

        return replay
