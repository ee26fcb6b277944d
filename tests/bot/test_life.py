"""Random interference with many jobs over their whole life: none is lost, posted twice, or left behind."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from pathlib import Path

import pytest

from bot.config import Config, Limits, Timing
from bot.errors import BotError
from bot.jobs import JobState
from bot.service import JobSpec
from bot.texts import Sentence
from generator import GeneratorError
from tests.bot.real_service import CHANNEL, QUICK, RealService, requester, until

EVENTS = 40
GUILDS, USERS = (1, 2, 3), (1, 2, 3, 4)


class Story:
    """Random events on one service, and a sender that works as the frontend would."""

    def __init__(self, bench: RealService, seed: int) -> None:
        self.bench, self.rng = bench, random.Random(seed)
        self.accepted: list[int] = []
        self.deleted: set[int] = set()
        self.posts: Counter[int] = Counter()

    async def post_all(self) -> None:
        """Post all waiting pictures; now and then access is denied."""
        post = self.bench.service.post
        for job in await post.unsettled():
            if job.state is not JobState.POSTING:
                continue
            if self.rng.random() < 0.2:
                await post.wait_for_access(job.id, Sentence.of("channel_denied"))
            elif (delivery := await post.begin(job.id, limit_bytes=10**7)) is not None:
                assert delivery.files
                before = await self.bench.service.store.jobs.get(job.id)
                done = await post.done(job.id, CHANNEL, job.id)
                if before is not None and done is not None and done.state is JobState.DONE:
                    self.posts[job.id] += 1

    async def event(self) -> None:
        kinds = [self.submit] * 8 + [self.cancel, self.delete, self.finish, self.pause, self.fault, self.post_all]
        kinds += [self.restart, self.crash]
        with contextlib.suppress(BotError):
            await self.rng.choice(kinds)()
        await asyncio.sleep(self.rng.choice([0, 0.002, 0.02, 0.05]))

    async def submit(self) -> None:
        who = requester(self.rng.choice(USERS), guild_id=self.rng.choice(GUILDS))
        settings = QUICK | {"steps": self.rng.choice([1, 5, 30])}
        spec = JobSpec(prompt="x", settings=settings, count=self.rng.choice([1, 1, 1, 2, 4]))
        self.accepted.append((await self.bench.service.submissions.submit(who, spec)).job.id)

    async def cancel(self) -> None:
        await self.bench.service.cancel(await self.owner(), self.job_id)

    async def finish(self) -> None:
        await self.bench.service.finish_early(await self.owner(), self.job_id)

    async def delete(self) -> None:
        await self.bench.service.archive.delete(await self.owner(), self.job_id)
        self.deleted.add(self.job_id)

    async def owner(self) -> object:
        self.job_id = self.rng.choice(self.accepted or [0])
        job = await self.bench.service.store.jobs.get(self.job_id)
        return requester(job.user_id, guild_id=job.guild_id) if job is not None else requester()

    async def pause(self) -> None:
        guilds, admin = self.bench.service.guilds, requester(guild_id=self.rng.choice(GUILDS), manages=True)
        await (guilds.pause(admin) if self.rng.random() < 0.4 else guilds.resume(admin))

    async def fault(self) -> None:
        fault = self.rng.choice([GeneratorError("no"), MemoryError(), SystemExit(), ZeroDivisionError()])
        self.bench.engine.faults.append(fault)

    async def restart(self) -> None:
        await self.bench.restart()

    async def crash(self) -> None:
        await self.bench.crash()

    async def end(self) -> None:
        """Remove all faults and wait until no job is under way."""
        self.bench.engine.faults.clear()
        for guild_id in GUILDS:
            await self.bench.service.guilds.resume(requester(guild_id=guild_id, manages=True))

        async def quiet() -> bool | None:
            await self.post_all()
            return True if not await self.bench.service.store.jobs.under_way() else None

        await until(quiet, 120)


@pytest.mark.parametrize("seed", range(6))
async def test_every_job_ends_and_each_picture_is_posted_once(tmp_path: Path, seed: int) -> None:
    limits = Limits(queue_user=20)
    config = Config(limits=limits, timing=Timing(preview_s=0.05, snapshot_s=0.05, access_s=1.0))
    bench = RealService(tmp_path / "data", config)
    bench.engine.step_s = 0.001
    await bench.start()
    story = Story(bench, seed)
    try:
        for _ in range(EVENTS):
            await story.event()
        await story.end()
        jobs = {job_id: await bench.service.store.jobs.get(job_id) for job_id in story.accepted}
        assert {job_id for job_id, job in jobs.items() if job is None} == story.deleted
        kept = [job for job in jobs.values() if job is not None]
        assert all(job.state.ended for job in kept)
        assert all(job.reason is not None for job in kept if job.state is not JobState.DONE)
        assert all(count == 1 for count in story.posts.values())
        assert {job.id for job in kept if job.state is JobState.DONE} <= set(story.posts)
        assert bench.files.job_ids() <= {job.id for job in kept}
        assert list((bench.files.root / "snapshots").rglob("*.safetensors")) == []
    finally:
        await bench.service.close()
