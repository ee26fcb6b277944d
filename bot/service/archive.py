"""Finished pictures: galleries, recipes, files, deletion. Event loop; file work runs on threads."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bot import imaging
from bot.errors import NotFound, NotOwner
from bot.files import DataFolder, Kind
from bot.jobs import Job, JobState, Layout, StoredPicture
from bot.service.files.films import film_files, films_that_fit
from bot.service.files.uploads import REQUEST_BYTES, fitted
from bot.service.job_runner import GRID
from bot.service.requests import picture_request
from bot.service.values import GalleryEntry, GalleryPage, PictureFile, Requester, Sheet, Style, Whose
from bot.store import Store
from generator import GenerationRequest, request_from_json, request_to_json


class Archive:
    """Finished pictures. Requesters see the jobs of their own server, and private jobs only if they own them."""

    def __init__(
        self,
        store: Store,
        files: DataFolder,
        stop: Callable[[Job], Awaitable[None]],
        notify: Callable[[int], None],
    ) -> None:
        """`stop` ends a job that is still under way, so that it can be deleted; `notify` notifies the listeners."""
        self._store, self._files, self._stop, self._notify = store, files, stop, notify

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

    async def film(self, requester: Requester, job: Job, *, limit_bytes: int) -> tuple[PictureFile, ...]:
        """The film of a job, or its parts as far as they fit into a message.

        Raises:
            NotFound: if there is none, or not even its first part fits.
        """
        await self.job(requester, job.id)
        files = await asyncio.to_thread(film_files, self._files, job)
        kept = films_that_fit(files, limit_bytes)
        if not kept:
            raise NotFound("picture_unknown", job=job.id)
        return kept

    async def shown(
        self,
        requester: Requester,
        job: Job,
        pictures: Sequence[StoredPicture],
        layout: Layout,
        *,
        limit_bytes: int,
    ) -> tuple[PictureFile, ...]:
        """Pictures of a job as the files of a message in `layout`; see `file`.

        Raises:
            NotFound
        """
        numbers = numbers_shown(job, pictures, layout)
        limit_bytes = min(limit_bytes, REQUEST_BYTES // len(numbers))
        return tuple([await self.file(requester, job.id, number, limit_bytes=limit_bytes) for number in numbers])

    async def picture(self, requester: Requester, job_id: int, number: int) -> bytes:
        """Picture `number` of a job as it was saved, a PNG file.

        Raises:
            NotFound: if there is none.
        """
        return await self._read(requester, Kind.PICTURE, job_id, number)

    async def stored(self, requester: Requester, job: Job) -> bytes | None:
        """PNG file of a job: its first picture, or the grid if its message shows that; None if there is none.

        Raises:
            NotFound: if the job is not of the requester's server, or private and another person's.
        """
        await self.job(requester, job.id)
        return await asyncio.to_thread(self._files.read, Kind.PICTURE, job.id, GRID if _as_grid(job, job.layout) else 1)

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
        return timelapse_file(job_id, number, imaging.ImageFile(data, "webp", width, height))

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

    async def gallery(
        self, requester: Requester, whose: Whose, search: str = "", *, page: int = 1, per_page: int = 9
    ) -> GalleryPage:
        """A page of pictures whose prompts contain all words of `search`; newest first."""
        table, words = self._store.pictures, search.split()
        total = await table.count(requester.guild_id, requester.user_id, whose, words)
        pages = max(1, -(-total // per_page))
        page = min(max(1, page), pages)
        found = await table.page(
            requester.guild_id, requester.user_id, whose, words, start=(page - 1) * per_page, length=per_page
        )
        entries = tuple(GalleryEntry(job=job, picture=picture) for job, picture in found)
        return GalleryPage(entries=entries, page=page, pages=pages, total=total)

    async def turn_favourite(self, requester: Requester, job_id: int, number: int) -> bool:
        """Add a picture to the requester's favourites, or remove it from them; return True if it was added.

        Raises:
            NotFound
        """
        await self.job(requester, job_id)
        if number not in {picture.number for picture in await self.pictures(job_id)}:
            raise NotFound("picture_unknown", job=job_id)
        return await self._store.people.turn_favourite(requester.user_id, job_id, number)

    async def sheet(self, requester: Requester, entries: Sequence[GalleryEntry]) -> Sheet:
        """The pictures of a gallery's page as one file; flagged ones are blurred outside age-restricted channels."""

        def compose() -> Sheet:
            data = [self._files.read(Kind.PICTURE, entry.job.id, entry.picture.number) for entry in entries]
            return _sheet(data, [entry.picture.flagged and not requester.age_restricted for entry in entries])

        return await asyncio.to_thread(compose)

    async def style_sheet(self, requester: Requester, styles: Sequence[Style], *, starter: bool) -> Sheet:
        """A picture of each style: the one that comes with Reverie for the starter models, else the server's newest."""
        found = [await self._store.pictures.newest_with(requester.guild_id, style.text) for style in styles]

        def compose() -> Sheet:
            data: list[bytes | None] = []
            for style, newest in zip(styles, found, strict=True):
                path = style_picture(style.text)
                ours = None if newest is None else self._files.read(Kind.PICTURE, *newest)
                data.append(path.read_bytes() if starter and path.is_file() else ours)
            return _sheet(data, [False] * len(data))

        return await asyncio.to_thread(compose)

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
        """Delete a job with its pictures and request; return its last state.

        The caller removes its message, and before this call: if the process ended after it, the message would be
        unknown. Afterwards the caller removes a message that the job got meanwhile.

        Raises:
            NotFound, NotOwner: as `own`.
        """
        job = await self.own(requester, job_id)
        return (await self.purge([job]) or [job])[0]

    async def hide(self, requester: Requester, job_id: int) -> Job:
        """Make a job private: from now on only its owner sees its pictures. The caller changes its message.

        Raises:
            NotFound
            NotOwner: unless the requester manages the server.
        """
        requester.must_manage()
        await self.own(requester, job_id)
        hidden = await self._store.jobs.change(job_id, private=True)
        if hidden is None:
            raise NotFound("job_unknown", job=job_id)
        return hidden

    async def adopt(self, requester: Requester, request: GenerationRequest, picture: bytes, similarity: float) -> Job:
        """Add a picture that was painted elsewhere, a PNG file with its recipe, as a finished job of the requester."""
        settings, now = request.settings, time.time()
        job = Job(
            guild_id=requester.guild_id,
            channel_id=requester.channel_id,
            user_id=requester.user_id,
            prompt=request.prompt,
            settings=settings,
            models=request.models,
            locale=requester.locale,
            state=JobState.DONE,
            told=True,
            ended_at=now,
        )
        job = await self._store.jobs.add(job, request_to_json(request), admit=lambda load: None)
        await asyncio.to_thread(self._files.write, Kind.PICTURE, job.id, 1, picture)
        width, height = imaging.size_of(picture)
        stored = StoredPicture(
            job_id=job.id,
            number=1,
            seed=settings.seed,
            width=width,
            height=height,
            similarity=similarity,
            steps=request.stopped_at or settings.steps,
        )
        await self._store.jobs.save_picture(stored, 0.0)
        return job

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
        return [
            replace(job, channel_id=channel_id, message_id=message_id, ping_id=ping_id)
            for job, channel_id, message_id, ping_id in there
        ]

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


def style_picture(text: str) -> Path:
    """Path of the picture that comes with Reverie for a style's text, if there is one."""
    name = re.sub(r"[^a-z0-9.]+", "-", text.casefold())[:100]
    return Path(__file__).parent / "style_pictures" / f"{name}.webp"


def _sheet(data: Sequence[bytes | None], blurred: Sequence[bool]) -> Sheet:
    made = imaging.sheet(data, blurred)
    file = PictureFile(name="sheet.jpg", data=made.data, width=made.width, height=made.height)
    return Sheet(file=file, lost=tuple(number for number, item in enumerate(data, 1) if item is None))


def numbers_shown(job: Job, pictures: Sequence[StoredPicture], layout: Layout) -> tuple[int, ...]:
    """Numbers of a job's pictures that a message in `layout` shows: each, or GRID."""
    if _as_grid(job, layout):
        return (GRID,)
    return tuple(picture.number for picture in pictures) or (1,)


def _as_grid(job: Job, layout: Layout) -> bool:
    return job.count > 1 and layout is Layout.CLASSIC


def picture_file(job_id: int, number: int, shown: imaging.ImageFile) -> PictureFile:
    """Picture to upload, under a name that we made."""
    ending = f"-{number}" if number != GRID else ""
    name = f"reverie-{job_id}{ending}.{shown.ending}"
    return PictureFile(name=name, data=shown.data, width=shown.width, height=shown.height)


def timelapse_file(job_id: int, number: int, film: imaging.ImageFile) -> PictureFile:
    """Timelapse to upload, under a name that we made."""
    name = f"reverie-timelapse-{job_id}-{number}.{film.ending}"
    return PictureFile(name=name, data=film.data, width=film.width, height=film.height, moves=True)
