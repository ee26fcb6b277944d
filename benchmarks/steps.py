"""Steps per second and peak memory, our dream against the plain loop: `python -m benchmarks.steps`.

Each side has a separate process, so that each has its own peak of memory and its own allocator settings. Only one
works at a time: they alternate, round by round, and the ratio is taken within each round. Beside the wall time the CPU
time of the process is measured, which other programs on a busy machine disturb less.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from benchmarks.cases import CASES, Case, dream_of, models_of, plain_loop_of, request_of
from benchmarks.report import conditions, on_gpu, options, spread, wait_for, write_report

SIDES = ("ours", "plain", "one_crop_per_call")
"""Our dream; the plain loop; the plain loop that shows the networks one crop a call."""
_SPINS = "300000"
"""Rounds that an OpenMP thread looks for work before it sleeps, by default."""
# On a CPU the larger pictures take minutes each.
_CASES_ON_A_CPU = ("starter", "starter-full-size", "256-real")


@dataclass(frozen=True)
class Round:
    """Seconds of one step in one round."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Memory:
    """MiB: the process with its models before the first step, and at its peak."""

    before: float
    peak: float


class Side:
    """One side in a separate process."""

    def __init__(self, case: Case, side: str, threads: int, device: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, case, side, threads, device), daemon=True)
        with _threads_at_their_best(side):
            self._process.start()

    def round(self) -> Round:
        """Run the case's steps per round."""
        self._pipe.send("round")
        return Round(*self._pipe.recv())

    def end(self) -> Memory:
        """End the process and return its memory."""
        self._pipe.send("end")
        memory = Memory(*self._pipe.recv())
        self._process.join()
        return memory


@contextmanager
def _threads_at_their_best(side: str) -> Iterator[None]:
    """Set OpenMP's waiting for a new process; the plain loop's threads may spin, as no others need the cores."""
    if side != "ours":
        os.environ["GOMP_SPINCOUNT"] = _SPINS
    try:
        yield
    finally:
        os.environ.pop("GOMP_SPINCOUNT", None)


def _work(pipe: Connection, case: Case, side: str, threads: int, device: str) -> None:
    """Main function of the process: answer `round` and `end`."""
    torch.set_num_threads(threads)
    begin = _beginner(case, side, device)
    step = begin()
    before = _resident_mib(device)
    _forget_peak(device)
    while pipe.recv() == "round":
        step = begin() if case.whole else step
        began, cpu_began = time.perf_counter(), time.process_time()
        for _ in range(case.steps):
            step()
        wait_for(device)
        seconds = time.perf_counter() - began, time.process_time() - cpu_began
        pipe.send([value / case.steps for value in seconds])
    pipe.send((before, _peak_mib(device)))


def _beginner(case: Case, side: str, device: str) -> Callable[[], Callable[[], object]]:
    """Function that starts one optimisation and returns its step function."""
    models = models_of(case, device, "auto" if side == "ours" else "fp32")
    if side == "ours":
        return lambda: dream_of(case, models).step
    return lambda: (
        plain_loop_of(case, models, request_of(case, models), one_crop_per_call=side == "one_crop_per_call").step
    )


def _status_mib(key: str) -> float:
    """Read a value of this process from Linux's status file."""
    match = re.search(rf"^{key}:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"), re.MULTILINE)
    return int(match[1]) / 1024 if match else float("nan")


def _resident_mib(device: str) -> float:
    return torch.cuda.memory_allocated(device) / 2**20 if on_gpu(device) else _status_mib("VmRSS")


def _peak_mib(device: str) -> float:
    return torch.cuda.max_memory_allocated(device) / 2**20 if on_gpu(device) else _status_mib("VmHWM")


def _forget_peak(device: str) -> None:
    """Exclude the time of loading."""
    if on_gpu(device):
        torch.cuda.reset_peak_memory_stats(device)
    else:
        Path("/proc/self/clear_refs").write_text("5", "ascii")


def compare(case: Case, sides: list[str], rounds: int, threads: int, device: str) -> dict[str, dict[str, list[float]]]:
    """Time the rounds of each side after one warm-up round, and measure its memory."""
    running = {side: Side(case, side, threads, device) for side in sides}
    for side in running.values():
        side.round()
    taken: dict[str, list[Round]] = {side: [] for side in sides}
    for _ in range(rounds):
        for name, side in running.items():
            taken[name].append(side.round())
            print(case.name, name, taken[name][-1], file=sys.stderr, flush=True)
    return {
        name: {
            "wall_s": [each.wall_s for each in taken[name]],
            "cpu_s": [each.cpu_s for each in taken[name]],
            "memory_mib": list(asdict(side.end()).values()),
        }
        for name, side in running.items()
    }


def rows_of(case: Case, figures: dict[str, dict[str, list[float]]]) -> list[list[str]]:
    """Build a table row for each side that ours is compared with."""
    ours = figures["ours"]
    rows = []
    for name, theirs in figures.items():
        if name == "ours":
            continue
        ratios = {
            key: [other / own for other, own in zip(theirs[key], ours[key], strict=True)] for key in ("wall_s", "cpu_s")
        }
        (own_before, own_peak), (before, peak) = ours["memory_mib"], theirs["memory_mib"]
        rows.append([
            case.name,
            name,
            f"{statistics.median(ours['wall_s']):.2f} / {statistics.median(theirs['wall_s']):.2f}",
            spread(ratios["wall_s"]),
            spread(ratios["cpu_s"]),
            f"{own_peak:.0f} / {peak:.0f}",
            f"{own_peak / peak:.2f}",
            f"{(own_peak - own_before) / (peak - before):.2f}",
        ])  # fmt: skip
    return rows


def main(arguments: list[str]) -> int:
    """Measure the named cases."""
    parser = options(__doc__, "steps.json")
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)}; by default those for the device")
    parser.add_argument("--rounds", type=int, help="in place of each case's own number")
    parser.add_argument(
        "--one-crop-per-call", action="store_true", help="also against a plain loop with one call per crop"
    )
    args: argparse.Namespace = parser.parse_args(arguments)
    about = conditions(args.threads, args.device)
    sides = list(SIDES if args.one_crop_per_call else SIDES[:2])
    figures, rows = {}, []
    for name in args.cases or (tuple(CASES) if on_gpu(args.device) else _CASES_ON_A_CPU):
        case = CASES[name]
        figures[name] = compare(case, sides, args.rounds or case.rounds, args.threads, args.device)
        rows += rows_of(case, figures[name])
    head = ["case", "against", "s a step, ours / theirs", "times as fast", "by CPU time", "peak MiB, ours / theirs",
            "peak", "above the models"]  # fmt: skip
    write_report(args.json, about, head, rows, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
