"""A person's settings and favourites in the database. Event loop."""

from __future__ import annotations

import time

from bot.store.connection import Database


class PeopleTable:
    """Settings and favourites of people, in every server."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def settings(self, user_id: int) -> dict[str, str]:
        """Settings of a person, by name."""
        found = await self._database.rows("SELECT name, value FROM person_settings WHERE user_id = ?", (user_id,))
        return {row["name"]: row["value"] for row in found}

    async def put_setting(self, user_id: int, name: str, value: str | None) -> None:
        """Set a value; None restores the default."""
        async with self._database.transaction() as db:
            if value is None:
                await db.execute("DELETE FROM person_settings WHERE user_id = ? AND name = ?", (user_id, name))
            else:
                await db.execute("INSERT OR REPLACE INTO person_settings VALUES (?, ?, ?)", (user_id, name, value))

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
        """Delete a person's settings and favourites."""
        async with self._database.transaction() as db:
            for table in ("person_settings", "favourites"):
                await db.execute(f"DELETE FROM {table} WHERE user_id = ?", (user_id,))  # noqa: S608 - our own names
