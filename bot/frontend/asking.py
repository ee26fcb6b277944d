"""The requester of an interaction, and a check that the bot can answer in its channel. Event loop."""

from __future__ import annotations

import discord

from bot.errors import WrongChannel
from bot.frontend.app import Interaction, locale_of
from bot.frontend.invite import invitation
from bot.service import Requester
from bot.texts import say

NEEDED = ("view_channel", "attach_files", "embed_links")
_RESTRICTED_SERVERS = (discord.NSFWLevel.explicit, discord.NSFWLevel.age_restricted)


def requester_of(interaction: Interaction) -> Requester:
    """The person and place of an interaction, according to Discord.

    Raises:
        WrongChannel: outside a server.
    """
    member, channel = interaction.user, interaction.channel
    if interaction.guild_id is None or interaction.channel_id is None:
        raise WrongChannel("only_in_servers")
    roles = member.roles if isinstance(member, discord.Member) else []
    above = (getattr(channel, name, None) for name in ("parent_id", "category_id"))
    return Requester(
        guild_id=interaction.guild_id,
        channel_id=interaction.channel_id,
        user_id=member.id,
        role_ids=frozenset(role.id for role in roles),
        parent_channel_ids=frozenset(channel_id for channel_id in above if channel_id is not None),
        locale=locale_of(interaction),
        manages=interaction.permissions.manage_guild,
        hosts=member.id in interaction.client.hosts,
        age_restricted=_is_age_restricted(channel),
    )


def check_place(interaction: Interaction) -> None:
    """Check that the bot can write here, even after the interaction's token expires.

    Raises:
        WrongChannel: naming what is missing.
    """
    channel, granted = interaction.channel, interaction.app_permissions
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
    if isinstance(guild, discord.Guild) and guild.nsfw_level in _RESTRICTED_SERVERS:
        return True
    if isinstance(channel, discord.Thread) and channel.parent is None:
        return False
    is_nsfw = getattr(channel, "is_nsfw", None)
    return bool(is_nsfw()) if is_nsfw is not None else False
