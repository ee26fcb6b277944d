"""Parts in separate processes: a crash or hang of one does not affect the others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(kw_only=True)
class Result:
    """Result of a part: its figures as JSON holds them, or the reason of its failure."""

    name: str
    seconds: float = 0.0
    figures: list[dict[str, Any]] = field(default_factory=list)
    failure: str = ""


@dataclass(kw_only=True)
class Job:
    """A part to run: `command` writes figures to `out`, and its output goes to `log`."""

    name: str
    command: Sequence[str]
    out: Path
    log: Path
    alone: bool
    limit_s: float


def run_all(
    jobs: Sequence[Job], *, at_once: int, deadline: float, show: Callable[[Result], None], poll_s: float = 0.1
) -> list[Result]:
    """Run those that must be alone one by one, then the others side by side, until a time of `time.monotonic`.

    A part that could not begin, or did not finish by then, is a failure that says so.
    """
    results: list[Result] = []
    for group, most in (([job for job in jobs if job.alone], 1), ([job for job in jobs if not job.alone], at_once)):
        waiting, running = list(group), list[_Running]()
        while waiting or running:
            while waiting and len(running) < most and time.monotonic() < deadline:
                running.append(_Running(waiting.pop(0), deadline))
            if time.monotonic() >= deadline:
                results += [Result(name=job.name, failure="there was no time left for it") for job in waiting]
                waiting.clear()
            for each in [each for each in running if each.is_over()]:
                running.remove(each)
                results.append(each.result())
                show(results[-1])
            time.sleep(poll_s)
    return results


class _Running:
    def __init__(self, job: Job, deadline: float) -> None:
        self._job, self._began = job, time.monotonic()
        self._until = min(self._began + job.limit_s, deadline)
        self._stuck = False
        with job.log.open("wb") as log:
            # A separate process group, so that child processes can be ended with it.
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                job.command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
            )

    def is_over(self) -> bool:
        """True if it has ended; a process over its limit is ended."""
        if self._process.poll() is not None:
            return True
        if time.monotonic() < self._until:
            return False
        self._stuck = True
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        return True

    def result(self) -> Result:
        """Read its result."""
        result = Result(name=self._job.name, seconds=time.monotonic() - self._began)
        code = self._process.returncode
        if self._stuck:
            result.failure = "it was stuck, or there was no time left for it"
        elif code != 0 or not self._job.out.is_file():
            result.failure = f"it ended with {code}: {_last_line(self._job.log)}"
        else:
            result.figures = json.loads(self._job.out.read_text("utf-8"))
        return result


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
