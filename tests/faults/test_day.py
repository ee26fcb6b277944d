"""A day and three hours of five servers on a virtual clock: fair turns, daily limits, deletion of old pictures.

Service, database, files and worker thread are real; each step of the fake dream takes 90 seconds of the virtual
clock, and where nobody waits for anything the clock skips to the next person.
"""

from __future__ import annotations

import asyncio
import math
import random
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from bot.config import Config, Limits, Timing
from bot.errors import QueueFull, TooSoon
from bot.jobs import Job, JobState
from bot.service import JobSpec, Requester
from bot.store.jobs import day_of
from generator import GenerationRequest
from tests.bot.fake_dream import FakeDreamer
from tests.bot.real_service import QUICK, RealService, requester

pytestmark = pytest.mark.waits

BEGIN = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()
HOURS, STEP_S = 27, 90.0
DAILY, WAITING = 7, 3
GUILDS, PEOPLE, BUSY = range(1, 6), range(4), 1
"""Server 1 asks for ten times as much as each of the others, and keeps its pictures for one day."""
DAY_S, HOUR_S = 86_400.0, 3_600.0


class Clock:
    """Both clocks of this process, which can skip ahead together, so that no jump is noticed. Any thread."""

    def __init__(self, begin: float) -> None:
        self._time, self._monotonic = time.time, time.monotonic
        self._ahead, self._skipped, self._lock = begin - time.time(), 0.0, threading.Lock()
        self._loop = asyncio.get_running_loop()

    def time(self) -> float:
        return self._time() + self._ahead + self._skipped

    def monotonic(self) -> float:
        return self._monotonic() + self._skipped

    def skip(self, seconds: float) -> None:
        with self._lock:
            self._skipped += max(0.0, seconds)
        # The loop sleeps by the clock as it was.
        self._loop.call_soon_threadsafe(lambda: None)


class SlowDreamer(FakeDreamer):
    """Each step takes STEP_S of the virtual clock, and waits for earlier requests."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock, self._until, self._changed = clock, BEGIN, threading.Condition()

    def generate_until(self, at: float) -> None:
        with self._changed:
            self._until = at
            self._changed.notify_all()

    def before_step(self, request: GenerationRequest, step: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._clock.time() < self._until)
        self._clock.skip(STEP_S)


@dataclass
class Day:
    """A simulated day: its events and the observations."""

    bench: RealService
    clock: Clock
    engine: SlowDreamer
    rng: random.Random

    def __post_init__(self) -> None:
        self.accepted: list[tuple[int, Job]] = []
        self.started: dict[int, Job] = {}
        self.ended_at: dict[int, float] = {}
        self.changed: set[int] = set()
        self.bench.service.watch(self.changed.add)
        self.refused: Counter[str] = Counter()
        self.looked_at = BEGIN

    def arrivals(self) -> list[tuple[float, int, int]]:
        """Requests: time, server, person; three times as many in the evening as at night."""
        found = []
        for guild in GUILDS:
            rate = 40.0 if guild == BUSY else 4.0
            at = BEGIN
            while (at := at + self.rng.expovariate(1.5 * rate / HOUR_S)) < BEGIN + HOURS * HOUR_S:
                awake = 1.0 if 17 <= datetime.fromtimestamp(at, UTC).hour <= 23 else 1 / 3
                if self.rng.random() < awake:
                    found.append((at, guild, self.rng.choice(PEOPLE)))
        return sorted(found)

    async def run(self) -> None:
        for at, guild, person in self.arrivals():
            self.engine.generate_until(at)
            while self.clock.time() < at:
                if await self.serve():
                    await asyncio.sleep(0.002)
                else:
                    self.clock.skip(at - self.clock.time())
            await self.ask(requester(10 * guild + person, guild_id=guild))
        self.engine.generate_until(math.inf)
        while await self.serve():
            await asyncio.sleep(0.002)

    async def serve(self) -> bool:
        """Post finished pictures like the frontend; return True while any job is unfinished."""
        service = self.bench.service
        while self.changed:
            job = await service.store.jobs.get(self.changed.pop())
            if job is not None and job.state is JobState.POSTING:
                self.started[job.id] = job
                assert await service.post.begin(job.id, limit_bytes=10**7) is not None
                await service.post.done(job.id, job.channel_id, job.id)
                self.ended_at[job.id] = self.clock.time()
        if self.clock.time() > self.looked_at + HOUR_S:
            self.looked_at = self.clock.time()
            await self.check_retention()
        return len(self.started) < len(self.accepted)

    async def ask(self, who: Requester) -> None:
        spec = JobSpec(prompt="a red apple", settings=QUICK)
        try:
            job = (await self.bench.service.submissions.submit(who, spec)).job
        except (TooSoon, QueueFull) as exc:
            self.refused[exc.sentence.key] += 1
            return
        self.accepted.append((who.user_id, job))
        waiting = [mine for mine in await self.bench.service.mine(who) if mine.state is not JobState.POSTING]
        assert len(waiting) <= WAITING

    async def check_retention(self) -> None:
        """Server 1 keeps nothing longer than a day plus an hour until the next check; the others keep everything."""
        kept = await self.bench.service.store.jobs.existing(job.id for _, job in self.accepted)
        for _, job in self.accepted:
            if job.guild_id != BUSY:
                assert job.id in kept
            elif job.id in kept and job.id in self.ended_at:
                assert self.clock.time() - self.ended_at[job.id] < DAY_S + HOUR_S + 10 * STEP_S


@pytest_asyncio.fixture
async def day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Day]:
    clock = Clock(BEGIN)
    monkeypatch.setattr(time, "time", clock.time)
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    limits = replace(Limits(), daily=DAILY, queue_user=WAITING)
    bench = RealService(
        tmp_path, Config(limits=limits, timing=Timing(retention_s=HOUR_S, access_s=HOUR_S), retention_days=90)
    )
    bench.engine = engine = SlowDreamer(clock)
    await bench.start()
    await bench.service.guilds.set_retention(requester(guild_id=BUSY, manages=True), 1)
    yield Day(bench, clock, engine, random.Random(4))
    engine.generate_until(math.inf)
    await bench.service.close()


@pytest.mark.slow
async def test_a_day_of_five_servers_is_fair_and_keeps_its_limits(day: Day) -> None:
    await day.run()
    assert len(day.started) == len(day.accepted) > 150, "all that was accepted was painted"
    assert not await day.bench.service.store.jobs.under_way()

    by_day = Counter((user, day_of(job.created_at)) for user, job in day.accepted)
    assert max(by_day.values()) == DAILY and day.refused["quota_spent"] > 0
    days = {date for (user, date), count in by_day.items() if count == DAILY and user // 10 == BUSY}
    assert len(days) == 2, "who had no more that day may ask again after midnight"
    assert day.refused["queue_full_user"] > 0

    turns = longest_waits(sorted(day.started.values(), key=lambda job: job.started_at or 0.0))
    assert turns and max(turns) == 1, "who waits lets each other server go before it once"

    left = await day.bench.service.store.jobs.existing(job.id for _, job in day.accepted)
    assert 0 < len(left) < len(day.accepted)
    assert day.bench.files.job_ids() == left


def longest_waits(starts: list[Job]) -> list[int]:
    """For each turn for which a server waited: the largest number of turns of one other server meanwhile."""
    found = []
    for guild in GUILDS:
        own = [job for job in starts if job.guild_id == guild]
        for before, job in zip([None, *own], own, strict=False):
            # The first turn after it came may have been given away while it was being written down.
            since = max(job.created_at, (before.started_at or 0.0) if before is not None else 0.0)
            others = [item for item in starts if since < (item.started_at or 0.0) < (job.started_at or 0.0)]
            foreign = Counter(item.guild_id for item in others[int(since == job.created_at) :])
            if foreign:
                found.append(max(foreign.values()))
    return found
