"""Many jobs with workers that wait: jobs an hour, fairness, kills of workers, memory of the bot's process."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.cluster.waiting import OnRay, guild_of, is_end, is_return, rss_mb
from bot.files import Kind
from bot.jobs import Event

STEP_S, STEPS, JOBS = 0.2, 20, 24
FAIR_JOBS = 300
KILLED_JOBS, KILLS, JOBS_A_KILL = 1_000, 50, 10
MANY_JOBS, LOOKS = 4_000, 8
AT_WORK = (b"ray::Painter.paint", b"ray::Painter.news")


async def scaling(painters: int) -> dict[str, Any]:
    """Jobs an hour."""
    with tempfile.TemporaryDirectory() as folder:
        bench = OnRay(Path(folder), painters, STEP_S)
        await bench.begin()
        began = time.perf_counter()
        jobs = await bench.ask(JOBS, STEPS)
        await bench.done(jobs, 600)
        took_s = time.perf_counter() - began
        await bench.service.close()
    return {"painters": painters, "jobs_per_hour": round(3600 * JOBS / took_s)}


async def fairness(painters: int) -> dict[str, Any]:
    """Jain's index of the pictures of each server, while all of them wait."""
    with tempfile.TemporaryDirectory() as folder:
        bench = OnRay(Path(folder), painters, 0.02)
        await bench.begin()
        order: list[int] = []
        bench.watch(lambda event: order.append(event.job.guild_id) if is_end(event) else None)
        jobs = await bench.ask(FAIR_JOBS, 5)
        await bench.done(jobs, 600)
        await bench.service.close()
    least = Counter(map(guild_of, range(FAIR_JOBS)))
    window = order[: len(least) * min(least.values())]
    served = [window.count(guild) for guild in least]
    index = sum(served) ** 2 / (len(served) * sum(count**2 for count in served))
    return {"painters": painters, "pictures": len(window), "served": served, "fairness": round(index, 4)}


async def kills() -> dict[str, Any]:
    """A thousand jobs over four workers, which are killed at random while they generate.

    Jobs lost or finished twice, pictures with other bytes, jobs that went on from a snapshot.
    """
    with tempfile.TemporaryDirectory() as folder:
        bench = OnRay(Path(folder), 4, 0.03)
        await bench.begin()
        ends, returns = Counter[int](), Counter[bool]()

        def note(event: Event) -> None:
            if is_end(event):
                ends[event.job.id] += 1
            elif is_return(event):
                returns[bench.files.read(Kind.SNAPSHOT, event.job.id, 1) is not None] += 1

        bench.watch(note)
        began, memory = time.perf_counter(), [rss_mb()]
        jobs = await bench.ask(KILLED_JOBS, 30)
        killed, kill_at, dice = 0, 0, random.Random(7)  # noqa: S311 - for a repeatable measurement
        finished = asyncio.create_task(bench.done(jobs, 3_000))
        while not finished.done():
            await asyncio.sleep(dice.uniform(0.1, 0.8))
            # Spread over the whole run, however long workers take to start.
            if killed < KILLS and ends.total() >= kill_at and (working := at_work()):
                os.kill(dice.choice(working), signal.SIGKILL)
                killed, kill_at = killed + 1, ends.total() + JOBS_A_KILL
                if killed % 10 == 0:
                    memory.append(rss_mb())
        await finished
        took_s, deaths = time.perf_counter() - began, bench.executor.deaths
        memory.append(rss_mb())
        wrong = await bench.differing(jobs)
        await bench.service.close()
    return {
        "jobs": len(jobs),
        "kills": killed,
        "deaths_seen": deaths,
        "went_back": returns.total(),
        "with_snapshot": returns[True],
        "lost": sum(ends[job_id] == 0 for job_id in jobs),
        "twice": sum(ends[job_id] > 1 for job_id in jobs),
        "wrong": wrong,
        "minutes": round(took_s / 60, 1),
        "bot_mb": memory,
    }


async def memory() -> dict[str, Any]:
    """Memory of the bot's process over thousands of quick jobs."""
    with tempfile.TemporaryDirectory() as folder:
        bench = OnRay(Path(folder), 4, 0.01)
        await bench.begin()
        looks = [rss_mb()]
        began = time.perf_counter()
        for done in range(LOOKS):
            await bench.ask(MANY_JOBS // LOOKS, 4)
            await bench.done(range((done + 1) * MANY_JOBS // LOOKS), 1_200)
            looks.append(rss_mb())
        took_s = time.perf_counter() - began
        await bench.service.close()
    return {"jobs": MANY_JOBS, "minutes": round(took_s / 60, 1), "bot_mb": looks}


def at_work() -> list[int]:
    """Processes of this benchmark's workers that generate now: their title is the last method that was called."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # It ended meanwhile.
            if (place / "cmdline").read_bytes().startswith(AT_WORK) and _is_ours(int(place.name)):
                found.append(int(place.name))
    return found


def _is_ours(pid: int) -> bool:
    """True for a process that this one started, at whatever distance."""
    while pid not in (0, os.getpid()):
        pid = int(Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[1])
    return pid != 0
