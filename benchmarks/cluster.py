"""`python -m benchmarks.cluster`: painters on Ray: jobs an hour, fairness, kills of workers, overhead, memory.

Painters wait 200 ms in each step instead of computing, so that several of them run on one machine as on several GPUs.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.report import conditions, options, write_report
from bot.config import Caps, Config, Limits, Painters, Timing
from bot.files import Kind
from bot.jobs import Event, JobState
from bot.service import JobSpec
from bot.worker.cluster.environment import prepare_environment
from bot.worker.kinds import open_engines, open_workers
from bot.worker.protocol import Executor, GeneratedPicture, Work
from generator import GenerationRequest, Settings, request_from_json
from tests.bot.fake_dream import FakeDream, FakeDreamer
from tests.bot.real_service import RealService, requester, until

STEP_S, STEPS, JOBS = 0.2, 20, 24
SERVERS = 5
KILLED_JOBS, KILLS = 1_000, 50
PICTURES = 5


def waiting(step_s: float, gpu: bool) -> FakeDreamer:
    """The engine of a painter that waits."""
    return FakeDreamer(step_s)


class OnRay(RealService):
    """The service with painters of a cluster on this machine."""

    def __init__(self, root: Path, painters: int, step_s: float) -> None:
        limits = Limits(queue_server=2_000, queue_user=1_000, running=16, daily=0)
        caps = Caps(queue_server=10_000, queue_user=1_000, queue_bot=100_000, running=16)
        super().__init__(root, Config(limits=limits, caps=caps, timing=Timing(snapshot_s=0.2)))
        self._painters, self._step_s = painters, step_s

    def make_executor(self) -> Executor:
        """As many painters as asked for."""
        prepare_environment(os.environ, "local", Path.home())
        from bot.worker.cluster.pool import RayCluster

        painters = Painters(kind="ray", count=self._painters)
        return RayCluster(painters, partial(waiting, self._step_s), preview_s=1.5, snapshot_s=0.2)

    async def begin(self) -> None:
        """Start, and wait for all painters."""
        await self.start()
        await until(self._complete, 600)

    async def _complete(self) -> bool | None:
        return True if self.executor.capacity == self._painters else None

    async def ask(self, count: int, steps: int) -> list[int]:
        """Queue jobs of several servers and people, most of them of the first server."""
        made = []
        for number in range(count):
            guild = 1 + (number % SERVERS if number % 3 else 0)
            who = requester(number % 7, guild_id=guild)
            settings = {"size": "64x64", "steps": steps, "cutouts": 4, "seed": number}
            made.append((await self.service.submissions.submit(who, JobSpec(prompt="waits", settings=settings))).job.id)
        return made

    async def done(self, jobs: Sequence[int], timeout_s: float) -> None:
        """Wait until all jobs have their pictures."""

        async def finished() -> bool | None:
            states = await self.service.store.figures.states()
            return True if states.get("posting", 0) >= len(jobs) else None

        await until(finished, timeout_s)


async def scaling(painters: int) -> dict[str, Any]:
    """Jobs an hour, and the fairness between servers while all of them wait."""
    with tempfile.TemporaryDirectory() as folder:
        bench = OnRay(Path(folder), painters, STEP_S)
        await bench.begin()
        order: list[int] = []
        watch_ends(bench, lambda event: order.append(event.job.guild_id))
        began = time.perf_counter()
        jobs = await bench.ask(JOBS, STEPS)
        await bench.done(jobs, 600)
        took_s = time.perf_counter() - began
        await bench.service.close()
    least = Counter(1 + (number % SERVERS if number % 3 else 0) for number in range(JOBS))
    window = order[: SERVERS * min(least.values())]
    served = [window.count(guild) for guild in least]
    return {
        "painters": painters,
        "jobs_per_hour": round(3600 * JOBS / took_s),
        "fairness": round(sum(served) ** 2 / (len(served) * sum(count**2 for count in served)), 3),
    }


def watch_ends(bench: OnRay, call: Callable[[Event], None]) -> None:
    """Call a function with each job that comes to `posting`, beside the service's own listener."""
    own = bench.service.store.jobs.on_event

    def both(event: Event) -> None:
        own(event)
        if event.before is not None and event.job.state is JobState.POSTING and event.before.state is JobState.RUNNING:
            call(event)

    bench.service.store.jobs.on_event = both


async def kills() -> dict[str, Any]:
    """A thousand jobs over four painters, with workers killed at random: lost, twice, or with other bytes?"""
    with tempfile.TemporaryDirectory() as folder:
        bench = OnRay(Path(folder), 4, 0.03)
        await bench.begin()
        ends: Counter[int] = Counter()
        watch_ends(bench, lambda event: ends.update([event.job.id]))
        before = rss_mb()
        jobs = await bench.ask(KILLED_JOBS, 10)
        killed, dice = 0, random.Random(7)  # noqa: S311 - for a repeatable measurement
        waiting_for = asyncio.create_task(bench.done(jobs, 3_000))
        while not waiting_for.done():
            await asyncio.sleep(dice.uniform(0.5, 3.0))
            processes = painter_processes()
            if killed < KILLS and processes:
                os.kill(dice.choice(processes), signal.SIGKILL)
                killed += 1
        await waiting_for
        wrong = [
            job_id for job_id in jobs if bench.files.read(Kind.LATENT, job_id, 1) != await undisturbed(bench, job_id)
        ]
        deaths, after = bench.executor.deaths, rss_mb()
        await bench.service.close()
    return {
        "jobs": len(jobs),
        "kills": killed,
        "deaths_seen": deaths,
        "lost": sum(ends[job_id] == 0 for job_id in jobs),
        "twice": sum(ends[job_id] > 1 for job_id in jobs),
        "wrong": wrong,
        "bot_mb": [before, after],
    }


async def undisturbed(bench: OnRay, job_id: int) -> bytes:
    """The last snapshot of a job's picture, painted here without a break."""
    dream = FakeDream(request_from_json(await bench.service.store.jobs.recipe(job_id) or ""), FakeDreamer())
    while not dream.finished:
        dream.step()
    return dream.snapshot()


def painter_processes() -> list[int]:
    """Processes of painters on this machine, by the title that Ray gives them."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if place.read_bytes().startswith(b"ray::Painter"):
                found.append(int(place.parent.name))
        except OSError:  # It ended meanwhile.
            continue
    return found


def rss_mb() -> int:
    """Memory of this process, which is the bot's."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) // 1024


async def overhead() -> dict[str, Any]:
    """Seconds a picture of the starter by a thread and by Ray, one after the other in turn."""
    request = GenerationRequest(prompt="a red apple", settings=Settings())
    seconds: dict[str, list[float]] = {"local": [], "ray": []}
    pools: dict[str, Executor] = {}
    for kind in seconds:
        config = Config(device="cpu", painters=Painters(kind=kind))
        engines, suggested = await asyncio.to_thread(open_engines, config)
        request = GenerationRequest(prompt="a red apple", settings=suggested.merged({"seed": 7}))
        pools[kind] = open_workers(config, engines)
        await pools[kind].start()
        await until(partial(_has_painter, pools[kind]), 600)
    pictures: dict[str, bytes] = {}
    for number in range(PICTURES + 1):
        for kind, pool in pools.items():
            began = time.perf_counter()
            outcome = await pool.generate(Work(job_id=number, request=request), lambda update: None)
            if isinstance(outcome, GeneratedPicture):
                pictures[kind] = outcome.picture.image.tobytes()
            if number:  # the first one warms up
                seconds[kind].append(time.perf_counter() - began)
    for pool in pools.values():
        await pool.close()
    medians = {kind: statistics.median(values) for kind, values in seconds.items()}
    return {
        **{f"{kind}_s": round(value, 2) for kind, value in medians.items()},
        "overhead_percent": round(100 * (medians["ray"] / medians["local"] - 1), 1),
        "same_bytes": pictures["local"] == pictures["ray"],
    }


async def _has_painter(pool: Executor) -> bool | None:
    return True if pool.capacity else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the parts that are asked for, and write the figures."""
    parser = options(__doc__, "cluster.json")
    parser.add_argument("--parts", nargs="+", default=["scaling", "kills", "overhead"], help="what to measure")
    args = parser.parse_args(arguments)
    about = conditions(args.threads, "cpu")
    figures: dict[str, Any] = {}
    if "scaling" in args.parts:
        figures["scaling"] = [asyncio.run(scaling(painters)) for painters in (1, 2, 4)]
    if "kills" in args.parts:
        figures["kills"] = asyncio.run(kills())
    if "overhead" in args.parts:
        figures["overhead"] = asyncio.run(overhead())
    rows = []
    for part, values in figures.items():
        for each in values if isinstance(values, list) else [values]:
            rows.append([part, ", ".join(f"{name} {value}" for name, value in each.items())])
    write_report(args.json, about, ("part", "figures"), rows, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
