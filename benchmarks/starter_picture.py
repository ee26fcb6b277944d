"""Time a starter picture: `python -m benchmarks.starter_picture [--beside COMMIT]`, this version beside an earlier one.

Each paints by its own code, models and defaults, in a process of its own that has them loaded; they take turns, so that
other load on the machine meets both. Printed are medians: seconds until the first preview and until the picture, by the
clock and of the processor; and the peak memory of each process in MiB (Linux).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from subprocess import PIPE
from typing import IO, cast

from benchmarks.earlier import ROOT, unpacked

PROMPTS = ("a robot", "a blue cat in the snow", "a castle at night", "two red cars on a road")
FIGURES = {"preview": "s", "picture": "s", "processor": "s", "peak": "MiB"}
PAINTER = """
import json, resource, sys, time
from generator import Dream, GenerationRequest, Settings, load_models

models = load_models("starter", "cpu")
for line in sys.stdin:
    prompt, seed = json.loads(line)
    settings = Settings().merged({**models.defaults, "seed": seed})
    began, busy = time.perf_counter(), time.process_time()
    dream = Dream(GenerationRequest(prompt=prompt, settings=settings, models=models.name), models)
    if getattr(settings, "composition", "fixed") != "posed":
        dream.step()
    dream.preview()
    preview = time.perf_counter() - began
    while not dream.finished:
        dream.step()
    dream.picture()
    seconds = [preview, time.perf_counter() - began, time.process_time() - busy]
    print(json.dumps([*seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]), flush=True)
"""
"""Paints as the bot's worker does: a composed start is shown before the first step."""


class Painter:
    """A version in a process of its own."""

    def __init__(self, code: Path) -> None:
        command = [sys.executable, "-c", PAINTER]
        self._process = subprocess.Popen(command, cwd=code, stdin=PIPE, stdout=PIPE, text=True)  # noqa: S603 - our own
        self._asked, self._answers = cast(IO[str], self._process.stdin), cast(IO[str], self._process.stdout)

    def paint(self, prompt: str, seed: int) -> list[float]:
        """Figures of one picture, in the order of FIGURES.

        Raises:
            SystemExit: if the version cannot paint.
        """
        print(json.dumps([prompt, seed]), file=self._asked, flush=True)
        answer = self._answers.readline()
        if not answer:
            sys.exit("A version ended before its picture was done; its message is above.")
        figures: list[float] = json.loads(answer)
        return figures

    def end(self) -> None:
        """End the process."""
        self._process.communicate()


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1, help="times that each prompt is painted")
    parser.add_argument("--beside", default="189c1db", metavar="COMMIT", help="the earlier version (189c1db)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        painters = {options.beside: Painter(unpacked(options.beside, Path(folder))), "today": Painter(ROOT)}
        for painter in painters.values():
            painter.paint(PROMPTS[0], 0)
        found: dict[str, list[list[float]]] = {name: [] for name in painters}
        for number in range(options.rounds):
            for prompt in PROMPTS:
                for name, painter in painters.items():
                    found[name].append(painter.paint(prompt, number))
        for painter in painters.values():
            painter.end()
    medians = {
        name: [statistics.median(column) for column in zip(*pictures, strict=True)] for name, pictures in found.items()
    }
    for name, values in medians.items():
        row = (f"{figure} {value:7.2f} {unit}" for (figure, unit), value in zip(FIGURES.items(), values, strict=True))
        print(f"{name:8}", "  ".join(row))
    earlier, today = medians.values()
    print("ratio   ", "  ".join(f"{figure} {b / a:7.2f}" for figure, a, b in zip(FIGURES, earlier, today, strict=True)))


if __name__ == "__main__":
    main()
