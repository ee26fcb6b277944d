"""Votes on pictures in the database. Event loop."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import fields, replace

from bot.jobs import Vote
from bot.store.connection import Database, Row
from bot.store.rows import assignments, insertion

_COLUMNS = tuple(item.name for item in fields(Vote))
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM votes"  # noqa: S608 - our own names


class VoteTable:
    """Votes under way, with the ballots of their current round."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, vote: Vote) -> Vote:
        """Write a new vote; return it with its id and creation time."""
        vote = replace(vote, created_at=time.time())
        values = {name: getattr(vote, name) for name in _COLUMNS if name != "id"}
        async with self._database.transaction() as db:
            cursor = await db.execute(*insertion("votes", values))
        return replace(vote, id=cursor.lastrowid or 0)

    async def get(self, vote_id: int) -> Vote | None:
        """The vote, if it is under way."""
        row = await self._database.row(f"{_SELECT} WHERE id = ?", (vote_id,))
        return None if row is None else _vote_of(row)

    async def under_way(self, channel_id: int | None = None) -> list[Vote]:
        """All votes, or those of a channel."""
        found = await self._database.rows(
            f"{_SELECT} WHERE :channel IS NULL OR channel_id = :channel ORDER BY id", {"channel": channel_id}
        )
        return [_vote_of(row) for row in found]

    async def change(self, vote_id: int, **changes: object) -> None:
        """Change fields of a vote; a change of its round deletes the ballots."""
        names, values = assignments(changes)
        async with self._database.transaction() as db:
            await db.execute(f"UPDATE votes SET {names} WHERE id = :vote_id", values | {"vote_id": vote_id})  # noqa: S608
            if "round" in changes:
                await db.execute("DELETE FROM ballots WHERE vote_id = ?", (vote_id,))

    async def cast(self, vote_id: int, user_id: int, name: str, value: int) -> None:
        """Record a person's choice of a `picture` or of `words`, in place of an earlier one."""
        if name not in ("picture", "words"):
            raise ValueError(name)
        async with self._database.transaction() as db:
            await db.execute(
                f"INSERT INTO ballots (vote_id, user_id, {name}) VALUES (:vote, :user, :value)"  # noqa: S608
                f" ON CONFLICT DO UPDATE SET {name} = excluded.{name}",
                {"vote": vote_id, "user": user_id, "value": value},
            )

    async def tally(self, vote_id: int) -> tuple[Mapping[int, int], Mapping[int, int]]:
        """Number of people for each picture, and for each of the words."""
        counts = []
        for name in ("picture", "words"):
            found = await self._database.rows(
                f"SELECT {name} AS value, count(*) AS n FROM ballots"  # noqa: S608
                f" WHERE vote_id = ? AND {name} IS NOT NULL GROUP BY {name}",
                (vote_id,),
            )
            counts.append({row["value"]: row["n"] for row in found})
        return counts[0], counts[1]

    async def delete(self, vote_id: int) -> None:
        """Delete a vote with its ballots."""
        async with self._database.transaction() as db:
            await db.execute("DELETE FROM votes WHERE id = ?", (vote_id,))


def _vote_of(row: Row) -> Vote:
    values = {name: row[name] for name in _COLUMNS}
    return Vote(**values | {"words": tuple(json.loads(values["words"]))})
