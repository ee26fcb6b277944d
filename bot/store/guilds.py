"""Settings of servers in the database. Event loop."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bot.store.connection import Database

_TABLES = (
    "guild_settings", "role_limits", "channel_rules", "styles", "guild_presets", "wildcards", "batches", "votes",
    "block_rules", "blocked_people", "reported_pictures", "usage", "daily",
)  # fmt: skip
_KNOWN = " UNION ".join(f"SELECT guild_id FROM {table}" for table in (*_TABLES, "jobs"))  # noqa: S608 - our own names


class GuildTable:
    """Settings, role limits, channel rules, styles, presets, wildcards, blocklist and blocked people of each server."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def settings(self, guild_id: int) -> dict[str, str]:
        """Settings of a server, by name."""
        found = await self._database.rows("SELECT name, value FROM guild_settings WHERE guild_id = ?", (guild_id,))
        return {row["name"]: row["value"] for row in found}

    async def put_setting(self, guild_id: int, name: str, value: str | None) -> None:
        """Set a value; None restores the default."""
        async with self._database.transaction() as db:
            if value is None:
                await db.execute("DELETE FROM guild_settings WHERE guild_id = ? AND name = ?", (guild_id, name))
            else:
                await db.execute("INSERT OR REPLACE INTO guild_settings VALUES (?, ?, ?)", (guild_id, name, value))

    async def guilds_with(self, name: str) -> dict[int, str]:
        """Every server that set this name, with the value."""
        found = await self._database.rows("SELECT guild_id, value FROM guild_settings WHERE name = ?", (name,))
        return {row["guild_id"]: row["value"] for row in found}

    async def role_limits(self, guild_id: int) -> dict[int, dict[str, int]]:
        """Limits of each role of a server."""
        found = await self._database.rows(
            "SELECT role_id, name, value FROM role_limits WHERE guild_id = ? ORDER BY role_id, name", (guild_id,)
        )
        limits: dict[int, dict[str, int]] = {}
        for row in found:
            limits.setdefault(row["role_id"], {})[row["name"]] = row["value"]
        return limits

    async def put_role_limit(self, guild_id: int, role_id: int, name: str, value: int | None) -> None:
        """Set a limit of a role; None removes it."""
        async with self._database.transaction() as db:
            if value is None:
                await db.execute(
                    "DELETE FROM role_limits WHERE guild_id = ? AND role_id = ? AND name = ?", (guild_id, role_id, name)
                )
            else:
                await db.execute(
                    "INSERT OR REPLACE INTO role_limits VALUES (?, ?, ?, ?)", (guild_id, role_id, name, value)
                )

    async def channels(self, guild_id: int) -> dict[int, bool]:
        """Channels with a rule: True allowed, False denied."""
        found = await self._database.rows(
            "SELECT channel_id, allowed FROM channel_rules WHERE guild_id = ? ORDER BY channel_id", (guild_id,)
        )
        return {row["channel_id"]: bool(row["allowed"]) for row in found}

    async def put_channel(self, guild_id: int, channel_id: int, allowed: bool | None) -> None:
        """Set the rule of a channel; None removes it."""
        async with self._database.transaction() as db:
            if allowed is None:
                await db.execute(
                    "DELETE FROM channel_rules WHERE guild_id = ? AND channel_id = ?", (guild_id, channel_id)
                )
            else:
                await db.execute(
                    "INSERT OR REPLACE INTO channel_rules VALUES (?, ?, ?)", (guild_id, channel_id, int(allowed))
                )

    async def styles(self, guild_id: int) -> dict[str, str]:
        """The server's own styles, by name."""
        found = await self._database.rows("SELECT name, text FROM styles WHERE guild_id = ? ORDER BY name", (guild_id,))
        return {row["name"]: row["text"] for row in found}

    async def put_style(self, guild_id: int, name: str, text: str) -> None:
        """Add a style or replace the one of that name (ignoring case)."""
        async with self._database.transaction() as db:
            await db.execute("INSERT OR REPLACE INTO styles VALUES (?, ?, ?)", (guild_id, name, text))

    async def remove_style(self, guild_id: int, name: str) -> bool:
        """Remove a style; return True if there was one."""
        async with self._database.transaction() as db:
            cursor = await db.execute("DELETE FROM styles WHERE guild_id = ? AND name = ?", (guild_id, name))
            return cursor.rowcount > 0

    async def presets(self, guild_id: int) -> dict[str, str]:
        """Options of the server's own presets, by name."""
        found = await self._database.rows(
            "SELECT name, options FROM guild_presets WHERE guild_id = ? ORDER BY name", (guild_id,)
        )
        return {row["name"]: row["options"] for row in found}

    async def put_preset(self, guild_id: int, name: str, options: str | None) -> None:
        """Add a preset or replace the one of that name (ignoring case); None removes it."""
        async with self._database.transaction() as db:
            await db.execute("DELETE FROM guild_presets WHERE guild_id = ? AND name = ?", (guild_id, name))
            if options is not None:
                await db.execute("INSERT INTO guild_presets VALUES (?, ?, ?)", (guild_id, name, options))

    async def wildcards(self, guild_id: int) -> dict[str, tuple[str, ...]]:
        """Entries of the server's lists of words, by name."""
        found = await self._database.rows(
            "SELECT name, entries FROM wildcards WHERE guild_id = ? ORDER BY name", (guild_id,)
        )
        return {row["name"]: tuple(row["entries"].split("\n")) for row in found}

    async def put_wildcard(self, guild_id: int, name: str, entries: Sequence[str]) -> None:
        """Add a list of words or replace the one of that name (ignoring case); no entries remove it."""
        async with self._database.transaction() as db:
            await db.execute("DELETE FROM wildcards WHERE guild_id = ? AND name = ?", (guild_id, name))
            if entries:
                await db.execute("INSERT INTO wildcards VALUES (?, ?, ?)", (guild_id, name, "\n".join(entries)))

    async def rules(self, guild_id: int) -> tuple[str, ...]:
        """The server's own blocklist."""
        found = await self._database.rows("SELECT rule FROM block_rules WHERE guild_id = ? ORDER BY rule", (guild_id,))
        return tuple(row["rule"] for row in found)

    async def add_rule(self, guild_id: int, rule: str) -> None:
        """Add a rule unless it exists."""
        async with self._database.transaction() as db:
            await db.execute("INSERT OR IGNORE INTO block_rules VALUES (?, ?)", (guild_id, rule))

    async def remove_rule(self, guild_id: int, rule: str) -> bool:
        """Remove a rule; return True if there was one."""
        async with self._database.transaction() as db:
            cursor = await db.execute("DELETE FROM block_rules WHERE guild_id = ? AND rule = ?", (guild_id, rule))
            return cursor.rowcount > 0

    async def blocked_people(self, guild_id: int) -> dict[int, float]:
        """People who may not ask for pictures in a server, with the time of the block."""
        found = await self._database.rows(
            "SELECT user_id, created_at FROM blocked_people WHERE guild_id = ? ORDER BY created_at", (guild_id,)
        )
        return {row["user_id"]: row["created_at"] for row in found}

    async def block_person(self, guild_id: int, user_id: int) -> None:
        """Block a person unless blocked already."""
        async with self._database.transaction() as db:
            await db.execute("INSERT OR IGNORE INTO blocked_people VALUES (?, ?, ?)", (guild_id, user_id, time.time()))

    async def unblock_person(self, guild_id: int, user_id: int) -> bool:
        """Lift the block of a person; return True if there was one."""
        async with self._database.transaction() as db:
            cursor = await db.execute(
                "DELETE FROM blocked_people WHERE guild_id = ? AND user_id = ?", (guild_id, user_id)
            )
            return cursor.rowcount > 0

    async def known(self) -> set[int]:
        """Every server with data in the database."""
        return {row["guild_id"] for row in await self._database.rows(_KNOWN) if row["guild_id"] > 0}

    async def forget(self, guild_id: int) -> None:
        """Delete everything about a server except its jobs, which have files and are deleted by their ids."""
        async with self._database.transaction() as db:
            for table in _TABLES:
                await db.execute(f"DELETE FROM {table} WHERE guild_id = ?", (guild_id,))  # noqa: S608 - our own names
