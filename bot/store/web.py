"""Pictures that may be shown on the web, in the database: `bot.service.web_gallery` says which. Event loop."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bot.store.connection import Database, Row

_COLUMNS = (
    "jobs.id AS job_id, pictures.number, jobs.prompt, pictures.width, pictures.height, jobs.ended_at,"
    " pictures.has_timelapse, jobs.film_s"
)
_INDEXED = (
    "jobs.guild_id = :guild AND jobs.state = 'done' AND jobs.private = 0 AND jobs.age_restricted = 0"
    " AND jobs.message_id IS NOT NULL AND jobs.public_channel_id IS NOT NULL"
)
"""The condition of the index `jobs_on_web`."""
_SHOWN = (
    f"{_INDEXED} AND jobs.public_channel_id IN (SELECT value FROM json_each(:channels))"  # noqa: S608
    " AND NOT EXISTS (SELECT 1 FROM pictures AS all_of_it"
    " WHERE all_of_it.job_id = jobs.id AND (all_of_it.checked = 0 OR all_of_it.flagged = 1))"
    " AND NOT EXISTS (SELECT 1 FROM reported_pictures WHERE reported_pictures.job_id = jobs.id)"
)
_NEWEST = 2**62
NEWEST_MESSAGES = 500


@dataclass(frozen=True, kw_only=True)
class WebPicture:
    """A picture that may be shown on the web."""

    job_id: int
    number: int
    prompt: str
    width: int
    height: int
    ended_at: float
    has_timelapse: bool
    film_s: float


@dataclass(frozen=True, kw_only=True)
class WebMessage:
    """The message of pictures that may be shown, in a channel or a thread of it."""

    channel_id: int
    public_channel_id: int
    message_id: int


class WebTable:
    """Pictures that may be shown on the web; every query has the whole condition."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        guild_id: int,
        channels: Collection[int],
        words: Sequence[str] = (),
        *,
        after: tuple[int, int] | None = None,
        length: int,
    ) -> list[WebPicture]:
        """Pictures of these channels, newest first, from the one that follows `after` (a job and a number).

        Each of `words` must be part of the prompt.
        """
        job_id, number = after or (_NEWEST, 0)
        wanted = {f"word{place}": word for place, word in enumerate(words)}
        place = {"job": job_id, "number": number, "length": length}
        found = await self._database.rows_apart(page_query(len(words)), _values(guild_id, channels) | wanted | place)
        return [_picture(row) for row in found]

    async def get(self, guild_id: int, channels: Collection[int], job_id: int, number: int) -> WebPicture | None:
        """One of them; None if it is not to be shown."""
        row = await self._database.row(
            f"SELECT {_COLUMNS} FROM jobs JOIN pictures ON pictures.job_id = jobs.id"  # noqa: S608
            f" WHERE {_SHOWN} AND jobs.id = :job AND pictures.number = :number",
            _values(guild_id, channels) | {"job": job_id, "number": number},
        )
        return None if row is None else _picture(row)

    async def messages(self, guild_id: int) -> list[WebMessage]:
        """Messages of the newest pictures of a server, apart from the state of their channels."""
        found = await self._database.rows(
            f"SELECT channel_id, public_channel_id, message_id FROM jobs INDEXED BY jobs_on_web WHERE {_INDEXED}"  # noqa: S608
            " ORDER BY id DESC LIMIT :length",
            {"guild": guild_id, "length": NEWEST_MESSAGES},
        )
        return [WebMessage(**dict(row)) for row in found]

    async def forget_messages(self, guild_id: int, message_ids: Collection[int]) -> None:
        """Record that Discord deleted messages of finished jobs; they lie in the database without a message."""
        # People delete many messages that are not ours: look first, since a change waits for all others.
        found = await self._database.rows(
            "SELECT id FROM jobs INDEXED BY jobs_by_message WHERE message_id IN (SELECT value FROM json_each(?))"
            " AND message_id IS NOT NULL AND guild_id = ? AND state = 'done'",
            (json.dumps(sorted(message_ids)), guild_id),
        )
        if found:
            async with self._database.transaction() as db:
                await db.executemany("UPDATE jobs SET message_id = NULL WHERE id = ?", [(row["id"],) for row in found])

    async def forget_thread(self, guild_id: int, thread_id: int) -> None:
        """Record that Discord deleted a thread with the messages of finished jobs."""
        async with self._database.transaction() as db:
            await db.execute(
                "UPDATE jobs SET message_id = NULL WHERE id IN (SELECT id FROM jobs INDEXED BY jobs_on_web"  # noqa: S608
                f" WHERE {_INDEXED} AND channel_id = :thread)",
                {"guild": guild_id, "thread": thread_id},
            )


def page_query(words: int) -> str:
    """The query for a page of pictures whose prompts contain so many words."""
    where = _SHOWN + "".join(f" AND instr(lower(jobs.prompt), lower(:word{number})) > 0" for number in range(words))
    return (
        f"SELECT {_COLUMNS} FROM jobs INDEXED BY jobs_on_web CROSS JOIN pictures ON pictures.job_id = jobs.id"  # noqa: S608
        f" WHERE {where} AND jobs.id <= :job AND (jobs.id < :job OR pictures.number > :number)"
        " ORDER BY jobs.id DESC, pictures.number LIMIT :length"
    )


def _values(guild_id: int, channels: Collection[int]) -> dict[str, object]:
    return {"guild": guild_id, "channels": json.dumps(sorted(channels))}


def _picture(row: Row) -> WebPicture:
    return WebPicture(
        job_id=row["job_id"],
        number=row["number"],
        prompt=row["prompt"],
        width=row["width"],
        height=row["height"],
        ended_at=row["ended_at"] or 0.0,
        has_timelapse=bool(row["has_timelapse"]),
        film_s=row["film_s"],
    )
