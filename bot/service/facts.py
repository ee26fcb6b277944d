"""All that a server set, read once and kept until it changes. Event loop."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from bot.errors import NotOwner
from bot.service.values import Requester
from bot.store import Store

_CACHED_GUILDS = 2_000


@dataclass(frozen=True)
class GuildFacts:
    """Settings, limits of roles, channel rules, styles and blocklist of one server, as they are in the database."""

    settings: dict[str, str]
    roles: dict[int, dict[str, int]]
    channels: dict[int, bool]
    styles: dict[str, str]
    rules: tuple[str, ...]


class FactCache:
    """The facts of the servers that asked last. This process is the only one that changes them."""

    def __init__(self, store: Store) -> None:
        self._table = store.guilds
        self._known: OrderedDict[int, GuildFacts] = OrderedDict()

    async def of(self, guild_id: int) -> GuildFacts:
        """What the server set."""
        facts = self._known.get(guild_id)
        if facts is None:
            facts = GuildFacts(
                settings=await self._table.settings(guild_id),
                roles=await self._table.role_limits(guild_id),
                channels=await self._table.channels(guild_id),
                styles=await self._table.styles(guild_id),
                rules=await self._table.rules(guild_id),
            )
            self._known[guild_id] = facts
        self._known.move_to_end(guild_id)
        while len(self._known) > _CACHED_GUILDS:
            self._known.popitem(last=False)
        return facts

    def forget(self, guild_id: int) -> None:
        """Read the server's facts anew next time. To be called after each change, without a wait in between."""
        self._known.pop(guild_id, None)


def must_manage(requester: Requester) -> None:
    """Let only those pass who manage the server.

    Raises:
        NotOwner
    """
    if not requester.manages:
        raise NotOwner("must_manage")
