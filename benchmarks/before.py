"""Seconds of a step, or of the check of a prompt, now and in an earlier version: `python -m benchmarks.before COMMIT`.

The earlier version is unpacked into a temporary folder. Each side has a process of its own with the same settings, none
of which asks for a loss, a tile, a mask, a drawer or an upscaler. They take turns, step by step, so that a busy machine
disturbs both alike, and the ratio is taken within each round.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.earlier import ROOT, prompt_of_a_crowd, unpacked
from benchmarks.report import conditions, options, spread, write_report

SETTINGS = {
    "starter-full-size": {"size": "256x256", "cutouts": 12, "total_variation": 0.1},
    "256-real": {"size": "256x256", "cutouts": 32},
}
"""Settings of both sides beside the defaults, by the case of benchmarks.cases whose models they use."""
CHECK = "prompt-check"
"""The case in which a step is the check of a prompt by the starter, of another one each time."""
_WARM_UP = 2
_WORK = """
import json, sys, time
import torch
case, settings, threads = json.loads(sys.argv[1])
torch.set_num_threads(threads)
from benchmarks.cases import CASES, models_of
from generator import Dream, GenerationRequest, Settings
models = models_of(CASES[case], "cpu")
settings = Settings().merged({**settings, "start": "random", "steps": 5000})
dream = Dream(GenerationRequest(prompt="a red apple", models=models.name, settings=settings), models)
for _ in sys.stdin:
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    dream.step()
    print(json.dumps([time.perf_counter() - wall_s, time.process_time() - cpu_s]), flush=True)
"""
"""The work of a side, for both versions alike: names that the earlier ones have too."""
_CHECK = """
import json, sys, time
from generator import GenerationRequest, Settings, load_models
from generator.optimisation.request_warnings import request_warnings
models = load_models("starter", "cpu")
settings = Settings().merged(models.defaults)
for prompt in sys.stdin:
    request = GenerationRequest(prompt=prompt.strip(), models=models.name, settings=settings)
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    request_warnings(request, models)
    print(json.dumps([time.perf_counter() - wall_s, time.process_time() - cpu_s]), flush=True)
"""


class Side:
    """One version in a process."""

    def __init__(self, folder: Path, case: str, threads: int) -> None:
        work = _CHECK if case == CHECK else _WORK
        given = json.dumps([case, SETTINGS.get(case), threads])
        self._steps = 0
        self._process = subprocess.Popen(  # noqa: S603 - our own code
            [sys.executable, "-c", work, given], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def step(self) -> tuple[float, float]:
        """Make a step; return its seconds by the clock and on the CPU."""
        ours, theirs = self._process.stdin, self._process.stdout
        if ours is None or theirs is None:
            raise RuntimeError("the process has no pipes")
        ours.write(f"{prompt_of_a_crowd(self._steps)}\n")
        self._steps += 1
        ours.flush()
        wall_s, cpu_s = json.loads(theirs.readline())
        return wall_s, cpu_s

    def end(self) -> None:
        """End the process."""
        self._process.communicate()


def compared(before: Path, case: str, threads: int, rounds: int) -> tuple[list[str], dict[str, list[float]]]:
    """A row of the table, and all seconds of a case."""
    sides = {"before": Side(before, case, threads), "now": Side(ROOT, case, threads)}
    seconds: dict[str, list[float]] = {f"{name} {kind}": [] for name in sides for kind in ("wall", "cpu")}
    for number in range(_WARM_UP + rounds):
        for name, side in sides.items():
            wall_s, cpu_s = side.step()
            if number >= _WARM_UP:
                seconds[f"{name} wall"].append(wall_s)
                seconds[f"{name} cpu"].append(cpu_s)
    for side in sides.values():
        side.end()
    ratios = (
        [now / old for now, old in zip(seconds[f"now {kind}"], seconds[f"before {kind}"], strict=True)]
        for kind in ("wall", "cpu")
    )
    milliseconds = (f"{1000 * statistics.median(seconds[f'{name} wall']):.1f}" for name in sides)
    return [case, *milliseconds, *map(spread, ratios)], seconds


def main(arguments: list[str]) -> int:
    """Measure all cases and write the report."""
    parser = options(__doc__, "before.json")
    parser.add_argument("commit", help="the earlier version")
    parser.add_argument("--cases", nargs="*", choices=[*SETTINGS, CHECK], default=list(SETTINGS))
    parser.add_argument("--rounds", type=int, default=20, help="steps of each")
    args = parser.parse_args(arguments)
    about = {**conditions(args.threads, "cpu"), "commit": args.commit}
    rows, details = [], {}
    with TemporaryDirectory() as folder:
        unpacked(args.commit, Path(folder))
        for case in args.cases:
            row, details[case] = compared(Path(folder), case, args.threads, args.rounds)
            rows.append(row)
    columns = ["case", "ms before", "ms now", "now / before", "the same in CPU time"]
    write_report(args.json, about, columns, rows, details)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
