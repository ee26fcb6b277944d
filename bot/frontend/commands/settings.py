"""/settings: what people choose for themselves, in every server. Event loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import discord
from discord import app_commands

from bot.frontend.app import App, Interaction, locale_of
from bot.frontend.asking import requester_of
from bot.frontend.commands.imagine import complete_model, complete_size, complete_style
from bot.frontend.components.modals import PersistentForm
from bot.frontend.components.persistent import PersistentButton, PersistentMenu
from bot.frontend.errors import errors_shown
from bot.frontend.wording import described
from bot.frontend.words import as_typed
from bot.service import PERSONAL_CHOICES, PERSONAL_DEFAULT, PERSONAL_TEXTS, Preferences
from bot.texts import say

CHARACTERS = 100


class SettingSelect(PersistentMenu, template=r"reverie-setting:(?P<name>[a-z_]{2,20})"):
    """Menu that changes one setting."""

    def __init__(self, name: str, item: discord.ui.Select[Any]) -> None:
        super().__init__(item)
        self.name = name

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Change the setting and show the result in the same answer."""
        async with errors_shown(interaction):
            value = next(iter(self.item.values), "")
            changed = await interaction.client.service.personal_settings.change(interaction.user.id, self.name, value)
            await interaction.response.edit_message(**_shown(changed, locale_of(interaction)))


class TextsButton(PersistentButton, template=r"reverie-setting-texts"):
    """Button that asks for the settings that are texts."""

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Show the modal."""
        async with errors_shown(interaction):
            own = await interaction.client.service.personal_settings.of(interaction.user.id)
            await TextsForm(own, locale_of(interaction)).open(interaction)


class TextsForm(PersistentForm):
    """Modal for the settings that are texts; empty ones have their default."""

    kind = "settings"

    def __init__(self, own: Preferences, locale: str) -> None:
        super().__init__(say("setting_texts", locale))
        self.inputs: dict[str, discord.ui.TextInput[Any]] = {}
        for name in PERSONAL_TEXTS:
            self.inputs[name] = discord.ui.TextInput(
                default=getattr(own, name) or None, required=False, max_length=CHARACTERS, custom_id=name
            )
            label = discord.ui.Label(text=say(f"setting_{name}", locale), component=self.inputs[name])
            self.add_item(label)

    @classmethod
    async def restored(cls, interaction: Interaction, state: Sequence[str]) -> Self:
        """The modal of this person."""
        own = await interaction.client.service.personal_settings.of(interaction.user.id)
        return cls(own, locale_of(interaction))

    async def on_submit(self, interaction: discord.Interaction[App]) -> None:  # type: ignore[override]
        """Change the settings and show the result in the same answer."""
        changed = await _change(interaction, {name: item.value for name, item in self.inputs.items()})
        await interaction.response.edit_message(**_shown(changed, locale_of(interaction)))


def _choices(name: str) -> list[app_commands.Choice[str]]:
    return [
        app_commands.Choice(name=described(f"setting_{name}_{item.value}"), value=item.value)
        for item in PERSONAL_CHOICES[name]
    ]


@app_commands.command(name="settings", description=described("command_settings"))
@app_commands.describe(
    ping=described("setting_ping"),
    private=described("setting_private"),
    language=described("setting_language"),
    size=described("option_setting_size"),
    style=described("option_setting_style"),
    model=described("option_setting_model"),
)
@app_commands.choices(**{name: _choices(name) for name in PERSONAL_CHOICES})
@app_commands.autocomplete(size=complete_size, style=complete_style, model=complete_model)
async def settings(
    interaction: Interaction,
    ping: str | None = None,
    private: str | None = None,
    language: str | None = None,
    size: app_commands.Range[str, 1, CHARACTERS] | None = None,
    style: app_commands.Range[str, 1, CHARACTERS] | None = None,
    model: app_commands.Range[str, 1, CHARACTERS] | None = None,
) -> None:
    """Show one's own settings, after changing those that are given."""
    given = {"ping": ping, "private": private, "language": language, "size": size, "style": style, "model": model}
    shown = await _change(interaction, {name: value for name, value in given.items() if value is not None})
    await interaction.response.send_message(ephemeral=True, **_shown(shown, locale_of(interaction)))


async def _change(interaction: Interaction, values: dict[str, str]) -> Preferences:
    """Change some settings; return all of them. The server must know a style, and allow a model, that is chosen in it.

    Those that stay as they are need not suit this server.
    """
    service, guild_id = interaction.client.service, requester_of(interaction).guild_id
    own = await service.personal_settings.of(interaction.user.id)
    values = {name: value for name, value in values.items() if value.strip() != getattr(own, name)}
    style, model = (_chosen(values.get(name, "")) for name in ("style", "model"))
    if style and interaction.guild_id is not None:
        values["style"] = (await service.words.style(guild_id, style)).name
    if model:
        (await service.guilds.models(guild_id)).check(model)
    for name, value in values.items():
        await service.personal_settings.change(interaction.user.id, name, value)
    return await service.personal_settings.of(interaction.user.id)


def _chosen(value: str) -> str:
    """A text as chosen; empty if it restores the default."""
    value = value.strip()
    return "" if value.casefold() == PERSONAL_DEFAULT else value


def _shown(preferences: Preferences, locale: str) -> dict[str, Any]:
    """Content and controls of the answer: a line for each setting, menus for choices, a button for texts."""
    lines, controls = [say("settings_title", locale)], discord.ui.View(timeout=None)
    for name, choices in PERSONAL_CHOICES.items():
        now = getattr(preferences, name)
        lines.append(f"{say(f'setting_{name}', locale)}: **{say(f'setting_{name}_{now.value}', locale)}**")
        options = [
            discord.SelectOption(
                label=say(f"setting_{name}_{item.value}", locale), value=item.value, default=item is now
            )
            for item in choices
        ]
        menu: discord.ui.Select[Any] = discord.ui.Select(
            custom_id=f"reverie-setting:{name}", options=options, placeholder=say(f"setting_{name}", locale)
        )
        controls.add_item(SettingSelect(name, menu))
    for name in PERSONAL_TEXTS:
        now = as_typed(getattr(preferences, name), CHARACTERS) or say("setting_default", locale)
        lines.append(f"{say(f'setting_{name}', locale)}: **{now}**")
    button: discord.ui.Button[Any] = discord.ui.Button(
        label=say("setting_texts", locale), custom_id="reverie-setting-texts", style=discord.ButtonStyle.secondary
    )
    controls.add_item(TextsButton(button))
    return {"content": "\n".join(lines), "view": controls}
