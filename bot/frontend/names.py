"""Names of a server's members, asked of Discord when a list shows them and kept in memory only. Event loop."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping

import discord

from bot.frontend.app import App, Interaction
from bot.frontend.messages.discord_errors import TROUBLE

KEPT, KEPT_S = 1_000, 3_600.0
"""Number of names in memory, and the age from which they are asked for again."""


class Names:
    """Display names that were asked for lately."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, int], tuple[str, float]] = OrderedDict()

    async def of(self, interaction: Interaction, user_ids: Iterable[int]) -> Mapping[int, str]:
        """Names of the members of an interaction's server, by id; without those who left it."""
        guild_id, person = interaction.guild_id or 0, interaction.user
        self._keep(guild_id, person.id, person.display_name)
        wanted, young = {user_id: (guild_id, user_id) for user_id in user_ids}, time.monotonic() - KEPT_S
        missing = [key for key in wanted.values() if self._known.get(key, ("", -KEPT_S))[1] <= young]
        await asyncio.gather(*(self._ask(interaction.client, *key) for key in missing))
        return {user_id: self._known[key][0] for user_id, key in wanted.items() if key in self._known}

    async def _ask(self, app: App, guild_id: int, user_id: int) -> None:
        guild = app.get_guild(guild_id)
        if guild is None:
            return
        try:
            member = guild.get_member(user_id) or await guild.fetch_member(user_id)
        except discord.NotFound:
            self._known.pop((guild_id, user_id), None)
            return
        except TROUBLE:
            return
        self._keep(guild_id, user_id, member.display_name)

    def _keep(self, guild_id: int, user_id: int, name: str) -> None:
        self._known[guild_id, user_id] = name, time.monotonic()
        self._known.move_to_end((guild_id, user_id))
        # More than one page holds, so that no name is dropped before it is shown.
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
