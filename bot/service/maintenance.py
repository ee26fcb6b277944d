"""Maintenance: delete expired pictures, retry blocked posts. Event loop.

A wrong clock deletes nothing and gives nothing up: a machine may start with the wrong date and be corrected later, or
the other way about. The reference is the last time that Discord reported, or the start's time before any report, plus
the time since by a clock that cannot be set.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from bot.config import Timing
from bot.files import DataFolder
from bot.log import about
from bot.service.archive import Archive
from bot.service.guild_settings import GuildSettings
from bot.service.moderation.reports import Reports
from bot.store import Store
from bot.texts import Sentence
from bot.waiting import FOR_A_TIME, ExternalWait

_log = logging.getLogger(__name__)
DAY_S = 86_400
_log = logging.getLogger(__name__)


class Maintenance:
    """Two periodic tasks.

    Attributes:
        clock: checks this machine's clock; gets the right time from Discord.
    """

    def __init__(
        self,
        store: Store,
        files: DataFolder,
        guilds: GuildSettings,
        archive: Archive,
        reports: Reports,
        timing: Timing,
        notify: Callable[[int], None],
        give_up: Callable[[int, Sentence], Awaitable[None]],
        external_wait: ExternalWait,
    ) -> None:
        """`give_up` fails a job that could not be posted for too long."""
        self._store, self._files, self._guilds, self._archive, self._reports = store, files, guilds, archive, reports
        self._timing, self._notify, self._give_up, self._wait = timing, notify, give_up, external_wait
        self._tasks: list[asyncio.Task[None]] = []
        self.clock = Clock()

    async def start(self) -> None:
        """Remove files without a row, copy reported pictures that lack a copy, then start."""
        await self.sweep()
        await self._reports.complete()
        self._tasks = [
            asyncio.create_task(self._repeat(self._timing.retention_s, self.retain), name="retention"),
            asyncio.create_task(self._repeat(self._timing.access_s, self.retry_posts), name="access retries"),
        ]

    async def close(self) -> None:
        """End both tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def sweep(self) -> None:
        """Remove the files of jobs without a row, left by an interrupted deletion."""
        ids = await asyncio.to_thread(self._files.job_ids)
        for job_id in ids - await self._store.jobs.existing(ids):
            await asyncio.to_thread(self._files.remove_job, job_id)
            _log.info("files without a job removed", extra=about(job=job_id))

    async def retain(self) -> None:
        """Delete pictures and reports past the retention of their server, unless the clock cannot be trusted."""
        if not self.clock.is_right():
            return
        for guild_id in await self._store.pictures.guilds():
            days = await self._guilds.retention_days(guild_id)
            if not days:
                continue
            old = await self._store.pictures.too_old(guild_id, time.time() - days * DAY_S)
            jobs = [job for job_id in old if (job := await self._store.jobs.get(job_id)) is not None]
            await self._archive.purge(jobs)
            if jobs:
                _log.info("old jobs deleted", extra=about(guild=guild_id, jobs=len(jobs)))
        await self._reports.retain()
        await self._store.pictures.drop_old_usage()
        await self._store.batches.drop_old(time.time() - DAY_S)

    async def retry_posts(self) -> None:
        """Retry posts that wait for access, or give them up."""
        waiting = [job for job in await self._store.jobs.under_way() if job.waiting_for_access]
        if waiting:
            is_right = self.clock.is_right()
            for job in waiting:
                if is_right and time.time() - (job.waiting_since or 0.0) > self._timing.access_give_up_s:
                    await self._give_up(job.id, job.reason or Sentence.of("never_posted"))
                else:
                    self._notify(job.id)

    async def _repeat(self, interval_s: float, task: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._wait(asyncio.sleep(interval_s), FOR_A_TIME)
            try:
                await task()
            except Exception:  # The next run may succeed; the bot continues meanwhile.
                _log.exception("housekeeping failed")


class Clock:
    """Reference for the machine's clock.

    Attributes:
        known_at: a time (seconds since 1970) that was right.
    """

    def __init__(self) -> None:
        self.known_at, self._known_monotonic = time.time(), time.monotonic()

    def on_event(self, at: float) -> None:
        """Record the time that Discord reported (seconds since 1970)."""
        self.known_at, self._known_monotonic = at, time.monotonic()

    def is_right(self) -> bool:
        """Return True if this machine's clock is right within a day; log it if not."""
        drift_s = time.time() - self.known_at - (time.monotonic() - self._known_monotonic)
        if abs(drift_s) <= DAY_S:
            return True
        _log.error("the clock is wrong; nothing is deleted or given up", extra=about(drift_s=round(drift_s)))
        return False
