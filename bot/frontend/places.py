"""Servers and channels as Discord says they are now, for the web gallery: who sees which channel. Event loop."""

from __future__ import annotations

import discord

RESTRICTED = (discord.NSFWLevel.explicit, discord.NSFWLevel.age_restricted)
"""Levels of servers in which every channel counts as age-restricted."""


class Places:
    """Servers that a client knows at the moment; those hidden by an outage are unknown."""

    def __init__(self, client: discord.Client) -> None:
        self._client = client

    def name(self, guild_id: int) -> str | None:
        """Name of a server; None if it is not known."""
        guild = self._client.get_guild(guild_id)
        return None if guild is None else guild.name

    def open_channels(self, guild_id: int) -> frozenset[int]:
        """Channels of a server that everybody in it can see and that are not age-restricted."""
        guild = self._client.get_guild(guild_id)
        if guild is None or guild.unavailable or guild.nsfw_level in RESTRICTED:
            return frozenset()
        return frozenset(
            channel.id for channel in guild.channels if seen_by_all(channel) and not getattr(channel, "nsfw", False)
        )


def public_channel_id(guild: discord.Guild | None, channel: object) -> int | None:
    """The channel, or that of a public thread, if everybody in the server can see it; None also if we cannot tell."""
    if guild is None:
        return None
    channel_id = getattr(channel, "id", 0)
    if isinstance(channel, discord.Thread):
        if channel.is_private():
            return None
        channel_id = channel.parent_id
    known = guild.get_channel(channel_id)
    return channel_id if known is not None and seen_by_all(known) else None


def seen_by_all(channel: discord.abc.GuildChannel) -> bool:
    """True if the server's role for everybody may see a channel."""
    return channel.permissions_for(channel.guild.default_role).view_channel
