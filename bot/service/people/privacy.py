"""Export or delete a person's own data. Event loop; the export is made on a thread."""

from __future__ import annotations

import asyncio
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bot.files import DataFolder, Kind
from bot.jobs import Job
from bot.service.archive import Archive
from bot.service.files.films import film_files
from bot.service.people.settings import PersonalSettings
from bot.service.values import Requester
from bot.store import Store


class PersonalData:
    """A person's own data, in every server of this bot."""

    def __init__(self, store: Store, files: DataFolder, archive: Archive, settings: PersonalSettings) -> None:
        self._store, self._files, self._archive, self._settings = store, files, archive, settings

    async def export_mine(self, requester: Requester, *, limit_bytes: int) -> Path:
        """Export all data of the requester as a zip file in the data folder; remove it after sending.

        Facts and recipes come first, then pictures as long as the file stays below `limit_bytes`; data.json names
        those that were left out.
        """
        jobs = await self._store.pictures.person_jobs(requester.user_id)
        facts: dict[str, object] = dict(await self._store.pictures.person_facts(requester.user_id))
        facts["jobs"] = [_plain(job) for job in jobs]
        recipes = {job.id: await self._store.jobs.recipe(job.id) or "" for job in jobs}
        reported = {
            item.id: await self._store.reports.picture(item.id) or b""
            for item in await self._store.reports.about(requester.user_id)
        }
        return await asyncio.to_thread(self._write, jobs, facts, recipes, reported, limit_bytes)

    async def unsettled(self, requester: Requester) -> list[Job]:
        """The requester's jobs in every server whose message is not final; remove those messages before a deletion."""
        jobs = await self._store.pictures.person_jobs(requester.user_id)
        return [job for job in jobs if not (job.state.ended and job.told)]

    async def delete_mine(self, requester: Requester) -> list[Job]:
        """Cancel and delete a person's jobs in every server with pictures, reports, settings, presets, favourites.

        Open reports about these pictures keep their copies: deleting would else be a way out of moderation. So do
        today's count of pictures and blocks by a server's managers.

        Returns their last state: some may have got a message since the call of `unsettled`.
        """
        jobs = await self._archive.purge(await self._store.pictures.person_jobs(requester.user_id))
        await self._store.reports.withdraw(requester.user_id)
        await self._settings.forget(requester.user_id)
        return jobs

    def _write(
        self,
        jobs: Sequence[Job],
        facts: dict[str, object],
        recipes: Mapping[int, str],
        reported: Mapping[int, bytes],
        limit_bytes: int,
    ) -> Path:
        path = self._files.export_path()
        left_out: list[str] = []
        with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED) as archive:
            # Half of the room is for recipes: they can hold pictures too.
            for job in reversed(jobs):
                _add(archive, f"recipes/{job.id}.json", recipes[job.id].encode(), limit_bytes // 2, left_out)
            for picture_id, copy in reported.items():
                if copy:
                    _add(archive, f"reported/{picture_id}.jpg", copy, limit_bytes * 9 // 10, left_out)
            for job in reversed(jobs):
                for number in range(1, job.count + 1):
                    data = self._files.read(Kind.PICTURE, job.id, number)
                    if data is not None:
                        _add(archive, f"pictures/{job.id}-{number}.png", data, limit_bytes * 9 // 10, left_out)
                for kind in (Kind.VIDEO, Kind.MUSIC) if job.film_s else ():
                    data = self._files.read(kind, job.id, 1)
                    if data is not None:
                        name = f"films/{kind.name.lower()}-{job.id}"
                        _add(archive, name, data, limit_bytes * 9 // 10, left_out)
                for film in film_files(self._files, job) if job.film_s else ():
                    _add(archive, f"films/{film.name}", film.data, limit_bytes * 9 // 10, left_out)
            facts["left_out"] = left_out
            archive.writestr("data.json", json.dumps(facts, indent=2, ensure_ascii=False))
        return path


def _add(archive: zipfile.ZipFile, name: str, data: bytes, limit_bytes: int, left_out: list[str]) -> None:
    position = archive.fp.tell() if archive.fp is not None else 0
    if position + len(data) > limit_bytes:
        left_out.append(name)
    else:
        archive.writestr(name, data)


def _plain(job: Job) -> dict[str, object]:
    values = asdict(job)
    values["settings"] = job.settings.as_dict()
    values["reason"] = None if job.reason is None else job.reason.said(job.locale)
    return values
