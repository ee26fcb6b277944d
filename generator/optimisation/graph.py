"""Steps captured as CUDA graphs: one launch instead of thousands.

Launching a step's two thousand operations takes the host longer than the GPU takes to run them. A captured step works
on its own buffers; a dream of the same shape and settings copies its state into them, replays, and copies it out at its
end. Captured steps are kept for later jobs; the least recently used is dropped first.

Source: CUDA graphs in torch, https://pytorch.org/docs/stable/notes/cuda.html#cuda-graphs.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import replace
from weakref import WeakKeyDictionary

import torch

from generator.models.model_set import Models
from generator.optimisation.optimiser import CAPTURABLE
from generator.optimisation.step import Step, StepResult, StepState, StepValues
from generator.runtime.device import reports_no_memory
from generator.runtime.graphs import CudaRecorder, Recorder, first_line
from generator.settings import Settings

MAX_GRAPHS = 6
"""Captured steps kept for one model set. They share a memory pool, so each costs little in addition to the largest."""
_FREE = ("seed", "steps", "start", "candidates", "composition", "variation", "coarse", "plateau", "scene_steps", "size")
_IN_CANVAS = ("keep", "repaint", "outpaint", "feather")
_FILLED_IN = ("learning_rate", "learning_rate_end", "overview", "overview_end", "pull_decay", "schedules")
_LOG = logging.getLogger(__name__)


class CapturedStep:
    """A step on its own buffers, replayed from a recording.

    Attributes:
        key: its key in the cache.
        state: the buffers; load your own state into them before use.
    """

    def __init__(self, step: Step, state: StepState, recorder: Recorder, key: Hashable) -> None:
        """Record `step` on a copy of `state`."""
        self.key = key
        canvas = None if state.canvas is None else state.canvas.copy()
        self.state = replace(state.copy(), targets=state.targets.copy(), canvas=canvas, goals=state.goals.copy())
        self._values = torch.ones(len(StepValues._fields), device=state.latent.value.device)
        values = StepValues(*self._values.unbind())
        self._replay = recorder.record(lambda: step(self.state, values), self.state.generator)

    def __call__(self, values: StepValues) -> StepResult:
        """Run the step once; the result's tensors are valid until the next call."""
        self._values.copy_(torch.tensor(values, dtype=torch.float32), non_blocking=True)
        return self._replay()


class GraphCache:
    """Captured steps of one model set, by shape and settings. A step in use is not in the cache."""

    def __init__(self, recorder: Recorder, most: int = MAX_GRAPHS) -> None:
        """Keep at most `most` steps; with 0, capture none."""
        self._recorder, self._most = recorder, most
        self._kept: OrderedDict[Hashable, CapturedStep] = OrderedDict()
        self._refused: set[Hashable] = set()

    @property
    def held_bytes(self) -> int:
        """Memory that stays unavailable to other work until `clear`."""
        return self._recorder.held_bytes if self._kept else 0

    def take(self, step: Step, state: StepState) -> CapturedStep | None:
        """Return a captured form of `step` with the content of `state`; None if the step must run directly.

        Raises:
            RuntimeError: torch's own, if memory ran out.
        """
        if self._most == 0 or step.settings.optimiser not in CAPTURABLE:
            return None
        key = key_of(step, state)
        if key in self._refused:
            return None
        captured = self._kept.pop(key, None)
        if captured is None:
            try:
                captured = CapturedStep(step, state, self._recorder, key)
            except RuntimeError as exc:
                if reports_no_memory(exc):
                    raise
                self._refused.add(key)
                _LOG.warning("A step could not be captured as a CUDA graph and runs slower: %s", first_line(exc))
                return None
        captured.state.load(state)
        return captured

    def release(self, captured: CapturedStep) -> None:
        """Keep a captured step for later; its user no longer reads it."""
        self._kept[captured.key] = captured
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def clear(self) -> bool:
        """Drop all captured steps to free their memory; False if there were none."""
        had = bool(self._kept)
        self._kept.clear()
        return had


_CACHES: WeakKeyDictionary[Models, GraphCache] = WeakKeyDictionary()


def graphs_of(models: Models) -> GraphCache:
    """Captured steps of a model set; none on a CPU."""
    if models not in _CACHES:
        on_gpu = models.graphs and models.device.type == "cuda"
        _CACHES[models] = GraphCache(CudaRecorder(models.device), MAX_GRAPHS if on_gpu else 0)
    return _CACHES[models]


def key_of(step: Step, state: StepState) -> Hashable:
    """Everything that is fixed when a step is captured."""
    default = Settings()
    fixed = replace(step.settings, **{name: getattr(default, name) for name in (*_FREE, *_IN_CANVAS, *_FILLED_IN)})
    latent = state.latent.value
    seen = None if state.canvas is None else tuple((part.start, part.stop) for part in state.canvas.seen)
    shapes = tuple(latent.shape), len(state.targets.weights), seen
    return fixed, step.group, step.guidance.exact, shapes, state.scale.value
