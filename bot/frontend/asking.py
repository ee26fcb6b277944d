"""Person and place of an interaction: the requester, whether the bot can answer there, and who sees the channel.

Event loop.
"""

from __future__ import annotations

import discord

from bot.errors import WrongChannel
from bot.frontend.app import Interaction, locale_of
from bot.frontend.invite import invitation
from bot.jobs import own_place
from bot.service import Requester
from bot.texts import say

RESTRICTED_SERVERS = (discord.NSFWLevel.explicit, discord.NSFWLevel.age_restricted)
"""Levels of servers in which every channel counts as age-restricted."""
NEEDED = ("view_channel", "attach_files", "embed_links")


def requester_of(interaction: Interaction) -> Requester:
    """The person and place of an interaction, according to Discord.

    Raises:
        WrongChannel: outside a server, if the host does not allow that; below a message of another person's own app.
    """
    member, channel, alone = interaction.user, interaction.channel, is_alone(interaction)
    guild_id = own_place(member.id) if alone else interaction.guild_id
    if guild_id is None or interaction.channel_id is None or (alone and not interaction.client.config.for_everybody):
        raise WrongChannel("only_in_servers")
    if not alone and interaction.client.config.for_everybody and _is_of_somebody_else(interaction):
        raise WrongChannel("somebody_elses_app")
    if alone:
        return Requester(
            guild_id=guild_id,
            channel_id=interaction.channel_id,
            user_id=member.id,
            locale=locale_of(interaction),
            hosts=member.id in interaction.client.hosts,
            age_restricted=_is_age_restricted(channel),
            by_token=not interaction.context.dm_channel,
        )
    roles = member.roles if isinstance(member, discord.Member) else []
    above = (getattr(channel, name, None) for name in ("parent_id", "category_id"))
    return Requester(
        guild_id=guild_id,
        channel_id=interaction.channel_id,
        user_id=member.id,
        role_ids=frozenset(role.id for role in roles),
        parent_channel_ids=frozenset(channel_id for channel_id in above if channel_id is not None),
        locale=locale_of(interaction),
        manages=interaction.permissions.manage_guild,
        hosts=member.id in interaction.client.hosts,
        age_restricted=_is_age_restricted(channel),
        public_channel_id=public_channel_id(interaction.client.get_guild(guild_id), channel),
    )


def is_alone(interaction: Interaction) -> bool:
    """True if a person uses the bot without a server: in direct messages, or where it was installed for the person."""
    if interaction.guild_id is None:
        return True
    return interaction.is_user_integration() and not interaction.is_guild_integration()


def _is_of_somebody_else(interaction: Interaction) -> bool:
    known = interaction.client.get_guild(interaction.guild_id or 0) is not None
    return not known and not interaction.is_guild_integration()


def is_hidden(interaction: Interaction) -> bool:
    """True if this server hides what the apps of its members answer; Discord then shows it to the person only."""
    return is_alone(interaction) and interaction.guild_id is not None and not interaction.permissions.use_external_apps


def check_place(interaction: Interaction) -> None:
    """Check that the bot can write here, even after the interaction's token expires.

    Without a server it needs no permissions; what it cannot write comes as a direct message.

    Raises:
        WrongChannel: naming what is missing.
    """
    channel, granted = interaction.channel, interaction.app_permissions
    if is_alone(interaction):
        return
    if interaction.guild_id is not None and interaction.client.get_guild(interaction.guild_id) is None:
        # The commands were added without the bot.
        raise WrongChannel("bot_not_here", link=invitation(None, interaction.application_id))
    in_thread = isinstance(channel, discord.Thread)
    if isinstance(channel, discord.Thread) and (channel.archived or channel.locked):
        raise WrongChannel("thread_archived")
    needed = (*NEEDED, "send_messages_in_threads" if in_thread else "send_messages")
    missing = [name for name in needed if not getattr(granted, name)]
    if missing:
        locale = locale_of(interaction)
        names = ", ".join(say(f"permission_{name}", locale) for name in missing)
        raise WrongChannel("permissions_missing", names=names)


def _is_age_restricted(channel: object) -> bool:
    guild = getattr(channel, "guild", None)
    if isinstance(guild, discord.Guild) and guild.nsfw_level in RESTRICTED_SERVERS:
        return True
    if isinstance(channel, discord.Thread) and channel.parent is None:
        return False
    is_nsfw = getattr(channel, "is_nsfw", None)
    return bool(is_nsfw()) if is_nsfw is not None else False


class Places:
    """Servers and channels for the web gallery, as a client knows them now; those hidden by an outage are unknown."""

    def __init__(self, client: discord.Client) -> None:
        self._client = client

    def name(self, guild_id: int) -> str | None:
        """Name of a server; None if it is not known."""
        guild = self._client.get_guild(guild_id)
        return None if guild is None else guild.name

    def open_channels(self, guild_id: int) -> frozenset[int]:
        """Channels of a server that everybody in it can see and that are not age-restricted."""
        guild = self._client.get_guild(guild_id)
        if guild is None or guild.unavailable or guild.nsfw_level in RESTRICTED_SERVERS:
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
