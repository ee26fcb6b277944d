"""`python -m benchmarks.fuzz [TARGET ...]`: search for inputs that our own readers do not expect.

atheris records the lines that an input reaches, and mutates inputs that reach new ones. The allowed results of each
target are in tests/faults/fuzzing.py: anything else is a finding, and its input is kept in the folder. The corpus,
which starts with the tests' own hostile files, is kept there too, and the next run continues from it. A table goes to
standard output, all figures to a JSON file; the exit status is 1 if something was found, or nothing could be fuzzed.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.report import conditions, write_report

ROOT = Path(__file__).parent.parent
MODULE = "tests.faults.fuzzing"
SECONDS = 60
HANGS_S, MEMORY_MIB = 20, 2048
"""Limits at which libFuzzer ends the process: time of one input, and memory of the process."""
MISSING = (
    "Nothing was fuzzed: that needs atheris, of which there are packages for Linux on x86-64 alone; there "
    "`make test` installs it."
)
_HEAD = [
    "target",
    "inputs tried",
    "seconds",
    "edges, first",
    "edges, in the end",
    "corpus, first",
    "corpus, in the end",
    "most memory, MiB",
    "findings",
]
_STATE = re.compile(rb"^#(\d+)\s+(\S+)\s+cov: (\d+) ft: \d+ corp: (\d+)", re.MULTILINE)
"""libFuzzer's status line: inputs tried, reason for the line, edges, and inputs in the corpus."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """Result of fuzzing one target. An edge is a step from one line to another that some input has taken."""

    target: str
    tried: int
    seconds: float
    edges_first: int
    edges: int
    corpus_first: int
    corpus: int
    memory_mib: int
    finding: str
    """Last output of the process after a finding; empty otherwise."""


def fuzz(
    name: str, seconds: int, folder: Path, *, tries: int | None = None, seed: int = 1, module: str = MODULE
) -> Run:
    """Fuzz one target of a module's TARGETS until something is found, or for so many seconds (0: no end) or tries."""
    target = importlib.import_module(module).TARGETS[name]
    folder = folder.resolve()
    begun, found = folder / "corpus", folder / "found"
    for path in (begun, found):
        path.mkdir(parents=True, exist_ok=True)
    for data in target.corpus():
        (begun / hashlib.sha256(data).hexdigest()[:20]).write_bytes(data)
    options: dict[str, object] = {
        "max_total_time": seconds,
        "seed": seed,
        "max_len": target.longest,
        "timeout": HANGS_S,
        "rss_limit_mb": MEMORY_MIB + _own_peak_mib(),
        "artifact_prefix": f"{found}/",
        "print_final_stats": 1,
    }
    if tries is not None:
        options["runs"] = tries
    if target.words:
        options["dict"] = folder / "words"
        (folder / "words").write_text("".join(f'"{_escaped(word)}"\n' for word in target.words), "ascii")
    command = [sys.executable, "-m", "benchmarks._fuzzed", module, name, str(begun)]
    began = time.monotonic()
    done = subprocess.run(  # noqa: S603 - our own program
        [*command, *(f"-{key}={value}" for key, value in options.items())],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=False,
    )
    (folder / "log").write_bytes(done.stdout + done.stderr)
    return _parsed(name, time.monotonic() - began, done)


def _own_peak_mib() -> int:
    """Return the peak memory of this process: Linux counts it as that of a process that it starts, too."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _parsed(name: str, seconds: float, done: subprocess.CompletedProcess[bytes]) -> Run:
    """Parse the process's output into figures."""
    said = done.stdout + done.stderr
    states = [(int(tried), why, int(edges), int(kept)) for tried, why, edges, kept in _STATE.findall(said)]
    spent = re.search(rb"^Done \d+ runs in (\d+) second", said, re.MULTILINE)  # without the time for imports
    nothing = (0, b"", 0, 0)
    first = next((state for state in states if state[1] == b"INITED"), nothing)
    last = states[-1] if states else nothing
    return Run(
        target=name,
        tried=_figure(said, b"number_of_executed_units") or last[0],
        seconds=float(spent[1]) if spent else seconds,
        edges_first=first[2],
        edges=last[2],
        corpus_first=first[3],
        corpus=last[3],
        memory_mib=_figure(said, b"peak_rss_mb"),
        finding="" if done.returncode == 0 else _finding(said, done.returncode),
    )


def _figure(said: bytes, name: bytes) -> int:
    match = re.search(rb"^stat::" + name + rb":\s+(\d+)", said, re.MULTILINE)
    return 0 if match is None else int(match[1])


def _finding(said: bytes, status: int) -> str:
    """Return the process's last message about why it ended, and the input's file."""
    text = said.decode("utf-8", "replace")
    _, raised, trace = text.rpartition("Traceback (most recent call last)")
    errors = [line for line in trace.splitlines() if raised and re.match(r"[A-Za-z_][\w.]*(: |$)", line)]
    ended = re.search(r"ERROR: libFuzzer: (.*)", text)
    words = errors[0] if errors else ended[1] if ended else f"it ended with {status}: {text.strip()[-100:]}"
    file = re.search(r"Test unit written to (\S+)", text)
    return words[:200] if file is None else f"{words[:200]}; {Path(file[1]).name}"


def _escaped(word: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word.encode())


def _row(run: Run) -> list[str]:
    return [
        run.target,
        f"{run.tried:,}",
        f"{run.seconds:.0f}",
        str(run.edges_first),
        str(run.edges),
        str(run.corpus_first),
        str(run.corpus),
        str(run.memory_mib),
        run.finding or "none",
    ]


def main() -> int:
    """Run the requested targets."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="see --list; all of them if none is named")
    parser.add_argument("--list", action="store_true", help="say what each target allows, and end")
    parser.add_argument("--seconds", type=int, default=SECONDS, help=f"for each target ({SECONDS})")
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn")
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"), help="where corpus, findings and logs are")
    parser.add_argument("--json", type=Path, default=Path("build/bench/fuzz.json"), help="where the figures go")
    given = parser.parse_args()
    if find_spec("atheris") is None:
        print(MISSING, file=sys.stderr)
        return 1
    return _run(given, importlib.import_module(MODULE).TARGETS)


def _run(given: argparse.Namespace, targets: Mapping[str, Any]) -> int:
    if given.list:
        print("\n".join(f"{name}: {target.allowed}" for name, target in targets.items()))
        return 0
    unknown = [name for name in given.targets if name not in targets]
    if unknown:
        print(f"There is no target {unknown[0]}; choose from {', '.join(targets)}.", file=sys.stderr)
        return 1
    about = conditions(threads=1, device="cpu") | {"seed": given.seed}
    runs = []
    for name in given.targets or targets:
        runs.append(fuzz(name, given.seconds, given.folder / name, seed=given.seed))
        print(f"{time.strftime('%H:%M:%S')} {runs[-1]}", file=sys.stderr, flush=True)
    write_report(given.json, about, _HEAD, [_row(run) for run in runs], [asdict(run) for run in runs])
    return 1 if any(run.finding for run in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
