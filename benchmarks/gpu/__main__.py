"""GPU test and benchmark of all of Reverie, in at most four minutes: `python -m benchmarks.gpu`.

Each part is a separate process, so that one failure does not hide the next: first those that measure time and memory,
one by one, then the others side by side. A table of figures and targets goes to standard output, everything to a JSON
file, and the output of each part to a log beside its pictures. The exit status is 0 if every part ran, even if targets
were missed, 1 if one failed, and 2 if there is no GPU. `--try` runs the same parts in this process, on the CPU with
tiny models; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.gpu.figures import Figure, Here, Part
from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.processes import Job, Result, run_all
from benchmarks.report import conditions, leave_out_kernels, write_report
from generator import InvalidRequest
from generator.runtime.device import choose_device

LIMIT_S = 240.0
MOST_AT_ONCE, BYTES_EACH = 4, 4 * 2**30
"""GPU memory reserved for each part; as many parts run side by side as fit."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the requested parts; return the exit status."""
    given = _parser().parse_args(arguments)
    unknown = [name for name in given.parts if name not in PARTS]
    if unknown:
        print(f"There is no part {unknown[0]}; choose from {', '.join(PARTS)}.", file=sys.stderr)
        return 1
    try:
        device = str(choose_device("cpu" if given.tried else given.device))
    except InvalidRequest as exc:
        print(f"This needs a GPU: {exc} --try runs the same script on a CPU with tiny models.")
        return 2
    chosen = [PARTS[name] for name in given.parts or PARTS]
    if given.into is not None:
        return _work(chosen[0], Here(device=device, tiny=given.tried, folder=given.folder), given.into)
    return _run(given, device, chosen)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"all of them by default: {', '.join(PARTS)}")
    parser.add_argument("--device", default="cuda", help="which GPU: cuda, cuda:1 and so on (cuda)")
    parser.add_argument("--try", dest="tried", action="store_true", help="on the CPU with tiny models, in this process")
    leave_out_kernels(parser)
    parser.add_argument("--seconds", type=float, default=LIMIT_S, help=f"for all of it ({LIMIT_S:g})")
    parser.add_argument("--folder", type=Path, default=Path("build/gpu"), help="pictures and logs; emptied first")
    parser.add_argument("--json", type=Path, default=Path("build/bench/gpu.json"), help="where the figures go")
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    return parser


def _run(given: argparse.Namespace, device: str, parts: Sequence[Part]) -> int:
    began = time.monotonic()
    about = conditions(torch.get_num_threads(), device) | {"device": device, "tried": given.tried}
    if given.folder.is_dir():
        shutil.rmtree(given.folder)
    given.folder.mkdir(parents=True)
    if given.tried:
        results = [_tried(part, device, given.folder) for part in parts if part.on_a_cpu]
    else:
        jobs = [_job(part, device, given.folder) for part in parts]
        room = torch.cuda.get_device_properties(device).total_memory // BYTES_EACH
        results = run_all(jobs, at_once=max(1, min(MOST_AT_ONCE, room)), deadline=began + given.seconds, show=_show)
    about["seconds"] = round(time.monotonic() - began, 1)
    rows = [row for result in results for row in _rows(result)]
    write_report(
        given.json, about, ("part", "figure", "value", "bar", ""), rows, [asdict(result) for result in results]
    )
    failed = [result for result in results if result.failure]
    for result in failed:
        print(f"{result.name} FAILED: {result.failure}")
    print(f"{len(results) - len(failed)} of {len(results)} parts ran, in {about['seconds']:.0f} seconds.")
    return 1 if failed else 0


def _job(part: Part, device: str, folder: Path) -> Job:
    own, out = folder / part.name, folder / f"{part.name}.json"
    own.mkdir()
    command = [sys.executable, "-m", "benchmarks.gpu", part.name, "--device", device, "--folder", str(own)]
    return Job(
        name=part.name,
        command=[*command, "--into", str(out)],
        out=out,
        log=folder / f"{part.name}.log",
        alone=part.alone,
        limit_s=part.limit_s,
    )


def _work(part: Part, here: Here, out: Path) -> int:
    """Start a part in a separate process."""
    figures = part.work(here)
    out.write_text(json.dumps([asdict(figure) for figure in figures]), "utf-8")
    return 0


def _tried(part: Part, device: str, folder: Path) -> Result:
    """Run a part in this process, with its output in its log."""
    began, result, own = time.monotonic(), Result(name=part.name), folder / part.name
    own.mkdir()
    with (folder / f"{part.name}.log").open("w", encoding="utf-8") as log:
        try:
            with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
                result.figures = [asdict(item) for item in part.work(Here(device=device, tiny=True, folder=own))]
        except Exception as exc:  # The other parts still run.
            traceback.print_exc(file=log)
            result.failure = f"{type(exc).__name__}: {exc}"[:300]
    result.seconds = time.monotonic() - began
    return result


def _rows(result: Result) -> list[list[str]]:
    if result.failure:
        return [[result.name, "FAILED", result.failure.replace("|", "/"), "", ""]]
    rows = [Figure(**figure).row(result.name) for figure in result.figures]
    return rows or [[result.name, "ran", f"{result.seconds:.0f} s", "", ""]]


def _show(result: Result) -> None:
    said = f"FAILED: {result.failure}" if result.failure else "ran"
    print(f"{result.name} {said} ({result.seconds:.0f} s)", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
