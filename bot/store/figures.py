"""Sums and measured speeds in the database. Event loop."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bot.store.connection import Database
from bot.store.jobs import day_of

SpeedKey = tuple[str, int, int, int, str]
"""Name of the models, width and height in pixels, cutouts, kind of device (empty if unknown)."""


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Sums over some days; times in seconds."""

    pictures: int
    cancelled: int
    failed: int
    paint_s: float
    started: int
    waited_s: float
    waited_most_s: float


class FigureTable:
    """Statistics without people in them, speeds, and notes for the next start."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sums(self, guild_id: int | None, days: int) -> Sums:
        """Sums of the last `days` days, today included, of one server or all (None)."""
        row = await self._database.row(
            "SELECT total(pictures) AS pictures, total(cancelled) AS cancelled, total(failed) AS failed,"
            " total(paint_s) AS paint_s, total(started) AS started, total(waited_s) AS waited_s,"
            " coalesce(max(waited_most_s), 0) AS waited_most_s FROM daily"
            " WHERE day >= :day AND (:guild IS NULL OR guild_id = :guild)",
            {"day": day_of(time.time() - (days - 1) * 86_400), "guild": guild_id},
        )
        if row is None:
            raise RuntimeError("an aggregate gives one row")
        whole = {name: int(row[name]) for name in ("pictures", "cancelled", "failed", "started")}
        return Sums(**whole, **{name: float(row[name]) for name in ("paint_s", "waited_s", "waited_most_s")})  # type: ignore[arg-type]

    async def states(self) -> dict[str, int]:
        """Number of jobs in each state; those waiting for access as `waiting`, beside `posting`."""
        found = await self._database.rows(
            "SELECT CASE WHEN state = 'posting' AND waiting_since IS NOT NULL THEN 'waiting' ELSE state END AS name,"
            " count(*) AS n FROM jobs WHERE state IN ('queued', 'running', 'posting') GROUP BY name"
        )
        return {row["name"]: row["n"] for row in found}

    async def speeds(self) -> dict[SpeedKey, float]:
        """Measured seconds per step."""
        found = await self._database.rows("SELECT models, width, height, cutouts, device, step_s FROM speeds")
        return {tuple(row)[:-1]: row["step_s"] for row in found}

    async def put_speed(self, key: SpeedKey, step_s: float) -> None:
        """Write a speed, replacing the previous one."""
        async with self._database.transaction() as db:
            await db.execute("INSERT OR REPLACE INTO speeds VALUES (?, ?, ?, ?, ?, ?)", (*key, step_s))

    async def note(self, name: str) -> str | None:
        """A note left by an earlier start."""
        row = await self._database.row("SELECT value FROM notes WHERE name = ?", (name,))
        return None if row is None else str(row["value"])

    async def put_note(self, name: str, value: str) -> None:
        """Leave a note for the next start."""
        async with self._database.transaction() as db:
            await db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))
