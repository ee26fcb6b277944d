"""Steps captured as CUDA graphs: one launch in place of thousands.

Launching its two thousand operations takes a GPU's host longer than the GPU takes to run them. A captured step works on
buffers of its own; a dream of the same shape and settings copies its state into them, replays, and copies it out at its
end. Captured steps are kept for later jobs, the least recently used goes first.

Source: CUDA graphs as torch offers them, https://pytorch.org/docs/stable/notes/cuda.html#cuda-graphs.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import replace
from weakref import WeakKeyDictionary

import torch

from generator.models.model_set import Models
from generator.optimisation.latent import CAPTURABLE
from generator.optimisation.step import Step, StepResult, StepState, StepValues
from generator.runtime.device import reports_no_memory
from generator.runtime.graphs import CudaRecorder, Recorder, first_line
from generator.settings import Settings

MAX_GRAPHS = 6
"""Captured steps kept for one model set. They share one memory pool, so that each costs little beside the largest."""
_FREE = ("seed", "steps", "start", "candidates", "variation", "coarse", "plateau", "scene_steps", "size")
_FILLED_IN = ("learning_rate", "learning_rate_end", "overview", "overview_end", "pull_decay")
_LOG = logging.getLogger(__name__)


class CapturedStep:
    """A step on buffers of its own, repeated from a recording.

    Attributes:
        key: its place in the cache.
        state: the buffers; whoever uses the step loads its own state into them first.
    """

    def __init__(self, step: Step, state: StepState, recorder: Recorder, key: Hashable) -> None:
        """Record `step` on a copy of `state`."""
        self.key = key
        self.state = replace(state.copy(), targets=state.targets.copy())
        self._values = torch.ones(len(StepValues._fields), device=state.latent.value.device)
        values = StepValues(*self._values.unbind())
        self.state.latent.prepare_capture()
        self._replay = recorder.record(lambda: step(self.state, values), self.state.generator)

    def __call__(self, values: StepValues) -> StepResult:
        """Run the step once; the result's tensors hold until the next one."""
        self._values.copy_(torch.tensor(values, dtype=torch.float32), non_blocking=True)
        return self._replay()


class GraphCache:
    """Captured steps of one model set, by shape and settings. A step that is in use is not in it."""

    def __init__(self, recorder: Recorder, most: int = MAX_GRAPHS) -> None:
        """Keep at most `most` steps; with 0 none is captured."""
        self._recorder, self._most = recorder, most
        self._kept: OrderedDict[Hashable, CapturedStep] = OrderedDict()
        self._refused: set[Hashable] = set()

    @property
    def held_bytes(self) -> int:
        """Memory that cannot be had for other work before `clear`."""
        return self._recorder.held_bytes if self._kept else 0

    def take(self, step: Step, state: StepState) -> CapturedStep | None:
        """A captured form of `step` with the content of `state`; None where the step must run as it is.

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

    def give_back(self, captured: CapturedStep) -> None:
        """Keep a captured step for later; its user reads it no more."""
        self._kept[captured.key] = captured
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def clear(self) -> bool:
        """Drop all captured steps, so that their memory can be had; False if there was none."""
        had = bool(self._kept)
        self._kept.clear()
        self._recorder.forget()
        return had


_CACHES: WeakKeyDictionary[Models, GraphCache] = WeakKeyDictionary()


def graphs_of(models: Models) -> GraphCache:
    """The captured steps of a model set; on a CPU there are none."""
    if models not in _CACHES:
        on_gpu = models.graphs and models.device.type == "cuda"
        _CACHES[models] = GraphCache(CudaRecorder(models.device), MAX_GRAPHS if on_gpu else 0)
    return _CACHES[models]


def key_of(step: Step, state: StepState) -> Hashable:
    """Everything that is fixed when a step is captured."""
    default = Settings()
    fixed = replace(step.settings, **{name: getattr(default, name) for name in (*_FREE, *_FILLED_IN)})
    latent = state.latent.value
    return fixed, step.group, step.guidance.exact, tuple(latent.shape), len(state.targets.weights), state.scale.value
