"""One part of the training: the parts' common form, and the loop that runs one within its time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from generator.runtime.precision import Precision, choose_precision
from training import run
from training.gpu.time_budget import TimeBudget

WINDOW_S, MOST_STEPS = 0.3, 64
"""Steps that are counted together: about so long, and so many at most."""
SAVED_EVERY_S = 30
OLD_FIGURES = 0.8


@cache
def precision(device: str) -> Precision:
    """bfloat16 where the device multiplies it, else float32: training in float16 would need more than autocast."""
    best = choose_precision("auto", torch.device(device))
    return best if best is Precision.BF16 else Precision.FP32


def quickly(device: str) -> AbstractContextManager[None]:
    """Compute networks in that precision."""
    return precision(device).on(torch.device(device))


class Diverged(ArithmeticError):
    """A part's loss is not a number any more; its last checkpoint is whole."""


class NotReady(LookupError):
    """A part needs what an earlier one did not make."""


class Part(Protocol):
    """A network in training.

    Attributes:
        file: name of its checkpoint, as the separate command calls it.
        peak: highest learning rate.
        batch: pictures in a step.
        optimiser: whose learning rate is set before each step.
        state: what the checkpoint holds.
    """

    file: str
    peak: float
    batch: int
    optimiser: torch.optim.Optimizer
    state: Mapping[str, Any]

    def step(self, share: float) -> dict[str, Tensor]:
        """Make one step, given the share of the part that is done; return figures `[]`, on the device."""
        ...


def update(
    optimiser: torch.optim.Optimizer, weights: Sequence[Tensor], loss: Tensor, longest: float | None = None
) -> None:
    """One step of an optimiser along the gradient of a loss, which is cut to a length where one is given."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    if longest is not None:
        torch.nn.utils.clip_grad_norm_(weights, longest)
    optimiser.step()


def train(name: str, part: Part, budget: TimeBudget, work: Path) -> None:
    """Train a part, begun in the budget, until its time is used up; go on from its checkpoint where there is one.

    Raises:
        Diverged: if a figure is not finite.
    """
    entry = budget.entries[name]
    checkpoint = run.Checkpoint(work / f"{part.file}.pt", dict(part.state))
    entry.steps = checkpoint.step
    budget.count(entry, 0)
    if not entry.steps:
        entry.built_s = entry.seconds
    window = waiting = 1
    while budget.goes_on(entry):
        for group in part.optimiser.param_groups:
            group["lr"] = budget.learning_rate(entry, part.peak, run.cosine)
        figures = _step(part, budget.share(entry))
        checkpoint.step += 1
        waiting -= 1
        if waiting:
            continue
        seen = {figure: float(value) for figure, value in figures.items()}  # waits for the device
        if not math.isfinite(seen["loss"]):
            raise Diverged(
                f"The part {name} diverged: its loss is {seen['loss']}. Run the same command again: it goes on from "
                "the last checkpoint."
            )
        for figure, value in seen.items():
            if math.isfinite(value):  # a share of what a batch happens to lack is no number
                entry.figures[figure] = value + OLD_FIGURES * (entry.figures.get(figure, value) - value)
        before = entry.seconds
        budget.count(entry, window)
        each = (entry.seconds - before) / window
        window = waiting = budget.window(min(MOST_STEPS, max(1, int(WINDOW_S / max(each, 1e-6)))))
        if checkpoint.unsaved_s > SAVED_EVERY_S:
            checkpoint.save()
            budget.count(entry, 0)
    if checkpoint.step:
        checkpoint.save()
    entry.done = True
    budget.count(entry, 0)


def _step(part: Part, share: float) -> dict[str, Tensor]:
    """One step; with half the pictures from now on where the device has too little memory for them."""
    while True:
        try:
            return part.step(share)
        except torch.OutOfMemoryError:
            if part.batch < 2:
                raise
            part.batch //= 2
            part.optimiser.zero_grad(set_to_none=True)
        torch.cuda.empty_cache()
