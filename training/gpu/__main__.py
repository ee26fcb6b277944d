"""Train the starter on a GPU within a bound of time: `python -m training.gpu FILE`, after training.carry on a CPU.

The parts are the VQGAN of factor 4 at 256 px, the perceptor, the perceptor against its own mistakes, the prior and four
judges. Their checkpoints are those of the separate commands, for training.export and the evaluations. A killed run goes
on when it is started again, with the time that is left. All happens in this one process, in bf16 where that is quick.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from generator.cli.arguments import device_named
from training.carry import GROUNDS, BrokenFile, unpack
from training.compositor import POOL
from training.drawings.raster import SIDE_PX
from training.drawings.store import Drawings
from training.gpu.batch_compositor import BatchCompositor, read_grounds
from training.gpu.judging import ArrangementPart, JudgePart, StylePart
from training.gpu.part import Diverged, NotReady, Part, train
from training.gpu.perceptor import PerceptorPart, RobustPart
from training.gpu.prior import PriorPart
from training.gpu.time_budget import Clock, TimeBudget, process_s
from training.gpu.vqgan import VqganPart
from training.scenes import SCENES, paint

MINUTES = 9.0
SHARES = {
    "vqgan": 0.36, "perceptor": 0.17, "robust": 0.13, "prior": 0.2,
    "judge plain": 0.03, "judge patches": 0.04, "judge style": 0.03, "judge arrangement": 0.04,
}  # fmt: skip
"""Of the time for training, in the order of the parts: each needs those before it."""


@dataclass(frozen=True)
class PartBuilder:
    """Build parts from the folder and the drawings on the device; with `anew` the VQGAN begins with random weights."""

    work: Path
    batches: BatchCompositor
    device: str
    anew: bool

    def build(self, name: str, seed: int) -> Part:
        """Make a part as it begins.

        Raises:
            NotReady: if an earlier one did not make what it needs.
        """
        common = self.work, self.batches, self.device, seed
        makers: dict[str, Callable[[], Part]] = {
            "vqgan": lambda: VqganPart(*common, anew=self.anew),
            "perceptor": lambda: PerceptorPart(*common),
            "robust": lambda: RobustPart(*common),
            "prior": lambda: PriorPart(*common),
            "judge plain": lambda: JudgePart(*common, "plain"),
            "judge patches": lambda: JudgePart(*common, "patches"),
            "judge style": lambda: StylePart(*common),
            "judge arrangement": lambda: ArrangementPart(*common),
        }
        return makers[name]()


def grounds(work: Path, count: int = POOL) -> dict[str, np.ndarray]:
    """Pictures of every scene: those that were carried, else painted now, which takes seconds."""
    if (work / GROUNDS).exists():
        return read_grounds(work / GROUNDS)
    chances = {scene: [random.Random(f"{scene} {number}") for number in range(count)] for scene in SCENES}
    return {
        scene: np.stack([np.asarray(paint(scene, SIDE_PX, rng)) for rng in kept]) for scene, kept in chances.items()
    }


def train_all(builder: PartBuilder, budget: TimeBudget, seed: int, batch: int | None = None) -> None:
    """Train all parts that are not done, one after the other.

    Raises:
        Diverged: see `training.gpu.part.train`.
    """
    for number, (name, entry) in enumerate(budget.entries.items()):
        if entry.done:
            continue
        is_new = not entry.allotted_s
        budget.begin(name)
        # what follows a resumed part is not what it has seen already
        torch.manual_seed(seed + 1000 * number + entry.steps)
        try:
            part = builder.build(name, seed + 1000 * number + entry.steps)
        except NotReady as exc:
            entry.note, entry.done = str(exc), True
            continue
        part.batch = part.batch if batch is None else batch
        earlier = builder.work / f"{part.file}.pt"
        if is_new and earlier.exists():  # of a separate command, or of an earlier training
            earlier.replace(earlier.with_name(f"{part.file}_before.pt"))
        train(name, part, budget, builder.work)
        print(f"{name}: {entry.steps} steps in {entry.seconds:.0f} s", flush=True)


def device_of(given: str | None) -> str:
    """The device to train on: a GPU, unless another one is named."""
    if given is None and not torch.cuda.is_available():
        sys.exit(
            "This machine has no GPU that torch can use. Run it where there is one, or try a few steps on the CPU by "
            "--device cpu --steps 2 --batch 6."
        )
    try:
        return device_named(given or "cuda")
    except argparse.ArgumentTypeError as exc:
        sys.exit(str(exc))


def main(clock: Clock = process_s) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.gpu", description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", help="file of training.carry; none: the drawings in --work")
    parser.add_argument("--work", type=Path, default=Path("build/gpu"), help="folder for drawings and checkpoints")
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"bound of all time together ({MINUTES:.0f})")
    parser.add_argument("--steps", type=int, help="steps of every part instead of its share of the time, to try it out")
    parser.add_argument("--batch", type=int, help="pictures in a step of every part (each has its own)")
    parser.add_argument("--anew", action="store_true", help="begin the VQGAN with random weights")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", help="cuda, cuda:1 or cpu (cuda)")
    options = parser.parse_args()
    if options.minutes <= 0 or min(options.steps or 1, options.batch or 1) < 1:
        parser.error("--minutes, --steps and --batch must be greater than 0.")
    device = device_of(options.device)
    try:
        if options.file is not None:
            unpack(options.file, options.work)
        elif not (options.work / "concepts.json").exists():
            sys.exit(f"{options.work} holds no drawings: name the file that python -m training.carry made.")
        budget = TimeBudget(options.work / "gpu.json", options.minutes * 60, SHARES, options.steps, clock)
        if device != "cpu":
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
            torch.backends.cudnn.benchmark = True
        batches = BatchCompositor(Drawings(options.work), grounds(options.work), device, options.seed)
        train_all(PartBuilder(options.work, batches, device, options.anew), budget, options.seed, options.batch)
    except (BrokenFile, Diverged) as exc:
        sys.exit(str(exc))
    except torch.OutOfMemoryError:
        sys.exit("The GPU has too little memory even for one picture at a time: end what else runs on it.")
    budget.save()
    print(budget.table())


if __name__ == "__main__":
    main()
