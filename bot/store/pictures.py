"""Finished pictures in the database: galleries, retention, and personal data. Event loop."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bot.jobs import Job, StoredPicture
from bot.store.connection import Database
from bot.store.jobs import day_of
from bot.store.rows import JOB_COLUMNS, PICTURE_COLUMNS, SELECT_JOB, job_of, picture_of

_VISIBLE = (
    "jobs.guild_id = :guild AND jobs.state IN ('done', 'failed') AND (jobs.private = 0 OR jobs.user_id = :user)"
    " AND (jobs.user_id = :user OR :whose != 'mine') AND (:whose != 'favourites' OR EXISTS (SELECT 1 FROM favourites"
    " WHERE user_id = :user AND favourites.job_id = pictures.job_id AND favourites.number = pictures.number))"
)
_SAID_AT = "(message_id >> 22) / 1000 + 1420070400"
"""Time when Discord received a job's message, by Discord's clock, from the message id."""
_ENDED_BEFORE = f"ended_at IS NOT NULL AND ended_at < :before AND (message_id IS NULL OR {_SAID_AT} < :before)"

_COUNT = "(SELECT count(*) FROM pictures WHERE job_id = jobs.id)"


class PictureTable:
    """Queries over pictures of many jobs, and personal data."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, guild_id: int, user_id: int, whose: str, words: Sequence[str] = ()) -> int:
        """Number of pictures in a gallery, as `page`."""
        where, values = _in_gallery(guild_id, user_id, whose, words)
        row = await self._database.row(
            f"SELECT count(*) AS n FROM pictures JOIN jobs ON jobs.id = job_id WHERE {where}",  # noqa: S608
            values,
        )
        return 0 if row is None else int(row["n"])

    async def page(
        self, guild_id: int, user_id: int, whose: str, words: Sequence[str] = (), *, start: int, length: int
    ) -> list[tuple[Job, StoredPicture]]:
        """Part of a gallery, newest first.

        `whose`: `mine`, `server` (all except others' private pictures) or `favourites`. Each of `words` must be part of
        the prompt.
        """
        columns = ", ".join([f"jobs.{name}" for name in JOB_COLUMNS])
        ours = ", ".join([f"pictures.{name} AS picture_{name}" for name in PICTURE_COLUMNS])
        where, values = _in_gallery(guild_id, user_id, whose, words)
        found = await self._database.rows(
            f"SELECT {columns}, {ours} FROM pictures JOIN jobs ON jobs.id = job_id WHERE {where}"  # noqa: S608
            " ORDER BY jobs.id DESC, number LIMIT :length OFFSET :start",
            values | {"start": start, "length": length},
        )
        return [(job_of(row), picture_of(row, "picture_")) for row in found]

    async def newest_with(self, guild_id: int, text: str) -> tuple[int, int] | None:
        """Job and number of the newest picture of a server that everybody may see and whose prompt holds a text."""
        row = await self._database.row(
            "SELECT job_id, number FROM pictures JOIN jobs ON jobs.id = job_id WHERE guild_id = ? AND state = 'done'"
            " AND private = 0 AND age_restricted = 0 AND flagged = 0 AND instr(prompt, ?) > 0"
            " ORDER BY job_id DESC, number LIMIT 1",
            (guild_id, text),
        )
        return None if row is None else (row["job_id"], row["number"])

    async def too_old(self, guild_id: int, before: float) -> list[int]:
        """Jobs of a server that ended before a time (seconds since 1970)."""
        found = await self._database.rows(
            f"SELECT id FROM jobs WHERE guild_id = :guild AND {_ENDED_BEFORE}",  # noqa: S608
            {"guild": guild_id, "before": before},
        )
        return [row["id"] for row in found]

    async def count_old(self, guild_id: int, before: float) -> tuple[int, int]:
        """Number of jobs of a server that ended before a time (seconds since 1970), and of their pictures."""
        row = await self._database.row(
            f"SELECT count(*) AS n, total({_COUNT}) AS pictures FROM jobs WHERE guild_id = :guild AND {_ENDED_BEFORE}",  # noqa: S608
            {"guild": guild_id, "before": before},
        )
        return (0, 0) if row is None else (int(row["n"]), int(row["pictures"]))

    async def oldest_end(self, guild_id: int, *, since: float) -> float | None:
        """Time when the oldest job of a server ended that did not end before `since`; None if there is none."""
        row = await self._database.row(
            "SELECT min(ended_at) AS at FROM jobs WHERE guild_id = ? AND ended_at >= ?", (guild_id, since)
        )
        return None if row is None else row["at"]

    async def guilds(self) -> list[int]:
        """Every server that has jobs."""
        return [row["guild_id"] for row in await self._database.rows("SELECT DISTINCT guild_id FROM jobs")]

    async def guild_jobs(self, guild_id: int) -> list[int]:
        """Ids of all jobs of a server."""
        return [row["id"] for row in await self._database.rows("SELECT id FROM jobs WHERE guild_id = ?", (guild_id,))]

    async def drop_old_usage(self) -> None:
        """Delete usage that quotas and cooldowns no longer need."""
        async with self._database.transaction() as db:
            await db.execute("DELETE FROM usage WHERE day < ?", (day_of(time.time() - 86_400),))

    async def person_jobs(self, user_id: int) -> list[Job]:
        """All jobs of a person in every server, oldest first."""
        found = await self._database.rows(f"{SELECT_JOB} WHERE user_id = ? ORDER BY id", (user_id,))
        return [job_of(row) for row in found]

    async def person_facts(self, user_id: int) -> dict[str, list[dict[str, object]]]:
        """Data kept about a person beside their jobs, by table."""
        queries = {
            "reports": "SELECT job_id, number, reason, details, reports.created_at, wants_result"
            " FROM reports JOIN reported_pictures ON reported_pictures.id = picture_id WHERE reports.user_id = ?",
            "reported": "SELECT id, guild_id, channel_id, job_id, number, prompt, created_at FROM reported_pictures"
            " WHERE user_id = ?",
            "blocked": "SELECT guild_id, created_at FROM blocked_people WHERE user_id = ?",
            "settings": "SELECT name, value FROM person_settings WHERE user_id = ?",
            "presets": "SELECT name, options FROM person_presets WHERE user_id = ?",
            "batches": "SELECT id, guild_id, channel_id, title, created_at FROM batches WHERE user_id = ?",
            "votes": "SELECT id, guild_id, channel_id, prompt, created_at FROM votes WHERE user_id = ?",
            "ballots": "SELECT vote_id, picture, words FROM ballots WHERE user_id = ?",
            "favourites": "SELECT job_id, number, added_at FROM favourites WHERE user_id = ?",
            "usage": "SELECT guild_id, day, pictures, last_at FROM usage WHERE user_id = ?",
        }
        return {
            name: [dict(row) for row in await self._database.rows(query, (user_id,))] for name, query in queries.items()
        }


def _in_gallery(guild_id: int, user_id: int, whose: str, words: Sequence[str]) -> tuple[str, dict[str, object]]:
    """Condition of the pictures in a gallery, and its values."""
    wanted = {f"word{number}": word for number, word in enumerate(words)}
    where = _VISIBLE + "".join(f" AND instr(lower(jobs.prompt), lower(:{name})) > 0" for name in wanted)
    return where, {"guild": guild_id, "user": user_id, "whose": whose, **wanted}
