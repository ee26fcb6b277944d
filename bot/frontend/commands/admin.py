"""Commands for server admins: limits, channels, models, pause, safety, retention, statistics. Event loop.

By default Discord shows these commands to those who manage the server; admins can change that, so each command checks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import fields
from typing import Literal

import discord
from discord import app_commands

from bot.config import Config, Limits
from bot.errors import InvalidJobSpec
from bot.frontend.answering import reply
from bot.frontend.app import Interaction
from bot.frontend.asking import requester_of
from bot.frontend.components import confirm
from bot.frontend.messages.content import DESCRIPTION
from bot.frontend.messages.render import duration
from bot.frontend.wording import described
from bot.frontend.words import as_typed, within
from bot.service import Requester, Safety, ServerModels
from bot.texts import say

MANAGERS = discord.Permissions(manage_guild=True)
LIMIT_KEYS = tuple(item.name for item in fields(Limits))
LIMIT_NAMES = [app_commands.Choice(name=name, value=name) for name in LIMIT_KEYS]
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
@app_commands.describe(role=described("option_limit_role_show"))
async def show_limits(interaction: Interaction, role: discord.Role | None = None) -> None:
    """Show the limits of this server or of a role, with the host's defaults and caps."""
    requester, guilds = manager_of(interaction), interaction.client.service.guilds
    found = await guilds.limits(requester.guild_id, frozenset() if role is None else frozenset({role.id}))
    config, locale = interaction.client.config, requester.locale
    lines = []
    for item in fields(Limits):
        name, cap = item.name, getattr(config.caps, item.name, None)
        text = f"{limit_value(found, config, name, locale)} · {say(f'limit_{name}', locale)}"
        lines.append(f"{text} · {say('limit_cap', locale, cap=cap)}" if cap else text)
    lines += role_lines(await guilds.role_limits(requester.guild_id))
    server = interaction.guild.name if interaction.guild else ""
    title = say("limits_title", locale, name=as_typed(server if role is None else f"@{role.name}", 100))
    await reply(interaction, embed=discord.Embed(title=title, description=within(lines, DESCRIPTION)))


def limit_value(found: Limits, config: Config, name: str, locale: str) -> str:
    """A limit with its value, and the host's default where it differs."""
    value, default = getattr(found, name), getattr(config.limits, name)
    other = "" if value == default else f" ({say('limit_default', locale, value=default)})"
    return f"`{name}` **{value}**{other}"


def role_lines(roles: Mapping[int, Mapping[str, int]]) -> list[str]:
    """A line for each role with limits of its own."""
    return [
        f"<@&{role_id}>: " + ", ".join(f"`{name}` **{value}**" for name, value in values.items())
        for role_id, values in roles.items()
    ]


@limits.command(name="set", description=described("command_limits_set"))
@app_commands.describe(
    name=described("option_limit_name"), value=described("option_limit_value"), role=described("option_limit_role")
)
@app_commands.choices(name=LIMIT_NAMES)
async def set_limit(
    interaction: Interaction, name: str, value: int | None = None, role: discord.Role | None = None
) -> None:
    """Change a limit; without a value, say which values it can have."""
    if value is not None:
        await _set_limit(interaction, name, value, role)
        return
    requester, guilds, config = manager_of(interaction), interaction.client.service.guilds, interaction.client.config
    item = next((item for item in fields(Limits) if item.name == name), None)
    if item is None:
        raise InvalidJobSpec("limit_unknown", field="name", name=name[:40], known=", ".join(LIMIT_KEYS))
    now = await guilds.limits(requester.guild_id, frozenset() if role is None else frozenset({role.id}))
    high = min(item.metadata["high"], getattr(config.caps, name, 0) or item.metadata["high"])
    values = {"now": getattr(now, name), "default": getattr(config.limits, name)}
    await reply(
        interaction,
        say("limit_which", requester.locale, name=name, low=item.metadata["low"], high=high, **values),
    )


@limits.command(name="reset", description=described("command_limits_reset"))
@app_commands.describe(name=described("option_limit_name"), role=described("option_limit_role"))
@app_commands.choices(name=LIMIT_NAMES)
async def reset_limit(interaction: Interaction, name: str, role: discord.Role | None = None) -> None:
    """Restore the host's default of a limit, or the server's for a role."""
    await _set_limit(interaction, name, None, role)


async def _set_limit(interaction: Interaction, name: str, value: int | None, role: discord.Role | None) -> None:
    requester = requester_of(interaction)
    role_id = None if role is None else role.id
    now = await interaction.client.service.guilds.set_limit(requester, name, value, role_id)
    text = say("limit_set", requester.locale, name=name, value=getattr(now, name))
    if role is not None:
        text = say("limit_set_role", requester.locale, name=name, value=getattr(now, name), role=f"<@&{role.id}>")
    await reply(interaction, text)


@channels.command(name="list", description=described("command_channels_list"))
async def list_channels(interaction: Interaction) -> None:
    """List the channels where pictures may be requested."""
    requester = manager_of(interaction)
    rules = await interaction.client.service.guilds.channels(requester.guild_id)
    await reply(interaction, channels_text(rules, requester.locale))


@channels.command(name="allow", description=described("command_channels_allow"))
@app_commands.describe(channel=described("option_channel_allow"))
async def allow_channel(interaction: Interaction, channel: Place) -> None:
    """Allow a channel or category; all channels not allowed are then closed."""
    await _set_channel(interaction, channel.id, True, "channel_is_allowed")


@channels.command(name="deny", description=described("command_channels_deny"))
@app_commands.describe(channel=described("option_channel_deny"))
async def deny_channel(interaction: Interaction, channel: Place) -> None:
    """Deny a channel or category."""
    await _set_channel(interaction, channel.id, False, "channel_is_denied")


@channels.command(name="reset", description=described("command_channels_reset"))
@app_commands.describe(channel=described("option_channel_reset"))
async def reset_channel(interaction: Interaction, channel: Place) -> None:
    """Remove a channel's rule."""
    await _set_channel(interaction, channel.id, None, "channel_is_reset")


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
@app_commands.describe(person=described("option_clear_person"))
@app_commands.default_permissions(manage_guild=True)
@app_commands.guild_only()
async def clear(interaction: Interaction, person: discord.User | None = None) -> None:
    """Count the waiting jobs of this server or of one person, and ask whether to cancel them."""
    await confirm.ask_to_clear(interaction, None if person is None else person.id)


@safety.command(name="show", description=described("command_safety_show"))
async def show_safety(interaction: Interaction) -> None:
    """Show the treatment of pictures flagged by the safety check."""
    requester = manager_of(interaction)
    await reply(interaction, await safety_text(interaction, requester))


@safety.command(name="set", description=described("command_safety_set"))
@app_commands.describe(
    mode=described("option_safety_mode"),
    certainty=described("option_safety_certainty"),
    report_channel=described("option_report_channel"),
    reports=described("option_reports"),
)
async def set_safety(
    interaction: Interaction,
    mode: Literal["off", "spoiler", "refuse"] | None = None,
    certainty: app_commands.Range[int, 1, 100] | None = None,
    report_channel: discord.TextChannel | None = None,
    reports: bool = True,
) -> None:
    """Change the mode, the check's certainty or the report channel; without `reports`, no channel receives reports."""
    requester = requester_of(interaction)
    channel_id = None if report_channel is None else report_channel.id
    await interaction.client.service.guilds.set_safety(
        requester,
        mode=None if mode is None else Safety(mode),
        report_channel_id=channel_id if reports else 0,
        certainty_percent=certainty,
    )
    await reply(interaction, await safety_text(interaction, requester))


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
    """Set the number of days until pictures are deleted, after a question; without a number, show it."""
    requester = manager_of(interaction)
    if days is None:
        await reply(interaction, await confirm.retention_text(interaction, requester))
    else:
        await confirm.set_retention(interaction, days)


async def _set_channel(interaction: Interaction, channel_id: int, allowed: bool | None, key: str) -> None:
    requester, guilds = requester_of(interaction), interaction.client.service.guilds
    await guilds.set_channel(requester, channel_id, allowed)
    text = say(key, requester.locale, channel=f"<#{channel_id}>")
    rules = await guilds.channels(requester.guild_id)
    await reply(interaction, f"{text}\n{channels_text(rules, requester.locale)}")


def channels_text(rules: Mapping[int, bool], locale: str) -> str:
    """The channels where pictures may be requested, in words."""
    allowed, denied = (
        within((f"<#{channel_id}>" for channel_id, on in rules.items() if on is wanted), 800, " ")
        for wanted in (True, False)
    )
    if allowed:
        text = say("channels_only", locale, channels=allowed)
        return f"{text} {say('channels_denied', locale, channels=denied)}" if denied else text
    return say("channels_except", locale, channels=denied) if denied else say("channels_all", locale)


async def safety_text(interaction: Interaction, requester: Requester) -> str:
    """The treatment of flagged pictures, the reach of the check with these models, and the channel for reports."""
    service, locale = interaction.client.service, requester.locale
    mode, report_channel = await service.guilds.safety(requester.guild_id)
    lines = [say(f"safety_{mode.value}", locale)]
    if mode is not Safety.OFF:
        percent = round(100 * await service.guilds.unsafe_from(requester.guild_id))
        lines += [say("safety_certainty", locale, percent=percent), await _checked_by(interaction, locale)]
    lines.append(
        say("safety_reports", locale, channel=f"<#{report_channel}>")
        if report_channel
        else say("safety_no_reports", locale)
    )
    return "\n".join(lines)


async def _checked_by(interaction: Interaction, locale: str) -> str:
    """The model that checks pictures, and what it cannot see."""
    service, models = interaction.client.service, interaction.client.config.model_name
    if service.has_trained_check:
        return say("safety_trained", locale)
    names = await asyncio.to_thread(service.checked_by)
    return say("safety_sees", locale, names=", ".join(names)) if names else say("safety_blind", locale, models=models)


models = app_commands.Group(name="models", description=described("command_models"), guild_only=True)


@models.command(name="list", description=described("command_models_list"))
async def list_models(interaction: Interaction) -> None:
    """List the model sets of this server, and the person's own default if it counts here."""
    requester, service = requester_of(interaction), interaction.client.service
    found = await service.guilds.models(requester.guild_id)
    text = _models_text(found, requester.locale)
    own = (await service.personal_settings.of(requester.user_id)).model
    if own in found.allowed:
        text = f"{text} {say('models_yours', requester.locale, own=own)}"
    await reply(interaction, text)


@models.command(name="allow", description=described("command_models_allow"))
@app_commands.describe(model=described("option_model_set"))
async def allow_models(interaction: Interaction, model: str) -> None:
    """Allow a model set."""
    requester = requester_of(interaction)
    found = await interaction.client.service.guilds.allow_models(requester, model, allowed=True)
    await reply(interaction, _models_text(found, requester.locale))


@models.command(name="deny", description=described("command_models_deny"))
@app_commands.describe(model=described("option_model_set"))
async def deny_models(interaction: Interaction, model: str) -> None:
    """Deny a model set."""
    requester = requester_of(interaction)
    found = await interaction.client.service.guilds.allow_models(requester, model, allowed=False)
    await reply(interaction, _models_text(found, requester.locale))


@models.command(name="default", description=described("command_models_default"))
@app_commands.describe(model=described("option_model_set"))
async def choose_models(interaction: Interaction, model: str) -> None:
    """Choose the usual model set of this server."""
    requester = requester_of(interaction)
    found = await interaction.client.service.guilds.set_usual_models(requester, model)
    await reply(interaction, _models_text(found, requester.locale))


@allow_models.autocomplete("model")
@deny_models.autocomplete("model")
@choose_models.autocomplete("model")
async def complete_models(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    """Model sets that the host offers."""
    names = [name for name in interaction.client.config.model_names if typed.strip().lower() in name.lower()]
    return [app_commands.Choice(name=name[:100], value=name[:100]) for name in names[:25]]


def _models_text(found: ServerModels, locale: str) -> str:
    return say("models_here", locale, allowed=", ".join(found.allowed), usual=found.usual)
