"""A person's settings, presets and favourites in the database. Event loop."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiosqlite

from bot.store.connection import Database
from bot.store.record_cache import RecordCache

_CACHED_PEOPLE = 5_000


@dataclass(frozen=True)
class PersonRecord:
    """Settings and options of presets of a person, by name."""

    settings: dict[str, str]
    presets: dict[str, str]


class PeopleTable:
    """Settings, presets and favourites of people, in every server."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._records = RecordCache(self._read, _CACHED_PEOPLE)

    async def settings(self, user_id: int) -> dict[str, str]:
        """Settings of a person, by name."""
        return dict((await self._records.of(user_id)).settings)

    async def put_setting(self, user_id: int, name: str, value: str | None) -> None:
        """Set a value; None restores the default."""
        async with self._changing(user_id) as db:
            if value is None:
                await db.execute("DELETE FROM person_settings WHERE user_id = ? AND name = ?", (user_id, name))
            else:
                await db.execute("INSERT OR REPLACE INTO person_settings VALUES (?, ?, ?)", (user_id, name, value))

    async def everybody(self, name: str) -> dict[int, str]:
        """Every person who set this name, with the value."""
        found = await self._database.rows("SELECT user_id, value FROM person_settings WHERE name = ?", (name,))
        return {row["user_id"]: row["value"] for row in found}

    async def presets(self, user_id: int) -> dict[str, str]:
        """Options of a person's presets, by name."""
        return dict((await self._records.of(user_id)).presets)

    async def put_preset(self, user_id: int, name: str, options: str | None) -> None:
        """Add a preset or replace the one of that name (ignoring case); None removes it."""
        async with self._changing(user_id) as db:
            await db.execute("DELETE FROM person_presets WHERE user_id = ? AND name = ?", (user_id, name))
            if options is not None:
                await db.execute("INSERT INTO person_presets VALUES (?, ?, ?)", (user_id, name, options))

    async def _read(self, user_id: int) -> PersonRecord:
        found = await self._database.rows(
            "SELECT 0 AS preset, name, value FROM person_settings WHERE user_id = :user"
            " UNION ALL SELECT 1, name, options FROM person_presets WHERE user_id = :user ORDER BY name",
            {"user": user_id},
        )
        settings, presets = (
            {row["name"]: row["value"] for row in found if bool(row["preset"]) is preset} for preset in (False, True)
        )
        return PersonRecord(settings, presets)

    @asynccontextmanager
    async def _changing(self, user_id: int) -> AsyncIterator[aiosqlite.Connection]:
        """A transaction after which the person's record is read again."""
        try:
            async with self._database.transaction() as db:
                yield db
        finally:
            self._records.changed(user_id)

    async def turn_favourite(self, user_id: int, job_id: int, number: int) -> bool:
        """Add a picture to a person's favourites, or remove it from them; return True if it was added."""
        key = (user_id, job_id, number)
        async with self._database.transaction() as db:
            cursor = await db.execute("DELETE FROM favourites WHERE user_id = ? AND job_id = ? AND number = ?", key)
            if cursor.rowcount:
                return False
            await db.execute("INSERT INTO favourites VALUES (?, ?, ?, ?)", (*key, time.time()))
        return True

    async def forget(self, user_id: int) -> None:
        """Delete a person's settings, presets, favourites, batches, votes and ballots."""
        async with self._changing(user_id) as db:
            for table in ("person_settings", "person_presets", "favourites", "batches", "votes", "ballots"):
                await db.execute(f"DELETE FROM {table} WHERE user_id = ?", (user_id,))  # noqa: S608 - our own names
