"""The painting thread under a steady queue, with the starter: `python -m benchmarks.service`.

Jobs wait in the bot's own executor; what a job's thread does is timed from inside, through a dreamer that passes every
call on to the real one. Said are jobs an hour, how long the thread stood still while jobs waited, the share of the
time that previews, timelapse and reports take, when the first preview came, and the memory after each job.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image

from benchmarks.report import conditions, options, tell
from bot.dreamer import GeneratorDreamer
from bot.executor import LocalExecutor
from bot.painting import Dream, News, Painted, Work
from generator import GenerationRequest, Picture, Progress, Settings

PROMPTS = ("a red apple at night", "a cat in the forest", "a sailboat on the sea", "a castle in the snow")


@dataclass
class Times:
    """Seconds that the thread spent in each call, and when it began and ended the last one."""

    spent_s: dict[str, float] = field(default_factory=dict)
    idle_s: float = 0.0
    ended_at: float | None = None

    def begin_job(self) -> None:
        """A job came to the thread: since the last one ended, it stood still."""
        if self.ended_at is not None:
            self.idle_s += time.monotonic() - self.ended_at

    def note(self, name: str, began: float) -> None:
        """Add a call that began at a time of `time.monotonic` and ends now."""
        self.ended_at = time.monotonic()
        self.spent_s[name] = self.spent_s.get(name, 0.0) + self.ended_at - began


class WatchedDream:
    """A dream whose calls are timed."""

    def __init__(self, dream: Dream, times: Times) -> None:
        self._dream, self._times = dream, times

    @property
    def finished(self) -> bool:
        """As the dream's."""
        return self._dream.finished

    @property
    def progress(self) -> Progress:
        """As the dream's."""
        return self._dream.progress

    @property
    def warnings(self) -> tuple[str, ...]:
        """As the dream's."""
        return self._dream.warnings

    def step(self) -> Progress:
        """As the dream's."""
        began = time.monotonic()
        progress = self._dream.step()
        self._times.note("steps", began)
        return progress

    def preview(self) -> Image.Image:
        """As the dream's."""
        began = time.monotonic()
        image = self._dream.preview()
        self._times.note("previews", began)
        return image

    def snapshot(self) -> bytes:
        """As the dream's."""
        began = time.monotonic()
        data = self._dream.snapshot()
        self._times.note("snapshots", began)
        return data

    def picture(self) -> Picture:
        """As the dream's."""
        began = time.monotonic()
        picture = self._dream.picture()
        self._times.note("last decode", began)
        return picture


class WatchedDreamer(GeneratorDreamer):
    """The bot's dreamer, timed."""

    times: Times

    def begin(self, request: GenerationRequest, parent: bytes | None) -> Dream:
        """As the dreamer's."""
        self.times.begin_job()
        began = time.monotonic()
        dream = super().begin(request, parent)
        self.times.note("starts", began)
        return WatchedDream(dream, self.times)


@dataclass(frozen=True)
class Served:
    """What a run of jobs showed."""

    seconds: float
    first_preview_s: list[float]
    memory_mib: list[float]
    painted_s: float
    """From the end of each start to its finished picture."""


async def serve(executor: LocalExecutor, requests: list[GenerationRequest], waiting: int) -> Served:
    """Paint them all while `waiting` jobs wait at any time; the first alone, to see when its preview comes."""
    gate, firsts, memory, painted = asyncio.Semaphore(waiting + 1), [], [], []

    async def one(number: int, request: GenerationRequest) -> None:
        async with gate:
            began: list[float] = [time.monotonic()] if number == 0 else []

            def hear(news: News) -> None:
                if began and news.preview is not None:
                    firsts.append(time.monotonic() - began.pop())

            outcome = await executor.paint(Work(job_id=number, request=request), hear)
            assert isinstance(outcome, Painted)  # noqa: S101 - nobody orders anything else here
            painted.append(outcome.paint_s)
            memory.append(_resident_mib())

    began = time.monotonic()
    await one(0, requests[0])
    await asyncio.gather(*(one(number, request) for number, request in enumerate(requests[1:], 1)))
    return Served(time.monotonic() - began, firsts, memory, sum(painted))


def _resident_mib() -> float:
    match = re.search(r"^VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"), re.MULTILINE)
    return int(match[1]) / 1024 if match else float("nan")


async def measure(jobs: int, settings: dict[str, object], device: str, waiting: int) -> tuple[Served, Times]:
    """A run of jobs through the executor."""
    dreamer, times = WatchedDreamer("starter", device, 1.1), Times()
    dreamer.times = times
    defaults = dreamer.load().as_dict()
    requests = [
        GenerationRequest(
            prompt=PROMPTS[number % len(PROMPTS)],
            models="starter",
            settings=Settings().merged(defaults).merged(settings).merged({"seed": number}),
        )
        for number in range(jobs)
    ]
    executor = LocalExecutor(dreamer)
    try:
        return await serve(executor, requests, waiting), times
    finally:
        await executor.close()


def main(arguments: list[str]) -> int:
    """Measure the service."""
    parser = options(__doc__, "service.json")
    parser.add_argument("--jobs", type=int, default=6)
    parser.add_argument("--small", action="store_true", help="64 px and 4 steps, for many jobs: is memory steady?")
    parser.add_argument("--waiting", type=int, default=2, help="jobs that wait at any time")
    args = parser.parse_args(arguments)
    about = conditions(args.threads, args.device)
    torch.set_num_threads(args.threads)
    settings: dict[str, object] = {"size": 64, "steps": 4, "cutouts": 4, "candidates": 2} if args.small else {}
    served, times = asyncio.run(measure(args.jobs, settings, args.device, args.waiting))
    starts = times.spent_s.get("starts", 0.0)
    working = starts + served.painted_s
    told = sum(times.spent_s.values()) - starts
    reports = times.spent_s.get("previews", 0.0) + max(0.0, served.painted_s - told)
    half, late = served.memory_mib[args.jobs // 2 :], served.memory_mib[-max(1, args.jobs // 10) :]
    middle = statistics.median(half[: len(late)])
    rows = [
        ["jobs an hour", f"{args.jobs / served.seconds * 3600:.0f}"],
        ["first preview after", f"{served.first_preview_s[0]:.2f} s" if served.first_preview_s else "none"],
        ["thread without work while jobs wait", f"{times.idle_s / served.seconds:.2%}"],
        ["previews, timelapse, reports", f"{reports / working:.2%}"],
        ["steps", f"{times.spent_s.get('steps', 0.0) / working:.1%}"],
        ["starts (prior, its choice)", f"{starts / working:.1%}"],
        ["memory at half of the jobs, at the end", f"{middle:.0f}, {statistics.median(late):.0f} MiB"],
    ]
    figures = {
        "jobs": args.jobs,
        "small": args.small,
        "seconds": served.seconds,
        "first_preview_s": served.first_preview_s,
        "idle_s": times.idle_s,
        "painted_s": served.painted_s,
        "spent_s": times.spent_s,
        "memory_mib": served.memory_mib,
    }
    tell(args.json, about, ["", ""], rows, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
