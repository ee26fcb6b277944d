"""Common parts of all trainings: arguments, device, resumable checkpoints, progress."""

from __future__ import annotations

import argparse
import math
import os
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from generator.cli.arguments import device_named


def arguments(description: str | None, steps: int, batch: int, flags: tuple[str, ...] = ()) -> argparse.Namespace:
    """Options common to all training commands."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="folder for all training files")
    parser.add_argument("--steps", type=int, default=steps, help=f"optimiser steps (default {steps})")
    parser.add_argument("--batch", type=int, default=batch, help=f"pictures in a step (default {batch})")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads")
    parser.add_argument("--device", default="auto", type=device_named, help="auto, cpu, cuda or cuda:1 (auto)")
    for flag in flags:
        parser.add_argument(f"--{flag}", action="store_true", help="see the description")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    return options


def learning_rate(step: int, steps: int, peak: float, warm_up: int = 100) -> float:
    """Short warm-up, then a cosine down to a twentieth."""
    if step < warm_up:
        return peak * (step + 1) / warm_up
    return peak * cosine((step - warm_up) / max(1, steps - warm_up))


def cosine(done: float) -> float:
    """From 1 to a twentieth as `done` goes from 0 to 1."""
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


class Checkpoint:
    """Step and state of a training in one file."""

    def __init__(self, path: Path, parts: dict[str, Any]) -> None:
        self.path, self._parts = path, parts
        self.step = 0
        self._saved = time.monotonic()
        if path.exists():
            state = torch.load(path, map_location="cpu", weights_only=True)
            self.step = int(state.pop("step"))
            for name, part in parts.items():
                part.load_state_dict(state[name])

    def save(self) -> None:
        """Write the state to a temporary file and rename it."""
        state = {name: part.state_dict() for name, part in self._parts.items()}
        beside = self.path.with_suffix(".part")
        torch.save({**state, "step": self.step}, beside)
        beside.replace(self.path)
        self._saved = time.monotonic()

    @property
    def unsaved_s(self) -> float:
        """Seconds since it was saved or read."""
        return time.monotonic() - self._saved


class Run(Checkpoint):
    """One training run: its step, its progress bar, and its state saved to disk every two minutes."""

    def __init__(self, path: Path, steps: int, parts: dict[str, Any]) -> None:
        super().__init__(path, parts)
        self.steps = steps
        self.bar = tqdm(total=steps, initial=self.step, desc=path.stem, mininterval=20, ascii=True)

    def advance(self, **figures: float) -> None:
        """Count one step, show the figures, save when due."""
        self.step += 1
        self.bar.update()
        self.bar.set_postfix({name: f"{value:.4f}" for name, value in figures.items()}, refresh=False)
        if self.unsaved_s > 120 or self.step == self.steps:
            self.save()


class Average:
    """Running mean of a module's weights, which is better than the last weights."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module, self.decay = module, decay
        self.shadow = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        for name, value in self.module.state_dict().items():
            if value.dtype.is_floating_point:
                self.shadow[name].lerp_(value, 1 - self.decay)
            else:
                self.shadow[name].copy_(value)

    def state_dict(self) -> dict[str, torch.Tensor]:
        return self.shadow

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        for name, value in state.items():
            self.shadow[name].copy_(value)
