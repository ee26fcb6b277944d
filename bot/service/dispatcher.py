"""Dispatcher: start the next job when a worker is free; recover after a crash, drain before a stop.

Event loop.
"""

from __future__ import annotations

import asyncio
import logging

from bot.jobs import Job, JobState
from bot.retry import retry_io
from bot.service.guild_settings import GuildSettings
from bot.service.job_runner import MAX_CRASHES, JobRunner
from bot.service.queue import JobQueue, Running
from bot.service.values import Safety
from bot.store import Store
from bot.texts import Sentence
from bot.waiting import FOR_A_JOB, ExternalWait
from bot.worker.protocol import Executor, StopMode

DRAIN_S = 45.0
"""Maximum time that a drain waits for the current step."""
_log = logging.getLogger(__name__)


class Dispatcher:
    """The loop between the queue and the worker."""

    def __init__(
        self,
        store: Store,
        queue: JobQueue,
        runner: JobRunner,
        executor: Executor,
        guilds: GuildSettings,
        external_wait: ExternalWait,
    ) -> None:
        self._store, self._queue, self._runner, self._executor = store, queue, runner, executor
        self._guilds, self._wait = guilds, external_wait
        self._loop_task: asyncio.Task[None] | None = None
        self._job_tasks: set[asyncio.Task[None]] = set()
        self.draining = False

    async def start(self) -> None:
        """Put the rows of queued jobs into the queue, interrupted ones first; then start."""
        await self._store.jobs.recover(MAX_CRASHES, Sentence.of("crashed_often"))
        for job in await self._store.jobs.under_way():
            if job.state is JobState.QUEUED:
                self.enqueue(job)
        self._loop_task = asyncio.create_task(self._run(), name="dispatcher")

    def enqueue(self, job: Job) -> None:
        """Add a queued job to the queue."""
        self._queue.add(job, resumed=job.started_at is not None)

    async def drain(self) -> None:
        """Start nothing more, and requeue running jobs with a snapshot."""
        self.draining = True
        for running in list(self._queue.running.values()):
            if running.order is None:
                running.order = StopMode.PAUSE
            self._executor.send(running.job.id, running.order)
        if self._job_tasks:
            await asyncio.wait(self._job_tasks, timeout=DRAIN_S)

    async def close(self) -> None:
        """End the loop and its remaining tasks."""
        tasks = [task for task in (self._loop_task, *self._job_tasks) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._wait(self._queue.wake.wait(), FOR_A_JOB)
            self._queue.wake.clear()
            while not self.draining and (running := self._queue.take()) is not None:
                task = asyncio.create_task(self._run_job(running), name=f"job {running.job.id}")
                self._job_tasks.add(task)
                task.add_done_callback(self._ended)

    async def _run_job(self, running: Running) -> None:
        job = running.job
        mode, _ = await retry_io(lambda: self._guilds.safety(job.guild_id), self._wait, job=job.id)
        unsafe_from = None
        if mode is not Safety.OFF and not job.age_restricted:
            unsafe_from = await retry_io(lambda: self._guilds.unsafe_from(job.guild_id), self._wait, job=job.id)
        back = await self._runner.run(running, unsafe_from=unsafe_from, refuse=mode is Safety.REFUSE)
        if back is not None:
            self.enqueue(back)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._job_tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a job's task broke", exc_info=error)
