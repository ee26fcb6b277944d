"""Wildcards: lists of words of a server, which prompts name as `__animals__`. Event loop."""

from __future__ import annotations

from bot.errors import InvalidJobSpec, NotFound
from bot.service.guild_settings import GuildRecords
from bot.service.submission.expansion import LIST_NAME
from bot.service.values import Requester

MAX_LISTS = 50
MAX_NAME = 32
MAX_ENTRIES, MAX_ENTRY = 200, 200


class Wildcards:
    """Lists of words of each server; those who manage it change them."""

    def __init__(self, records: GuildRecords) -> None:
        self._records = records

    async def of(self, guild_id: int) -> dict[str, tuple[str, ...]]:
        """The lists of a server, by name."""
        return dict((await self._records.of(guild_id)).wildcards)

    async def save(self, requester: Requester, name: str, text: str) -> tuple[str, ...]:
        """Add a list, or replace the one of that name; entries stand one to a line, or between commas on one line.

        Returns its entries.

        Raises:
            NotOwner
            InvalidJobSpec: for an invalid name or entries.
        """
        requester.must_manage()
        name = name.strip().strip("_")
        if not LIST_NAME.fullmatch(name) or len(name) > MAX_NAME:
            raise InvalidJobSpec("wildcard_name", field="name", most=MAX_NAME)
        lines = text.strip().splitlines()
        parts = lines if len(lines) > 1 else text.split(",")
        entries = tuple(dict.fromkeys(filter(None, (" ".join(part.split()) for part in parts))))
        if not entries or len(entries) > MAX_ENTRIES or any(len(entry) > MAX_ENTRY for entry in entries):
            raise InvalidJobSpec("wildcard_entries", field="entries", most=MAX_ENTRIES, characters=MAX_ENTRY)
        async with self._records.changing(requester) as table:
            known = (await self._records.of(requester.guild_id)).wildcards
            if len(known) >= MAX_LISTS and name.casefold() not in map(str.casefold, known):
                raise InvalidJobSpec("wildcards_full", most=MAX_LISTS)
            await table.put_wildcard(requester.guild_id, name, entries)
        return entries

    async def delete(self, requester: Requester, name: str) -> None:
        """Delete a list.

        Raises:
            NotOwner, NotFound
        """
        requester.must_manage()
        name, known = name.strip().strip("_"), await self.of(requester.guild_id)
        if name.casefold() not in map(str.casefold, known):
            names = ", ".join(f"__{each}__" for each in sorted(known)) or "–"
            raise NotFound("wildcard_unknown", name=f"__{name[:40]}__", known=names)
        async with self._records.changing(requester) as table:
            await table.put_wildcard(requester.guild_id, name, ())
