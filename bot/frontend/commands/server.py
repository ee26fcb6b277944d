"""/server: all settings of a server in one private message, with menus and buttons to change them. Event loop.

A menu's or button's only state is its custom id, `reverie-server:WHAT`; the service checks permissions.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Self, cast

import discord
from discord import app_commands

from bot.config import MAX_RULE_CHARACTERS, Config, Limits
from bot.errors import InvalidJobSpec
from bot.frontend.answering import reply
from bot.frontend.app import App, Interaction, locale_of
from bot.frontend.asking import requester_of
from bot.frontend.commands import reports
from bot.frontend.commands.admin import LIMIT_KEYS, channels_text, limit_value, manager_of, role_lines, safety_text
from bot.frontend.components import confirm
from bot.frontend.components.modals import LABEL, PersistentForm
from bot.frontend.components.persistent import PersistentButton, PersistentMenu
from bot.frontend.errors import errors_shown
from bot.frontend.wording import described
from bot.frontend.words import as_typed, within
from bot.service import Requester, Safety
from bot.texts import say

FIELD = 1_000
"""Characters of an embed's field."""
MOST_CHANNELS = 25
"""Discord's limit for the values of a menu."""
NUMBER = re.compile(r"\s*(\d{1,9})\s*")


class ServerButton(
    PersistentButton,
    template=r"reverie-server:(?P<what>pause|resume|retention|word|inbox|refresh)",
):
    """Button that changes a setting."""

    def __init__(self, what: str, item: discord.ui.Button[Any]) -> None:
        super().__init__(item)
        self.what = what

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Change the setting, or open its form."""
        async with errors_shown(interaction):
            await PRESSED[self.what](interaction, manager_of(interaction))


class ServerMenu(
    PersistentMenu,
    template=r"reverie-server:(?P<what>limit|safety|report-channel|channels)",
):
    """Menu that changes a setting."""

    def __init__(self, what: str, item: discord.ui.Item[Any]) -> None:
        super().__init__(cast("discord.ui.Select[Any]", item))
        self.what = what

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Change the setting, or open its form."""
        async with errors_shown(interaction):
            data = cast("Mapping[str, Any]", interaction.data or {})
            chosen = [str(value) for value in data.get("values", ())]
            await CHOSEN[self.what](interaction, manager_of(interaction), chosen)


@app_commands.command(name="server", description=described("command_server"))
@app_commands.default_permissions(manage_guild=True)
@app_commands.guild_only()
async def server(interaction: Interaction) -> None:
    """Show all settings of this server."""
    values = await _page(interaction, manager_of(interaction))
    await reply(interaction, embed=values["embed"], buttons=values["view"])


async def _page(interaction: Interaction, requester: Requester) -> dict[str, Any]:
    """The settings as keyword arguments of a message."""
    service, config, locale = interaction.client.service, interaction.client.config, requester.locale
    guild_id = requester.guild_id
    limits, roles = await service.guilds.limits(guild_id), await service.guilds.role_limits(guild_id)
    rules = await service.guilds.channels(guild_id)
    styles = [style for style in await service.words.styles(guild_id) if style.own]
    paused = await service.guilds.paused(guild_id)
    counts = {
        "rules": len(await service.words.blocklist(requester)),
        "styles": len(styles),
        "people": len(await service.guilds.blocked_people(guild_id)),
        "reports": (await service.reports.page(requester, page=1, per_page=1)).total,
        "waiting": len(await service.waiting.of_server(requester)),
    }
    lines = [limit_value(limits, config, item.name, locale) for item in fields(Limits)] + role_lines(roles)
    name = as_typed(interaction.guild.name if interaction.guild else "", 100)
    shown_on_web = config.gallery.port and await service.web_gallery.exists(guild_id)
    embed = discord.Embed(title=say("server_title", locale, name=name), description=say("server_text", locale))
    parts = {
        "limits": within(lines, FIELD),
        "channels": channels_text(rules, locale)[:FIELD],
        "safety": (await safety_text(interaction, requester))[:FIELD],
        "retention": await _retention_text(interaction, requester),
        "queue": say("server_paused" if paused else "server_runs", locale, count=counts["waiting"]),
        "words": say("server_counts", locale, **counts),
    } | ({"web": say("server_web_on", locale)} if shown_on_web else {})
    for part, text in parts.items():
        embed.add_field(name=say(f"server_{part}", locale), value=text, inline=False)
    return {"embed": embed, "view": await _controls(interaction, requester, limits, rules, paused=paused)}


async def _retention_text(interaction: Interaction, requester: Requester) -> str:
    """The retention period, with the host's where it differs."""
    text, days = await confirm.retention_text(interaction, requester), interaction.client.config.retention_days
    if await interaction.client.service.guilds.retention_days(requester.guild_id) == days:
        return text
    return f"{text} ({say('limit_default', requester.locale, value=days)})"


async def _controls(
    interaction: Interaction, requester: Requester, limits: Limits, rules: Mapping[int, bool], *, paused: bool
) -> discord.ui.View:
    locale, controls = requester.locale, discord.ui.View(timeout=None)
    mode, report_channel = await interaction.client.service.guilds.safety(requester.guild_id)
    options = [
        discord.SelectOption(
            label=f"{item.name}: {getattr(limits, item.name)}",
            value=item.name,
            description=say(f"limit_{item.name}", locale)[:100],
        )
        for item in fields(Limits)
    ]
    _add(controls, "limit", discord.ui.Select(options=options, placeholder=say("server_limit", locale)))
    modes = [
        discord.SelectOption(label=say(f"server_safety_{item.value}", locale), value=item.value, default=item is mode)
        for item in Safety
    ]
    _add(controls, "safety", discord.ui.Select(options=modes))
    reports_to: discord.ui.ChannelSelect[Any] = discord.ui.ChannelSelect(
        channel_types=[discord.ChannelType.text],
        placeholder=say("server_report_channel", locale),
        min_values=0,
        default_values=[_channel(report_channel)] if report_channel else [],
    )
    _add(controls, "report-channel", reports_to)
    allowed = [channel_id for channel_id, on in rules.items() if on]
    if len(allowed) <= MOST_CHANNELS:
        open_ones: discord.ui.ChannelSelect[Any] = discord.ui.ChannelSelect(
            placeholder=say("server_open_channels", locale),
            min_values=0,
            max_values=MOST_CHANNELS,
            default_values=[_channel(channel_id) for channel_id in allowed],
        )
        _add(controls, "channels", open_ones)
    for what in ("resume" if paused else "pause", "retention", "word", "inbox", "refresh"):
        button: discord.ui.Button[Any] = discord.ui.Button(
            label=say(f"server_button_{what}", locale), custom_id=f"reverie-server:{what}"
        )
        controls.add_item(ServerButton(what, button))
    return controls


def _channel(channel_id: int) -> discord.SelectDefaultValue:
    return discord.SelectDefaultValue(id=channel_id, type=discord.SelectDefaultValueType.channel)


def _add(controls: discord.ui.View, what: str, menu: discord.ui.Select[Any] | discord.ui.ChannelSelect[Any]) -> None:
    menu.custom_id = f"reverie-server:{what}"
    controls.add_item(ServerMenu(what, menu))


async def _refresh(interaction: Interaction, requester: Requester) -> None:
    """Show the settings as they are now."""
    await interaction.response.edit_message(**await _page(interaction, requester))


# Changes


async def _pause(interaction: Interaction, requester: Requester) -> None:
    await interaction.client.service.guilds.pause(requester)
    await _refresh(interaction, requester)


async def _resume(interaction: Interaction, requester: Requester) -> None:
    await interaction.client.service.guilds.resume(requester)
    await _refresh(interaction, requester)


async def _inbox(interaction: Interaction, requester: Requester) -> None:
    await reports.show(interaction)


async def _set_safety(interaction: Interaction, requester: Requester, chosen: Sequence[str]) -> None:
    mode = next((item for item in Safety if item.value in chosen), None)
    await interaction.client.service.guilds.set_safety(requester, mode=mode)
    await _refresh(interaction, requester)


async def _set_report_channel(interaction: Interaction, requester: Requester, chosen: Sequence[str]) -> None:
    channel_id = int(chosen[0]) if chosen else 0
    await interaction.client.service.guilds.set_safety(requester, report_channel_id=channel_id)
    await _refresh(interaction, requester)


async def _set_channels(interaction: Interaction, requester: Requester, chosen: Sequence[str]) -> None:
    guilds, wanted = interaction.client.service.guilds, set(map(int, chosen))
    before = {channel_id for channel_id, on in (await guilds.channels(requester.guild_id)).items() if on}
    for channel_id in before ^ wanted:
        await guilds.set_channel(requester, channel_id, True if channel_id in wanted else None)
    await _refresh(interaction, requester)


class SettingForm(PersistentForm):
    """Modal for one value, which the action of that name gets, with the name of what it changes."""

    kind = "server"

    def __init__(
        self,
        title: str,
        label: str,
        action: str,
        name: str,
        *,
        value: str = "",
        hint: str | None = None,
        required: bool = True,
        most: int = 9,
    ) -> None:
        super().__init__(title, action, name)
        self._change, self._name = TYPED[action], name
        self.value: discord.ui.TextInput[Any] = discord.ui.TextInput(
            default=value, required=required, max_length=most, custom_id="value"
        )
        self.add_item(discord.ui.Label(text=label[:LABEL], description=hint, component=self.value))

    @classmethod
    async def restored(cls, interaction: Interaction, state: Sequence[str]) -> Self:
        """The modal, which knows by a name what to change."""
        action, name = state
        if action not in TYPED:
            raise ValueError(action)
        # Its words were shown before; now only what was typed counts.
        text = say("server_limit", locale_of(interaction))
        return cls(text, text, action, name, required=False, most=MAX_RULE_CHARACTERS)

    async def on_submit(self, interaction: discord.Interaction[App]) -> None:  # type: ignore[override]
        """Change the setting."""
        await self._change(interaction, self.value.value, self._name)


async def _ask_for_limit(interaction: Interaction, requester: Requester, chosen: Sequence[str]) -> None:
    name, locale, config = chosen[0] if chosen else "", requester.locale, interaction.client.config
    low, high = _range_of(name, config)
    now = await interaction.client.service.guilds.limits(requester.guild_id)
    hint = say("server_limit_hint", locale, low=low, high=high, default=getattr(config.limits, name))
    label, value = say(f"limit_{name}", locale), str(getattr(now, name))
    await SettingForm(name, label, "limit", name, value=value, hint=hint, required=False).open(interaction)


async def _set_limit(interaction: Interaction, value: str, name: str) -> None:
    """Change a limit; without a value it has the host's."""
    requester = requester_of(interaction)
    low, high = _range_of(name, interaction.client.config)
    number = _number(value, name, low, high) if value.strip() else None
    await interaction.client.service.guilds.set_limit(requester, name, number)
    await _refresh(interaction, requester)


def _range_of(name: str, config: Config) -> tuple[int, int]:
    """The least and the highest value of a limit.

    Raises:
        InvalidJobSpec: if there is no such limit.
    """
    item = next((item for item in fields(Limits) if item.name == name), None)
    if item is None:
        raise InvalidJobSpec("limit_unknown", field="name", name=name[:40], known=", ".join(LIMIT_KEYS))
    high = item.metadata["high"]
    return item.metadata["low"], min(high, getattr(config.caps, name, 0) or high)


async def _ask_for_days(interaction: Interaction, requester: Requester) -> None:
    locale = requester.locale
    now = await interaction.client.service.guilds.retention_days(requester.guild_id)
    title, label = say("server_button_retention", locale), say("option_days", locale)
    form = SettingForm(title, label, "days", "days", value=str(now), hint=say("server_retention_hint", locale))
    await form.open(interaction)


async def _set_days(interaction: Interaction, value: str, name: str) -> None:
    await confirm.set_retention(interaction, _number(value, name, 0, confirm.MAX_RETENTION_DAYS))


async def _ask_for_word(interaction: Interaction, requester: Requester) -> None:
    locale = requester.locale
    hint = say("option_rule", locale)[:100]
    form = SettingForm(
        say("server_button_word", locale),
        say("case_word_which", locale),
        "word",
        "word",
        hint=hint,
        most=MAX_RULE_CHARACTERS,
    )
    await form.open(interaction)


async def _forbid(interaction: Interaction, value: str, _name: str) -> None:
    await confirm.add_rule(interaction, value)


def _number(value: str, name: str, low: int, high: int) -> int:
    """A whole number as typed.

    Raises:
        InvalidJobSpec: naming what is allowed.
    """
    found = NUMBER.fullmatch(value)
    if found is None:
        raise InvalidJobSpec("out_of_range_whole", field=name, name=name, low=low, high=high)
    return int(found[1])


PRESSED: Mapping[str, Callable[[Interaction, Requester], Awaitable[None]]] = {
    "pause": _pause,
    "resume": _resume,
    "retention": _ask_for_days,
    "word": _ask_for_word,
    "inbox": _inbox,
    "refresh": _refresh,
}
CHOSEN: Mapping[str, Callable[[Interaction, Requester, Sequence[str]], Awaitable[None]]] = {
    "limit": _ask_for_limit,
    "safety": _set_safety,
    "report-channel": _set_report_channel,
    "channels": _set_channels,
}
TYPED: Mapping[str, Callable[[Interaction, str, str], Awaitable[None]]] = {
    "limit": _set_limit,
    "days": _set_days,
    "word": _forbid,
}
"""Actions of the form for a value: they get the interaction, the value and the name of what it changes."""
