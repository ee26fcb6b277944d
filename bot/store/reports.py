"""Reports and the reported pictures in the database. Event loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from bot.jobs import Report, ReportedPicture, ReportReason
from bot.store.connection import Database, Row
from bot.store.rows import insertion

_COLUMNS = tuple(item.name for item in fields(ReportedPicture) if item.name != "reports")
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM reported_pictures"  # noqa: S608 - our own names
_REPORT = tuple(item.name for item in fields(Report))
_OLD = (
    " WHERE guild_id = ? AND NOT EXISTS"
    " (SELECT 1 FROM reports WHERE picture_id = reported_pictures.id AND reports.created_at >= ?)"
)
_WITHDRAWN = " WHERE id NOT IN (SELECT picture_id FROM reports)"
_KEEP_OFF_THE_WEB = "UPDATE jobs SET public_channel_id = NULL WHERE id IN (SELECT job_id FROM reported_pictures"
"""Begins the statement for reports that go without a decision."""
_SELECT_REPORTS = f"SELECT picture_id, {', '.join(_REPORT)} FROM reports"  # noqa: S608 - our own names


class ReportTable:
    """Reported pictures, each with its reports; independent of the job's row, which may be deleted before."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, reported: ReportedPicture, picture: bytes | None, report: Report) -> int:
        """Write a report and, if it is the first of its picture, the picture; return the picture's id.

        A second report by the same person replaces the first.
        """
        values = {name: getattr(reported, name) for name in _COLUMNS if name != "id"}
        sql, values = insertion("reported_pictures", values | {"picture": picture, "created_at": report.created_at})
        async with self._database.transaction() as db:
            await db.execute(f"{sql} ON CONFLICT (job_id, number) DO NOTHING", values)
            found = await db.execute_fetchall(
                "SELECT id FROM reported_pictures WHERE job_id = ? AND number = ?", (reported.job_id, reported.number)
            )
            picture_id = int(next(iter(found))["id"])
            sql, values = insertion(
                "reports", {"picture_id": picture_id} | {name: getattr(report, name) for name in _REPORT}
            )
            await db.execute(sql.replace("INSERT", "INSERT OR REPLACE", 1), values)
        return picture_id

    async def get(self, guild_id: int, picture_id: int) -> ReportedPicture | None:
        """A reported picture of a server; None if its reports were resolved or withdrawn."""
        found = await self._find("id = ? AND guild_id = ?", (picture_id, guild_id))
        return found[0] if found else None

    async def of_guild(self, guild_id: int, *, start: int, length: int) -> list[ReportedPicture]:
        """Part of a server's reported pictures, oldest first."""
        return await self._find("guild_id = ? ORDER BY id LIMIT ? OFFSET ?", (guild_id, length, start))

    async def count(self, guild_id: int) -> int:
        """Number of a server's reported pictures."""
        row = await self._database.row("SELECT count(*) AS n FROM reported_pictures WHERE guild_id = ?", (guild_id,))
        return 0 if row is None else int(row["n"])

    async def picture(self, picture_id: int) -> bytes | None:
        """The copy of a reported picture, as a JPEG file."""
        row = await self._database.row("SELECT picture FROM reported_pictures WHERE id = ?", (picture_id,))
        return None if row is None else row["picture"]

    async def put_picture(self, picture_id: int, picture: bytes) -> None:
        """Write the copy of a reported picture."""
        async with self._database.transaction() as db:
            await db.execute("UPDATE reported_pictures SET picture = ? WHERE id = ?", (picture, picture_id))

    async def without_picture(self) -> list[ReportedPicture]:
        """Reported pictures without a copy: reported under an earlier version."""
        return await self._find("picture IS NULL", ())

    async def set_notice(self, picture_id: int, channel_id: int, message_id: int) -> bool:
        """Record the message in the channel for reports; return True if the reports are still open."""
        async with self._database.transaction() as db:
            cursor = await db.execute(
                "UPDATE reported_pictures SET notice_channel_id = ?, notice_id = ? WHERE id = ?",
                (channel_id, message_id, picture_id),
            )
            return cursor.rowcount > 0

    async def remove(self, picture_id: int) -> bool:
        """Delete a reported picture with its reports; return True if it was there."""
        async with self._database.transaction() as db:
            cursor = await db.execute("DELETE FROM reported_pictures WHERE id = ?", (picture_id,))
            return cursor.rowcount > 0

    async def guilds(self) -> list[int]:
        """Every server with reported pictures."""
        found = await self._database.rows("SELECT DISTINCT guild_id FROM reported_pictures")
        return [row["guild_id"] for row in found]

    async def drop_old(self, guild_id: int, before: float) -> int:
        """Delete a server's reported pictures whose newest report is older than a time; return their number."""
        async with self._database.transaction() as db:
            await db.execute(f"{_KEEP_OFF_THE_WEB}{_OLD})", (guild_id, before))
            cursor = await db.execute(f"DELETE FROM reported_pictures{_OLD}", (guild_id, before))  # noqa: S608
            return cursor.rowcount

    async def about(self, user_id: int) -> list[ReportedPicture]:
        """Reported pictures of a person, in every server."""
        return await self._find("user_id = ? ORDER BY id", (user_id,))

    async def withdraw(self, user_id: int) -> None:
        """Delete a person's reports, and the copies of pictures that nobody else reported."""
        async with self._database.transaction() as db:
            await db.execute("DELETE FROM reports WHERE user_id = ?", (user_id,))
            await db.execute(f"{_KEEP_OFF_THE_WEB}{_WITHDRAWN})")
            await db.execute(f"DELETE FROM reported_pictures{_WITHDRAWN}")  # noqa: S608

    async def _find(self, where: str, values: Sequence[object]) -> list[ReportedPicture]:
        found = await self._database.rows(f"{_SELECT} WHERE {where}", values)
        return [await self._whole(row) for row in found]

    async def _whole(self, row: Row) -> ReportedPicture:
        rows = await self._database.rows(f"{_SELECT_REPORTS} WHERE picture_id = ? ORDER BY id", (row["id"],))
        reports = tuple(
            Report(
                user_id=item["user_id"],
                reason=ReportReason(item["reason"]),
                details=item["details"],
                locale=item["locale"],
                wants_result=bool(item["wants_result"]),
                created_at=item["created_at"],
            )
            for item in rows
        )
        return ReportedPicture(**{name: row[name] for name in _COLUMNS}, reports=reports)
