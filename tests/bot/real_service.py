"""Real: service, database, files and thread. Fake: the dream. With methods to drive them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from bot.config import Config
from bot.files import DataFolder
from bot.jobs import Job, JobState
from bot.service import JobSpec, Requester, Service
from bot.worker.pool import WorkerPool
from bot.worker.protocol import Check, Executor
from bot.worker.thread import ThreadWorker
from tests.bot.fake_dream import FakeDreamer

GUILD, CHANNEL, ANN, BEN = 100, 200, 1, 2
QUICK = {"size": "64x64", "steps": 4, "cutouts": 4}


class RealService:
    """A service that can be stopped and started on the same data, with methods to drive it."""

    def __init__(self, root: Path, config: Config) -> None:
        self.files, self.config = DataFolder(root), config
        self.engine = FakeDreamer()
        self.changes: list[int] = []
        self.check: Check | None = None
        """The trained check of the next start."""
        self.service: Service
        self.executor: Executor
        self.workers = 1

    async def start(self) -> Service:
        self.executor = self.make_executor()
        self.service = Service(
            self.config,
            self.files,
            self.executor,
            request_warnings=self.engine.request_warnings,
            gpu_bytes=self.engine.gpu_bytes,
            checked_by=self.engine.checked_by,
            check=self.check,
        )
        self.service.watch(self.changes.append)
        await self.service.start()
        return self.service

    def make_executor(self) -> Executor:
        """Threads that share the engine."""
        timing = self.config.timing
        return WorkerPool(
            ThreadWorker(
                self.engine,
                f"worker {number}",
                preview_s=timing.preview_s,
                snapshot_s=timing.snapshot_s,
                stall_s=timing.stall_s,
            )
            for number in range(self.workers)
        )

    async def drain(self) -> None:
        """Begin a clean stop, also while steps are held."""
        await self.engine.let_go(self.service.drain(), lambda: self.service.submissions.closed)

    async def restart(self) -> Service:
        """Stop cleanly, then start."""
        await self.drain()
        await self.service.close()
        return await self.start()

    async def crash(self) -> Service:
        """Restart from the disk, as if the process had ended in the middle of everything."""
        # Between two transactions: a task cancelled during a commit can no longer report it.
        async with self.service.store.transaction():
            self._end_tasks()
        await self.service.store.close()
        return await self.start()

    def _end_tasks(self) -> None:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            if task.get_name() in ("dispatcher", "retention", "access retries") or task.get_name().startswith("job "):
                task.cancel()

    async def imagine(self, prompt: str = "a red apple", *, who: Requester | None = None, **settings: object) -> Job:
        spec = JobSpec(prompt=prompt, settings=QUICK | settings)
        return (await self.service.submissions.submit(who or requester(), spec)).job

    async def reaches(self, job_id: int, *states: JobState) -> Job:
        """Return the job, as soon as it is in one of these states."""

        async def in_state() -> Job | None:
            job = await self.service.store.jobs.get(job_id)
            return job if job is not None and job.state in states else None

        job = await until(in_state)
        async with self.service.store.transaction():  # Readers see a commit before its event is published.
            return job

    async def post(self, job_id: int, message_id: int = 9) -> Job:
        """Wait for the pictures and post them, as the frontend would."""
        await self.reaches(job_id, JobState.POSTING)
        assert await self.service.post.begin(job_id, limit_bytes=10**7) is not None
        job = await self.service.post.done(job_id, CHANNEL, message_id)
        assert job is not None
        return job


def requester(user_id: int = ANN, **values: object) -> Requester:
    return Requester(**{"guild_id": GUILD, "channel_id": CHANNEL, "user_id": user_id, **values})


T = TypeVar("T")


async def until(check: Callable[[], Awaitable[T | None]], timeout_s: float = 120.0) -> T:
    async with asyncio.timeout(timeout_s):
        while (found := await check()) is None:
            await asyncio.sleep(0.005)
    return found
