"""Reports of pictures: recorded with a copy of the picture, listed, resolved. Event loop; file work runs on threads.

The copy outlives the job, so that nobody escapes a report by deleting the picture. It is deleted with the report: when
it is resolved or withdrawn, or when nobody resolved it for the server's retention period.
"""

from __future__ import annotations

import asyncio
import time

from bot import imaging
from bot.errors import NotFound
from bot.files import DataFolder, Kind
from bot.jobs import Job, Report, ReportedPicture, ReportReason
from bot.service.archive import Archive
from bot.service.guild_settings import GuildSettings
from bot.service.job_runner import GRID
from bot.service.values import ReportPage, Requester
from bot.store import Store

MAX_DETAILS = 1_000
COPY_PX = 768
"""Longest side of the copy of a reported picture."""
DAYS = 90
"""Days that an unresolved report is kept where pictures are kept for ever."""
DAY_S = 86_400


class Reports:
    """Reports of pictures. Everything but `add` is for those who manage the server."""

    def __init__(self, store: Store, files: DataFolder, guilds: GuildSettings, archive: Archive) -> None:
        self._store, self._files, self._guilds, self._archive = store, files, guilds, archive

    async def add(
        self,
        requester: Requester,
        job_id: int,
        number: int,
        reason: ReportReason,
        details: str = "",
        *,
        wants_result: bool = False,
    ) -> ReportedPicture:
        """Record a report about a picture; a second one by the same person replaces the first.

        Raises:
            NotFound
        """
        job = await self._archive.job(requester, job_id)
        if number not in {picture.number for picture in await self._archive.pictures(job_id)}:
            raise NotFound("picture_unknown", job=job_id)
        report = Report(
            user_id=requester.user_id,
            reason=reason,
            details=details.strip()[:MAX_DETAILS],
            locale=requester.locale,
            wants_result=wants_result,
            created_at=time.time(),
        )
        copy = await asyncio.to_thread(self._copy, job_id, number)
        picture_id = await self._store.reports.add(_reported(job, number), copy, report)
        found = await self._store.reports.get(job.guild_id, picture_id)
        if found is None:
            raise NotFound("report_unknown")
        return found

    async def page(self, requester: Requester, *, page: int, per_page: int) -> ReportPage:
        """Open reports of the server, oldest first.

        Raises:
            NotOwner
        """
        requester.must_manage()
        total = await self._store.reports.count(requester.guild_id)
        pages = max(1, -(-total // per_page))
        page = min(max(1, page), pages)
        found = await self._store.reports.of_guild(requester.guild_id, start=(page - 1) * per_page, length=per_page)
        return ReportPage(reported=tuple(found), page=page, pages=pages, total=total)

    async def get(self, requester: Requester, picture_id: int) -> ReportedPicture:
        """A reported picture of the server.

        Raises:
            NotOwner
            NotFound: if its reports were resolved or withdrawn.
        """
        requester.must_manage()
        found = await self._store.reports.get(requester.guild_id, picture_id)
        if found is None:
            raise NotFound("report_unknown")
        return found

    async def copy(self, picture_id: int) -> bytes | None:
        """The copy of a reported picture as a JPEG file; None if there is none."""
        return await self._store.reports.picture(picture_id)

    async def job(self, reported: ReportedPicture) -> Job | None:
        """The job of a reported picture; None if it was deleted."""
        return await self._store.jobs.get(reported.job_id)

    async def set_notice(self, reported: ReportedPicture, channel_id: int, message_id: int) -> bool:
        """Record the message in the channel for reports; return True if the reports are still open."""
        return await self._store.reports.set_notice(reported.id, channel_id, message_id)

    async def close(self, requester: Requester, picture_id: int) -> ReportedPicture:
        """Delete the reports of a picture and its copy, since they are resolved; return them as they were.

        Raises:
            NotOwner
            NotFound: if somebody else has resolved them.
        """
        reported = await self.get(requester, picture_id)
        if not await self._store.reports.remove(picture_id):
            raise NotFound("report_unknown")
        return reported

    async def complete(self) -> None:
        """Copy the pictures that were reported under an earlier version. Called at the start."""
        for reported in await self._store.reports.without_picture():
            copy = await asyncio.to_thread(self._copy, reported.job_id, reported.number)
            if copy is not None:
                await self._store.reports.put_picture(reported.id, copy)

    async def retain(self) -> None:
        """Delete reports that nobody resolved for the retention period of their server."""
        for guild_id in await self._store.reports.guilds():
            days = await self._guilds.retention_days(guild_id) or DAYS
            await self._store.reports.drop_old(guild_id, time.time() - days * DAY_S)

    def _copy(self, job_id: int, number: int) -> bytes | None:
        """All pictures of the job if there are several: its message has one button for them."""
        data = self._files.read(Kind.PICTURE, job_id, GRID) or self._files.read(Kind.PICTURE, job_id, number)
        return None if data is None else imaging.thumbnail(data, COPY_PX).data


def _reported(job: Job, number: int) -> ReportedPicture:
    return ReportedPicture(
        guild_id=job.guild_id,
        channel_id=job.channel_id,
        message_id=job.message_id,
        job_id=job.id,
        number=number,
        user_id=job.user_id,
        prompt=job.prompt,
    )
