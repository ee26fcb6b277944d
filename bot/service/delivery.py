"""From saved pictures to a message that Discord confirmed; only the frontend's poster uses it. Event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from bot import imaging
from bot.errors import FilesError, IllegalTransition, NotFound
from bot.files import DataFolder, Kind
from bot.jobs import Job, JobState, StoredPicture
from bot.log import about, new_error_id
from bot.service.archive import picture_file
from bot.service.guild_settings import GuildSettings
from bot.service.job_runner import GRID
from bot.service.values import Delivery, PictureFile, Safety
from bot.store import Store
from bot.texts import Sentence

_log = logging.getLogger(__name__)


class DeliveryService:
    """What is handed to Discord, and what came of it."""

    def __init__(self, store: Store, files: DataFolder, guilds: GuildSettings, notify: Callable[[int], None]) -> None:
        self._store, self._files, self._guilds, self._notify = store, files, guilds, notify

    async def unsettled(self) -> list[Job]:
        """Every job whose message is not final, oldest first: those under way, and ended ones that nobody told yet."""
        jobs = [*await self._store.jobs.under_way(), *await self._store.jobs.untold()]
        return sorted(jobs, key=lambda job: job.id)

    async def begin(self, job_id: int, *, limit_bytes: int) -> Delivery | None:
        """What to post, in files of at most `limit_bytes` together; None if the job is not to be posted (any more).

        The attempt is written down before this returns.

        Raises:
            FilesError: if a picture is missing; the job has failed then.
        """
        job = await self._store.jobs.get(job_id)
        if job is None or job.state is not JobState.POSTING:
            return None
        pictures = await self._store.jobs.pictures(job_id)
        try:
            files = await asyncio.to_thread(self._read, job, pictures, limit_bytes)
        except FilesError as exc:
            error_id = new_error_id()
            facts = about(job=job_id, guild=job.guild_id, error_id=error_id)
            _log.error("pictures are missing: %s", exc, exc_info=exc, extra=facts)
            await self.failed(job_id, Sentence.of("picture_lost", error_id=error_id))
            raise
        recipe = await self._store.jobs.recipe(job_id) or ""
        mode, _ = await self._guilds.safety(job.guild_id)
        flagged = any(picture.flagged for picture in pictures)
        await self._store.jobs.change(job_id, post_tries=job.post_tries + 1)
        return Delivery(
            job=job,
            pictures=pictures,
            files=files,
            recipe=recipe,
            spoiler=flagged and mode is not Safety.OFF and not job.age_restricted,
            repeated=job.post_tries > 0,
        )

    async def done(self, job_id: int, channel_id: int, message_id: int) -> Job | None:
        """Discord confirmed: the job is done. Repeated calls change nothing; None if it was deleted meanwhile."""
        job = await self._store.jobs.get(job_id)
        if job is None or job.state is JobState.DONE:
            return job
        try:
            job = await self._store.jobs.move(
                job_id, JobState.DONE, channel_id=channel_id, message_id=message_id, told=True
            )
        except NotFound:
            return None
        except IllegalTransition:
            return await self._store.jobs.get(job_id)
        self._notify(job_id)
        return job

    async def wait_for_access(self, job_id: int, why: Sentence) -> None:
        """The channel cannot be written to. Listeners are called again every few minutes, to try again."""
        job = await self._store.jobs.get(job_id)
        if job is None or job.state is not JobState.POSTING:
            return
        since = job.waiting_since if job.waiting_since is not None else time.time()
        await self._store.jobs.change(job_id, waiting_since=since, reason=why)

    async def failed(self, job_id: int, why: Sentence) -> None:
        """It can never be posted: the job has failed; what was saved stays in the gallery."""
        try:
            await self._store.jobs.move(job_id, JobState.FAILED, reason=why)
        except (NotFound, IllegalTransition):
            return
        self._notify(job_id)

    async def told(self, job_id: int) -> None:
        """The message of a cancelled or failed job says so now, or cannot be reached for ever."""
        await self._store.jobs.change(job_id, told=True)

    def _read(self, job: Job, pictures: tuple[StoredPicture, ...], limit_bytes: int) -> tuple[PictureFile, ...]:
        """The files of a post. Runs on a thread."""
        film = self._files.read(Kind.TIMELAPSE, job.id, 1) if job.timelapse and len(pictures) == 1 else None
        if film is not None and len(film) > limit_bytes // 2:
            film = None
        number = GRID if job.count > 1 else 1
        data = self._files.read(Kind.PICTURE, job.id, number)
        if data is None or not pictures:
            raise FilesError("files_unusable", file=f"picture {job.id}-{number}", why="missing")
        shown = imaging.fitted(data, limit_bytes - len(film or b""))
        files = [picture_file(job.id, number, shown)]
        if film is not None:
            width, height = imaging.size_of(film)
            files.append(picture_file(job.id, 1, imaging.ImageFile(film, "webp", width, height), "timelapse-"))
        return tuple(files)
