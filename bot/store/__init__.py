"""The database: all SQL of the bot is in this package and its migrations. Event loop."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import aiosqlite

from bot.store.batches import BatchTable
from bot.store.connection import Database
from bot.store.figures import FigureTable, SpeedKey, Sums
from bot.store.guilds import GuildTable
from bot.store.jobs import JobTable, Load
from bot.store.people import PeopleTable
from bot.store.pictures import PictureTable
from bot.store.record_cache import RecordCache
from bot.store.reports import ReportTable
from bot.store.votes import VoteTable
from bot.store.web import WebMessage, WebPicture, WebTable

__all__ = ["GuildTable", "Load", "RecordCache", "SpeedKey", "Store", "Sums", "WebMessage", "WebPicture"]


class Store:
    """The database file and its tables, by subject.

    Attributes:
        jobs: jobs with their recipes and pictures.
        batches: jobs that were asked for together.
        votes: pictures that a channel steers.
        guilds: settings of servers.
        pictures: galleries, retention, personal data.
        reports: reports, with copies of the reported pictures.
        people: settings and favourites of people.
        figures: sums, speeds, notes.
        web: pictures that may be shown on the web.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path)
        self.jobs = JobTable(self._database)
        self.batches = BatchTable(self._database)
        self.votes = VoteTable(self._database)
        self.guilds = GuildTable(self._database)
        self.pictures = PictureTable(self._database)
        self.people = PeopleTable(self._database)
        self.reports = ReportTable(self._database)
        self.figures = FigureTable(self._database)
        self.web = WebTable(self._database)

    async def open(self, *, sole: bool = True) -> None:
        """Open, check and migrate the database; with `sole` for this process alone.

        Raises:
            StoreError: with a sentence that says what to do.
        """
        await self._database.open(sole=sole)

    async def see_free(self) -> None:
        """Check that no other process holds the database, before a long operation.

        Raises:
            StoreError: if one does.
        """
        await self._database.see_free()

    async def inspect(self) -> tuple[int, int]:
        """Check the database without changing it; return its version, and the one that this code knows.

        Raises:
            StoreError: with a sentence that says what to do.
        """
        return await self._database.inspect()

    async def close(self) -> None:
        """Close the database; committed changes stay."""
        await self._database.close()

    def transaction(self) -> AbstractAsyncContextManager[aiosqlite.Connection]:
        """Commit everything done inside, or nothing.

        Raises:
            StoreError: if SQLite fails.
        """
        return self._database.transaction()

    async def backup(self, target: Path) -> None:
        """Copy the database to a file while it is in use.

        Raises:
            StoreError: if the file cannot be written.
        """
        await self._database.backup(target)
