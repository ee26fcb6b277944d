"""The database: all SQL of the bot is in this package and in bot/migrations. Event loop."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import aiosqlite

from bot.store.connection import Database
from bot.store.figures import FigureTable, SpeedKey, Sums
from bot.store.guilds import GuildTable
from bot.store.jobs import JobTable, Load
from bot.store.pictures import PictureTable

__all__ = ["GuildTable", "Load", "SpeedKey", "Store", "Sums"]


class Store:
    """The database file and what is in it, by subject.

    Attributes:
        jobs: jobs with their recipes and pictures.
        guilds: what admins set.
        pictures: galleries, reports, retention, people.
        figures: sums, speeds, notes.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path)
        self.jobs = JobTable(self._database)
        self.guilds = GuildTable(self._database)
        self.pictures = PictureTable(self._database)
        self.figures = FigureTable(self._database)

    async def open(self, *, sole: bool = True) -> None:
        """Open, check and migrate it; with `sole` for this process alone.

        Raises:
            StoreError: with a sentence that says what to do.
        """
        await self._database.open(sole=sole)

    async def see_free(self) -> None:
        """See that no other process has it for itself, before something that takes long.

        Raises:
            StoreError: if one has.
        """
        await self._database.see_free()

    async def inspect(self) -> tuple[int, int]:
        """See that it is whole without changing it; its version, and the one that this code knows.

        Raises:
            StoreError: with a sentence that says what to do.
        """
        return await self._database.inspect()

    async def close(self) -> None:
        """Close it; what was committed stays."""
        await self._database.close()

    def transaction(self) -> AbstractAsyncContextManager[aiosqlite.Connection]:
        """All of what is done inside happens, or nothing of it.

        Raises:
            StoreError: if SQLite cannot do it.
        """
        return self._database.transaction()

    async def backup(self, target: Path) -> None:
        """Copy it to a file while it is used.

        Raises:
            StoreError: if the file cannot be written.
        """
        await self._database.backup(target)
