"""Batches of jobs in the database. Event loop."""

from __future__ import annotations

import json
import time
from dataclasses import fields, replace

from bot.jobs import Batch, Job, JobState
from bot.store.connection import Database, Row
from bot.store.rows import SELECT_JOB, assignments, insertion, job_of

_COLUMNS = tuple(item.name for item in fields(Batch))
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM batches"  # noqa: S608 - our own names
_FLAGS = ("private", "age_restricted", "begun", "told")


class BatchTable:
    """Batches; their jobs are in the table of jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, batch: Batch) -> Batch:
        """Write a new batch; return it with its id and creation time."""
        batch = replace(batch, created_at=time.time())
        values = {name: getattr(batch, name) for name in _COLUMNS if name != "id"}
        async with self._database.transaction() as db:
            cursor = await db.execute(*insertion("batches", values))
        return replace(batch, id=cursor.lastrowid or 0)

    async def get(self, batch_id: int) -> Batch | None:
        """The batch, if it exists."""
        row = await self._database.row(f"{_SELECT} WHERE id = ?", (batch_id,))
        return None if row is None else _batch_of(row)

    async def change(self, batch_id: int, **changes: object) -> None:
        """Change fields of a batch."""
        names, values = assignments(changes)
        async with self._database.transaction() as db:
            await db.execute(f"UPDATE batches SET {names} WHERE id = :batch_id", values | {"batch_id": batch_id})  # noqa: S608

    async def jobs(self, batch_id: int) -> list[Job]:
        """Jobs of a batch that still exist, in order."""
        found = await self._database.rows(f"{SELECT_JOB} WHERE batch_id = ? ORDER BY batch_place", (batch_id,))
        return [job_of(row) for row in found]

    async def counts(self, batch_id: int) -> dict[JobState, int]:
        """Number of the jobs of a batch in each state."""
        found = await self._database.rows(
            "SELECT state, count(*) AS n FROM jobs WHERE batch_id = ? GROUP BY state", (batch_id,)
        )
        return {JobState(row["state"]): row["n"] for row in found}

    async def untold(self) -> list[Batch]:
        """Batches with a message that does not show their end yet."""
        found = await self._database.rows(f"{_SELECT} WHERE told = 0 AND message_id IS NOT NULL ORDER BY id")
        return [_batch_of(row) for row in found]

    async def delete(self, batch_id: int) -> None:
        """Delete a batch; its jobs stay."""
        async with self._database.transaction() as db:
            await db.execute("DELETE FROM batches WHERE id = ?", (batch_id,))

    async def drop_old(self, before: float) -> None:
        """Delete batches from before a time (seconds since 1970) that have no jobs."""
        async with self._database.transaction() as db:
            await db.execute(
                "DELETE FROM batches WHERE created_at < ? AND NOT EXISTS"
                " (SELECT 1 FROM jobs WHERE jobs.batch_id = batches.id)",
                (before,),
            )


def _batch_of(row: Row) -> Batch:
    values = {name: row[name] for name in _COLUMNS}
    values |= {name: bool(values[name]) for name in _FLAGS}
    values |= {name: tuple(json.loads(values[name])) for name in ("columns", "rows")}
    return Batch(**values)
