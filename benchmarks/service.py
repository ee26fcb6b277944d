"""The service under a steady queue, with the starter: `python -m benchmarks.service`.

Jobs go through the whole service except Discord; the worker thread is timed from inside, through a dreamer that
forwards every call to the real one. Reported are jobs per hour, the thread's idle time while jobs waited, the share of
time for previews, timelapse and reports, the time of the first preview, and the memory after each job.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from PIL import Image

from benchmarks.report import conditions, options, write_report
from bot.config import Config
from bot.files import DataFolder
from bot.jobs import JobState
from bot.service import JobSpec, JobView, Requester, Service
from bot.worker.engine import GeneratorEngine
from bot.worker.pool import WorkerPool
from bot.worker.protocol import Dream
from bot.worker.thread import ThreadWorker
from generator import GenerationRequest, Picture, Progress

PROMPTS = ("a red apple at night", "a cat in the forest", "a sailboat on the sea", "a castle in the snow")
SMALL: dict[str, object] = {"size": 64, "steps": 4, "cutouts": 4, "start": "random"}


@dataclass
class Times:
    """Seconds that the thread spent: in each call, on each job from its first call to its last, and without a job.

    Attributes:
        ended_at: end of the last call; None while no job waits.
    """

    spent_s: dict[str, float] = field(default_factory=dict)
    jobs_s: list[float] = field(default_factory=list)
    idle_s: float = 0.0
    ended_at: float | None = None
    _began_at: float = 0.0

    def begin_job(self) -> None:
        """Start of a job: the thread was idle since the last one ended."""
        self._began_at = time.monotonic()
        self.jobs_s.append(0.0)
        if self.ended_at is not None:
            self.idle_s += self._began_at - self.ended_at

    def note(self, name: str, began: float) -> None:
        """Add a call that started at a time of `time.monotonic` and ends now."""
        self.ended_at = time.monotonic()
        self.jobs_s[-1] = self.ended_at - self._began_at
        self.spent_s[name] = self.spent_s.get(name, 0.0) + self.ended_at - began


class WatchedDream:
    """A dream with timed calls."""

    def __init__(self, dream: Dream, times: Times) -> None:
        self._dream, self._times = dream, times

    @property
    def finished(self) -> bool:
        """As in the dream."""
        return self._dream.finished

    @property
    def progress(self) -> Progress:
        """As in the dream."""
        return self._dream.progress

    @property
    def warnings(self) -> tuple[str, ...]:
        """As in the dream."""
        return self._dream.warnings

    def step(self) -> Progress:
        """As in the dream."""
        began = time.monotonic()
        progress = self._dream.step()
        self._times.note("steps", began)
        return progress

    def preview(self) -> Image.Image:
        """As in the dream."""
        began = time.monotonic()
        image = self._dream.preview()
        # After the last step, the preview is the picture itself.
        self._times.note("last decode" if self._dream.finished else "previews", began)
        return image

    def snapshot(self) -> bytes:
        """As in the dream."""
        began = time.monotonic()
        data = self._dream.snapshot()
        self._times.note("snapshots", began)
        return data

    def picture(self, between: Callable[[], None] = lambda: None) -> Picture:
        """As in the dream."""
        began = time.monotonic()
        picture = self._dream.picture(between)
        self._times.note("last decode", began)
        return picture


class WatchedDreamer(GeneratorEngine):
    """The bot's engine, timed."""

    times: Times

    def begin(self, request: GenerationRequest, parent: bytes | None) -> Dream:
        """As in the engine."""
        self.times.begin_job()
        began = time.monotonic()
        dream = super().begin(request, parent)
        self.times.note("starts", began)
        return WatchedDream(dream, self.times)

    def unsafe_share(self, image: Image.Image) -> float:
        """As in the engine."""
        began = time.monotonic()
        share = super().unsafe_share(image)
        self.times.note("safety check", began)
        return share


@dataclass(frozen=True)
class Served:
    """Result of a run of jobs."""

    seconds: float
    first_preview_s: float
    """From submission until a message could show the first preview; nothing else was being generated."""
    memory_mib: list[float]
    """After each job, of this process."""


class Counter:
    """Client of a service: submits jobs and takes the results like the frontend, but discards them."""

    def __init__(self, service: Service) -> None:
        self._service, self._changed = service, asyncio.Condition()
        self._calls: set[asyncio.Task[None]] = set()
        service.watch(self._on_progress)

    async def order(self, person: int, prompt: str, settings: dict[str, object]) -> int:
        """Submit a job and return its number."""
        who = Requester(guild_id=1, channel_id=1, user_id=person)
        return (await self._service.submissions.submit(who, JobSpec(prompt=prompt, settings=settings))).job.id

    async def until(self, job_id: int, so: Callable[[JobView], bool]) -> None:
        """Wait until a job is in a state."""
        async with self._changed:
            while (view := await self._service.view(job_id)) is not None and not so(view):
                await self._changed.wait()

    async def hand_over(self, job_id: int) -> None:
        """Wait until a job is generated, and get its files as for an upload."""
        await self.until(job_id, lambda view: view.job.state not in (JobState.QUEUED, JobState.RUNNING))
        assert await self._service.post.begin(job_id, limit_bytes=10**7) is not None  # noqa: S101 - nothing else ends it
        await self._service.post.done(job_id, 1, job_id)

    def _on_progress(self, job_id: int) -> None:
        call = asyncio.create_task(self._wake())
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()


async def serve(
    service: Service, times: Times, jobs: int, settings: dict[str, object], waiting: int, warm_up: int = 0
) -> Served:
    """Run all jobs while `waiting` jobs wait at any time; the first one alone, to time its preview.

    Warm-up jobs that do not count run before it.
    """
    gate, counter, memory = asyncio.Semaphore(waiting + 1), Counter(service), []

    async def one(number: int) -> None:
        async with gate:
            job_id = await counter.order(number + 1, PROMPTS[number % len(PROMPTS)], settings | {"seed": number})
            await counter.hand_over(job_id)
            memory.append(_resident_mib())

    for number in range(warm_up):
        await counter.hand_over(await counter.order(1, PROMPTS[0], settings | {"seed": number}))
    began = time.monotonic()
    job_id = await counter.order(1, PROMPTS[0], settings | {"seed": 0})
    await counter.until(job_id, lambda view: view.preview is not None or view.job.state is JobState.POSTING)
    first_preview_s = time.monotonic() - began
    await counter.hand_over(job_id)
    memory.append(_resident_mib())
    times.ended_at = None
    await asyncio.gather(*(one(number) for number in range(1, jobs)))
    return Served(time.monotonic() - began, first_preview_s, memory)


def _resident_mib() -> float:
    match = re.search(r"^VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"), re.MULTILINE)
    return int(match[1]) / 1024 if match else float("nan")


async def measure(
    jobs: int, settings: dict[str, object], device: str, waiting: int, warm_up: int = 0
) -> tuple[Served, Times]:
    """Run jobs through the whole service: its database, its files, its thread."""
    engine, times = WatchedDreamer("starter", device), Times()
    engine.times = times
    base = engine.load()
    config = Config()
    worker = ThreadWorker(engine, preview_s=config.timing.preview_s, snapshot_s=config.timing.snapshot_s)
    executor = WorkerPool([worker])
    with TemporaryDirectory() as folder:
        files = DataFolder(Path(folder))
        service = Service(
            config,
            files,
            executor,
            settings=base,
            starts=engine.suggested(config.model_name).starts,
            request_warnings=engine.request_warnings,
        )
        await service.start()
        try:
            return await serve(service, times, jobs, settings, waiting, warm_up), times
        finally:
            await service.close()


def main(arguments: list[str]) -> int:
    """Measure the service."""
    parser = options(__doc__, "service.json")
    parser.add_argument("--jobs", type=int, default=6)
    parser.add_argument(
        "--small", action="store_true", help="64 px, from noise, 4 steps, for many jobs: is memory steady?"
    )
    parser.add_argument("--waiting", type=int, default=2, help="jobs that wait at any time")
    args = parser.parse_args(arguments)
    about = conditions(args.threads, args.device)
    torch.set_num_threads(args.threads)
    settings = SMALL if args.small else {}
    served, times = asyncio.run(measure(args.jobs, settings, args.device, args.waiting))
    working, starts = sum(times.jobs_s), times.spent_s["starts"]
    reports = times.spent_s.get("previews", 0.0) + working - sum(times.spent_s.values())
    half, late = served.memory_mib[args.jobs // 2 :], served.memory_mib[-max(1, args.jobs // 10) :]
    middle = statistics.median(half[: len(late)])
    rows = [
        ["jobs an hour", f"{args.jobs / served.seconds * 3600:.0f}"],
        ["first preview after", f"{served.first_preview_s:.2f} s"],
        ["thread without work while jobs wait", f"{times.idle_s / served.seconds:.2%}"],
        ["previews, timelapse, reports", f"{reports / working:.2%}"],
        ["steps", f"{times.spent_s['steps'] / working:.1%}"],
        ["starts (prior, its choice)", f"{starts / working:.1%}"],
        ["memory at half of the jobs, at the end", f"{middle:.0f}, {statistics.median(late):.0f} MiB"],
    ]
    figures = {
        "jobs": args.jobs,
        "small": args.small,
        "seconds": served.seconds,
        "first_preview_s": served.first_preview_s,
        "idle_s": times.idle_s,
        "jobs_s": times.jobs_s,
        "spent_s": times.spent_s,
        "memory_mib": served.memory_mib,
    }
    write_report(args.json, about, ["", ""], rows, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
