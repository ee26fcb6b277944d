"""Finished pictures: galleries, recipes, files, deletion, reports. Event loop; file work runs on threads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from bot import imaging
from bot.errors import NotFound, NotOwner
from bot.files import DataFolder, Kind
from bot.jobs import Job, JobState, StoredPicture
from bot.service.guild_settings import GuildSettings
from bot.service.job_runner import GRID
from bot.service.requests import picture_request
from bot.service.uploads import fitted
from bot.service.values import (
    GalleryEntry,
    GalleryPage,
    PictureFile,
    Report,
    ReportReason,
    Requester,
)
from bot.store import Store
from generator import GenerationRequest, request_from_json, request_to_json

MAX_DETAILS = 1_000


class Archive:
    """Finished pictures. Requesters see the jobs of their own server, and private jobs only if they own them."""

    def __init__(
        self,
        store: Store,
        files: DataFolder,
        guilds: GuildSettings,
        stop: Callable[[Job], Awaitable[None]],
        notify: Callable[[int], None],
    ) -> None:
        """`stop` ends a job that is still under way, so that it can be deleted; `notify` notifies the listeners."""
        self._store, self._files, self._guilds, self._stop, self._notify = store, files, guilds, stop, notify

    async def job(self, requester: Requester, job_id: int) -> Job:
        """A job of the requester's server.

        Raises:
            NotFound: if it was deleted, is of another server, or private and another person's.
        """
        job = await self._store.jobs.get(job_id)
        if job is None or job.guild_id != requester.guild_id or (job.private and job.user_id != requester.user_id):
            raise NotFound("job_unknown", job=job_id)
        return job

    async def job_of_message(self, requester: Requester, message_id: int) -> Job | None:
        """The job that a message of the requester's server shows; None for private ones of others too."""
        job = await self._store.jobs.of_message(requester.guild_id, message_id)
        return None if job is None or (job.private and job.user_id != requester.user_id) else job

    async def pictures(self, job_id: int) -> tuple[StoredPicture, ...]:
        """Saved pictures of a job, by number."""
        return await self._store.jobs.pictures(job_id)

    async def file(self, requester: Requester, job_id: int, number: int, *, limit_bytes: int) -> PictureFile:
        """Picture `number` (GRID: all of them) as a file: PNG if it fits, else without parts, as WebP, JPEG, smaller.

        Raises:
            NotFound
        """
        data = await self._read(requester, Kind.PICTURE, job_id, number)
        shown, left_out = await asyncio.to_thread(fitted, data, limit_bytes)
        return replace(picture_file(job_id, number, shown), left_out=left_out)

    async def stored(self, requester: Requester, job: Job) -> bytes | None:
        """PNG file of a job, a grid if it has several pictures; None if there is none (any more).

        Raises:
            NotFound: if the job is not of the requester's server, or private and another person's.
        """
        await self.job(requester, job.id)
        return await asyncio.to_thread(self._files.read, Kind.PICTURE, job.id, GRID if job.count > 1 else 1)

    async def thumbnail(self, requester: Requester, job_id: int, number: int, *, side_px: int = 256) -> PictureFile:
        """Picture `number` as a small JPEG.

        Raises:
            NotFound
        """
        data = await self._read(requester, Kind.PICTURE, job_id, number)
        return picture_file(job_id, number, await asyncio.to_thread(imaging.thumbnail, data, side_px))

    async def timelapse(self, requester: Requester, job_id: int, number: int, *, limit_bytes: int) -> PictureFile:
        """Timelapse of picture `number` as an animated WebP.

        Raises:
            NotFound: also if none was recorded, or it is larger than `limit_bytes`.
        """
        data = await self._read(requester, Kind.TIMELAPSE, job_id, number)
        if len(data) > limit_bytes:
            raise NotFound("timelapse_too_large")
        width, height = await asyncio.to_thread(imaging.size_of, data)
        return picture_file(job_id, number, imaging.ImageFile(data, "webp", width, height), "timelapse-")

    async def request(self, requester: Requester, job_id: int, number: int = 1) -> GenerationRequest:
        """Request that generates picture `number` again (1 to its count).

        Raises:
            NotFound
        """
        job = await self.job(requester, job_id)
        recipe = await self._store.jobs.recipe(job_id)
        if recipe is None or not 1 <= number <= job.count:
            raise NotFound("picture_unknown", job=job_id)
        stopped_at = {item.number: item.stopped_at for item in await self.pictures(job_id)}.get(number)
        request = await asyncio.to_thread(request_from_json, recipe)
        return picture_request(request, number, stopped_at)

    async def recipe(self, requester: Requester, job_id: int, number: int = 1, *, pictures: bool = True) -> str:
        """Recipe of picture `number` as JSON for a file; with `pictures` false, without attached pictures.

        Raises:
            NotFound
        """
        request = await self.request(requester, job_id, number)
        return await asyncio.to_thread(request_to_json, request, pictures=pictures)

    async def gallery(self, requester: Requester, *, mine: bool, page: int = 1, per_page: int = 9) -> GalleryPage:
        """Pictures of the requester, or all of the server except others' private ones; newest first."""
        table = self._store.pictures
        total = await table.count(requester.guild_id, requester.user_id, mine=mine)
        pages = max(1, -(-total // per_page))
        page = min(max(1, page), pages)
        found = await table.page(
            requester.guild_id, requester.user_id, mine=mine, start=(page - 1) * per_page, length=per_page
        )
        entries = tuple(GalleryEntry(job=job, picture=picture) for job, picture in found)
        return GalleryPage(entries=entries, page=page, pages=pages, total=total)

    async def own(self, requester: Requester, job_id: int) -> Job:
        """A job that the requester may cancel, finish or delete.

        Raises:
            NotFound
            NotOwner: unless it is the requester's or the requester manages the server.
        """
        job = await self._store.jobs.get(job_id)
        if job is None or job.guild_id != requester.guild_id:
            raise NotFound("job_unknown", job=job_id)
        if job.user_id != requester.user_id and not requester.manages:
            raise NotOwner("not_owner")
        return job

    async def delete(self, requester: Requester, job_id: int) -> Job:
        """Delete a job with its pictures, request and reports; return its last state.

        The caller removes its message, and before this call: if the process ended after it, the message would be
        unknown. Afterwards the caller removes a message that the job got meanwhile.

        Raises:
            NotFound, NotOwner: as `own`.
        """
        job = await self.own(requester, job_id)
        return (await self.purge([job]) or [job])[0]

    async def report(
        self, requester: Requester, job_id: int, number: int, reason: ReportReason, details: str = ""
    ) -> Report:
        """Record a report about a picture; a second one by the same person replaces the first.

        Raises:
            NotFound
        """
        job = await self.job(requester, job_id)
        if number not in {picture.number for picture in await self.pictures(job_id)}:
            raise NotFound("picture_unknown", job=job_id)
        details = details.strip()[:MAX_DETAILS]
        report_id = await self._store.pictures.add_report(job_id, number, requester.user_id, reason.value, details)
        _, channel_id = await self._guilds.safety(requester.guild_id)
        return Report(
            id=report_id,
            job=job,
            number=number,
            user_id=requester.user_id,
            reason=reason,
            details=details,
            channel_id=channel_id,
        )

    async def purge(self, jobs: Sequence[Job]) -> list[Job]:
        """Delete jobs in any state: first the rows, which are authoritative, then the files.

        Returns those that existed, with their last messages.
        """
        for job in jobs:
            if job.state in (JobState.QUEUED, JobState.RUNNING):
                await self._stop(job)
        messages = await self._store.jobs.delete(job.id for job in jobs)
        for job in jobs:
            await asyncio.to_thread(self._files.remove_job, job.id)
            self._notify(job.id)
        there = ((job, *messages[job.id]) for job in jobs if job.id in messages)
        return [replace(job, channel_id=channel_id, message_id=message_id) for job, channel_id, message_id in there]

    async def purge_guild(self, guild_id: int) -> int:
        """Delete every job of a server; return their number."""
        ids = await self._store.pictures.guild_jobs(guild_id)
        await self.purge([job for job_id in ids if (job := await self._store.jobs.get(job_id)) is not None])
        return len(ids)

    async def _read(self, requester: Requester, kind: Kind, job_id: int, number: int) -> bytes:
        job = await self.job(requester, job_id)
        data = await asyncio.to_thread(self._files.read, kind, job_id, number) if GRID <= number <= job.count else None
        if data is None:
            raise NotFound("picture_unknown", job=job_id)
        return data


def picture_file(job_id: int, number: int, shown: imaging.ImageFile, prefix: str = "") -> PictureFile:
    """File to upload, under a name that we made."""
    ending = f"-{number}" if number != GRID else ""
    name = f"reverie-{prefix}{job_id}{ending}.{shown.ending}"
    return PictureFile(name=name, data=shown.data, width=shown.width, height=shown.height)
