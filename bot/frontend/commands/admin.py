"""Commands for server admins: limits, channels, pause, safety, retention, statistics. Event loop.

By default Discord shows these commands to those who manage the server; admins can change that, so each command checks.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Literal

import discord
from discord import app_commands

from bot.config import Limits
from bot.frontend.answering import reply
from bot.frontend.app import Interaction
from bot.frontend.asking import requester_of
from bot.frontend.messages.render import duration
from bot.frontend.wording import described
from bot.frontend.words import as_typed
from bot.service import Requester, Safety
from bot.texts import say

MANAGERS = discord.Permissions(manage_guild=True)
LIMIT_NAMES = [app_commands.Choice(name=item.name, value=item.name) for item in fields(Limits)]
Place = discord.TextChannel | discord.CategoryChannel | discord.ForumChannel | discord.VoiceChannel | discord.Thread

limits = app_commands.Group(
    name="limits", description=described("command_limits"), guild_only=True, default_permissions=MANAGERS
)
channels = app_commands.Group(
    name="channels", description=described("command_channels"), guild_only=True, default_permissions=MANAGERS
)
safety = app_commands.Group(
    name="safety", description=described("command_safety"), guild_only=True, default_permissions=MANAGERS
)


def manager_of(interaction: Interaction) -> Requester:
    """The requester, who must manage the server.

    Raises:
        NotOwner
    """
    requester = requester_of(interaction)
    requester.must_manage()
    return requester


@limits.command(name="show", description=described("command_limits_show"))
@app_commands.describe(role=described("option_limit_role"))
async def show_limits(interaction: Interaction, role: discord.Role | None = None) -> None:
    """Show the limits of this server or of a role."""
    requester, guilds = manager_of(interaction), interaction.client.service.guilds
    found = await guilds.limits(requester.guild_id, frozenset() if role is None else frozenset({role.id}))
    lines = [
        f"`{item.name}` **{getattr(found, item.name)}** · {say(f'limit_{item.name}', requester.locale)}"
        for item in fields(Limits)
    ]
    for role_id, values in (await guilds.role_limits(requester.guild_id)).items():
        lines.append(f"<@&{role_id}>: " + ", ".join(f"`{name}` **{value}**" for name, value in values.items()))
    title = say(
        "limits_title", requester.locale, name=as_typed(interaction.guild.name if interaction.guild else "", 100)
    )
    await reply(interaction, embed=discord.Embed(title=title, description="\n".join(lines)[:4_000]))


@limits.command(name="set", description=described("command_limits_set"))
@app_commands.describe(
    name=described("option_limit_name"), value=described("option_limit_value"), role=described("option_limit_role")
)
@app_commands.choices(name=LIMIT_NAMES)
async def set_limit(
    interaction: Interaction, name: str, value: int | None = None, role: discord.Role | None = None
) -> None:
    """Change a limit; without a value, reset it to the default."""
    requester = requester_of(interaction)
    role_id = None if role is None else role.id
    now = await interaction.client.service.guilds.set_limit(requester, name, value, role_id)
    await reply(interaction, say("limit_set", requester.locale, name=name, value=getattr(now, name)))


@channels.command(name="list", description=described("command_channels_list"))
async def list_channels(interaction: Interaction) -> None:
    """List the channels where pictures may be requested."""
    requester = manager_of(interaction)
    await _reply_channels(interaction, requester)


@channels.command(name="allow", description=described("command_channels_allow"))
@app_commands.describe(channel=described("option_channel"))
async def allow_channel(interaction: Interaction, channel: Place) -> None:
    """Allow a channel or category; all channels not allowed are then closed."""
    await _set_channel(interaction, channel.id, True)


@channels.command(name="deny", description=described("command_channels_deny"))
@app_commands.describe(channel=described("option_channel"))
async def deny_channel(interaction: Interaction, channel: Place) -> None:
    """Deny a channel or category."""
    await _set_channel(interaction, channel.id, False)


@channels.command(name="reset", description=described("command_channels_reset"))
@app_commands.describe(channel=described("option_channel"))
async def reset_channel(interaction: Interaction, channel: Place) -> None:
    """Remove a channel's rule."""
    await _set_channel(interaction, channel.id, None)


@app_commands.command(name="pause", description=described("command_pause"))
@app_commands.default_permissions(manage_guild=True)
@app_commands.guild_only()
async def pause(interaction: Interaction) -> None:
    """Start no more pictures of this server."""
    requester = requester_of(interaction)
    await interaction.client.service.guilds.pause(requester)
    await reply(interaction, say("paused", requester.locale))


@app_commands.command(name="resume", description=described("command_resume"))
@app_commands.default_permissions(manage_guild=True)
@app_commands.guild_only()
async def resume(interaction: Interaction) -> None:
    """Resume the queue."""
    requester = requester_of(interaction)
    await interaction.client.service.guilds.resume(requester)
    await reply(interaction, say("resumed", requester.locale))


@app_commands.command(name="clear", description=described("command_clear"))
@app_commands.default_permissions(manage_guild=True)
@app_commands.guild_only()
async def clear(interaction: Interaction) -> None:
    """Cancel all waiting jobs of this server."""
    requester = requester_of(interaction)
    count = await interaction.client.service.guilds.clear(requester)
    await reply(interaction, say("cleared", requester.locale, count=count))


@safety.command(name="show", description=described("command_safety_show"))
async def show_safety(interaction: Interaction) -> None:
    """Show the treatment of pictures flagged by the safety check."""
    requester = manager_of(interaction)
    await _reply_safety(interaction, requester, *await interaction.client.service.guilds.safety(requester.guild_id))


@safety.command(name="set", description=described("command_safety_set"))
@app_commands.describe(
    mode=described("option_safety_mode"),
    report_channel=described("option_report_channel"),
    reports=described("option_reports"),
)
async def set_safety(
    interaction: Interaction,
    mode: Literal["off", "spoiler", "refuse"] | None = None,
    report_channel: discord.TextChannel | None = None,
    reports: bool = True,
) -> None:
    """Change the mode or the report channel; without `reports`, no channel receives reports."""
    requester = requester_of(interaction)
    channel_id = None if report_channel is None else report_channel.id
    now = await interaction.client.service.guilds.set_safety(
        requester,
        mode=None if mode is None else Safety(mode),
        report_channel_id=channel_id if reports else 0,
    )
    await _reply_safety(interaction, requester, *now)


@app_commands.command(name="stats", description=described("command_stats"))
@app_commands.describe(days=described("option_days"))
@app_commands.default_permissions(manage_guild=True)
@app_commands.guild_only()
async def stats(interaction: Interaction, days: app_commands.Range[int, 1, 366] = 7) -> None:
    """Show recent statistics of the server."""
    requester = manager_of(interaction)
    found = await interaction.client.service.guilds.statistics(requester.guild_id, days)
    text = say(
        "stats_text",
        requester.locale,
        pictures=found.pictures,
        time=duration(found.paint_s, requester.locale),
        cancelled=found.cancelled,
        failed=found.failed,
        mean=duration(found.waited_mean_s, requester.locale),
        most=duration(found.waited_most_s, requester.locale),
        queued=found.queued_now,
    )
    title = say("stats_title", requester.locale, count=found.days)
    await reply(interaction, embed=discord.Embed(title=title, description=text))


@app_commands.command(name="retention", description=described("command_retention"))
@app_commands.describe(days=described("option_retention"))
@app_commands.default_permissions(manage_guild=True)
@app_commands.guild_only()
async def retention(interaction: Interaction, days: app_commands.Range[int, 0, 3_650] | None = None) -> None:
    """Set the number of days until pictures are deleted; without a number, show it."""
    requester, guilds = manager_of(interaction), interaction.client.service.guilds
    now = (
        await guilds.retention_days(requester.guild_id) if days is None else await guilds.set_retention(requester, days)
    )
    text = say("privacy_days" if now else "privacy_ever", requester.locale, count=now)
    if days is not None and days != now:
        text += " " + say("retention_of_host", requester.locale)
    await reply(interaction, text)


async def _set_channel(interaction: Interaction, channel_id: int, allowed: bool | None) -> None:
    requester = requester_of(interaction)
    await interaction.client.service.guilds.set_channel(requester, channel_id, allowed)
    await _reply_channels(interaction, requester)


async def _reply_channels(interaction: Interaction, requester: Requester) -> None:
    rules = await interaction.client.service.guilds.channels(requester.guild_id)
    lines = [
        say("channel_allowed" if on else "channel_shut", requester.locale, channel=f"<#{item}>")
        for item, on in rules.items()
    ]
    await reply(interaction, "\n".join(lines) or say("channels_all", requester.locale))


async def _reply_safety(
    interaction: Interaction, requester: Requester, mode: Safety, report_channel: int | None
) -> None:
    reports = (
        say("safety_reports", requester.locale, channel=f"<#{report_channel}>")
        if report_channel
        else say("safety_no_reports", requester.locale)
    )
    await reply(interaction, say(f"safety_{mode.value}", requester.locale) + "\n" + reports)
