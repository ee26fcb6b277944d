"""Delivery from saved pictures to a message that Discord confirmed, for the frontend's sender. Event loop."""

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
from bot.service.archive import numbers_shown, picture_file, timelapse_file
from bot.service.files.films import film_files, films_that_fit
from bot.service.files.uploads import REQUEST_BYTES, fitted
from bot.service.guild_settings import GuildSettings
from bot.service.people.settings import PersonalSettings
from bot.service.values import Delivery, PictureFile, Safety
from bot.store import Store
from bot.texts import Sentence

_log = logging.getLogger(__name__)


class DeliveryService:
    """Deliveries to Discord and their results."""

    def __init__(
        self,
        store: Store,
        files: DataFolder,
        guilds: GuildSettings,
        people: PersonalSettings,
        notify: Callable[[int], None],
    ) -> None:
        self._store, self._files, self._guilds, self._people, self._notify = store, files, guilds, people, notify

    async def unsettled(self) -> list[Job]:
        """Jobs that are not settled, oldest first: unfinished, ended and not announced yet, or with a ping due."""
        jobs = [*await self._store.jobs.under_way(), *await self._store.jobs.ended_untold()]
        return sorted(jobs, key=lambda job: job.id)

    async def begin(self, job_id: int, *, limit_bytes: int) -> Delivery | None:
        """Files to post, of at most `limit_bytes` each; None if the job is not to be posted (any more).

        The attempt is written down before this returns.

        Raises:
            FilesError: if a picture is missing; the job has failed then.
        """
        job = await self._store.jobs.get(job_id)
        if job is None or job.state is not JobState.POSTING:
            return None
        pictures = await self._store.jobs.pictures(job_id)
        try:
            files, left_out = await asyncio.to_thread(self._read, job, pictures, limit_bytes)
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
            left_out=left_out,
            source=None if job.source_id is None else await self._store.jobs.get(job.source_id),
        )

    async def done(
        self, job_id: int, channel_id: int, message_id: int | None, *, by_token: bool | None = None
    ) -> Job | None:
        """Mark the job as done after Discord's confirmation, with a ping due if its owner wants one.

        `by_token` changes what `Job.by_token` says, after a direct message.

        Idempotent; None if it was deleted meanwhile.
        """
        job = await self._store.jobs.get(job_id)
        if job is None or job.state is JobState.DONE:
            return job
        try:
            job = await self._store.jobs.move(
                job_id,
                JobState.DONE,
                channel_id=channel_id,
                message_id=message_id,
                told=True,
                ping_due=await self._people.pings(job),
                by_token=job.by_token if by_token is None else by_token,
            )
        except NotFound:
            return None
        except IllegalTransition:
            return await self._store.jobs.get(job_id)
        self._notify(job_id)
        return job

    async def wait_for_access(self, job_id: int, why: Sentence) -> None:
        """Record that the channel cannot be written to. Listeners are called every few minutes to retry."""
        job = await self._store.jobs.get(job_id)
        if job is None or job.state is not JobState.POSTING:
            return
        since = job.waiting_since if job.waiting_since is not None else time.time()
        await self._store.jobs.change(job_id, waiting_since=since, reason=why)

    async def failed(self, job_id: int, why: Sentence) -> None:
        """Fail a job that can never be posted; its saved pictures stay in the gallery."""
        try:
            await self._store.jobs.move(job_id, JobState.FAILED, reason=why)
        except (NotFound, IllegalTransition):
            return
        self._notify(job_id)

    async def keep_off_the_web(self, job_id: int) -> None:
        """Record that Discord's moderation refused the prompt of a job, so that no web gallery shows it."""
        await self._store.jobs.change(job_id, public_channel_id=None)

    async def mark_told(self, job_id: int) -> None:
        """Record that the message of a cancelled or failed job says so, or can never be reached."""
        await self._store.jobs.change(job_id, told=True)

    async def pinged(self, job_id: int, ping_id: int | None) -> bool:
        """Record the message that pinged the owner, or None for no message; False if the job was deleted."""
        return await self._store.jobs.change(job_id, ping_due=False, ping_id=ping_id) is not None

    def _read(
        self, job: Job, pictures: tuple[StoredPicture, ...], limit_bytes: int
    ) -> tuple[tuple[PictureFile, ...], tuple[Sentence, ...]]:
        """Files of a post, and the parts left out. Runs on a thread."""
        if job.film_s:
            return self._film(job, limit_bytes)
        files, left_out = list[PictureFile](), list[Sentence]()
        numbers = numbers_shown(job, pictures, job.layout)
        for number in numbers:
            data = self._files.read(Kind.PICTURE, job.id, number)
            if data is None or not pictures:
                raise FilesError("files_unusable", file=f"picture {job.id}-{number}", why="missing")
            shown, missing = fitted(data, min(limit_bytes, REQUEST_BYTES // len(numbers)))
            files.append(picture_file(job.id, number, shown))
            left_out += missing
        film = self._files.read(Kind.TIMELAPSE, job.id, 1) if job.timelapse and len(pictures) == 1 else None
        if film is not None:
            if len(film) > min(limit_bytes, REQUEST_BYTES - sum(len(file.data) for file in files)):
                left_out.append(Sentence.of("left_out_timelapse"))
            else:
                width, height = imaging.size_of(film)
                files.append(timelapse_file(job.id, 1, imaging.ImageFile(film, "webp", width, height)))
        return tuple(files), tuple(dict.fromkeys(left_out))

    def _film(self, job: Job, limit_bytes: int) -> tuple[tuple[PictureFile, ...], tuple[Sentence, ...]]:
        """The film, or its parts as far as they fit into one message."""
        files = film_files(self._files, job)
        if not files:
            raise FilesError("files_unusable", file=f"film {job.id}", why="missing")
        kept = films_that_fit(files, limit_bytes)
        if len(kept) == len(files):
            return kept, ()
        return kept, (Sentence.of("left_out_parts", kept=len(kept), of=len(files)),)
