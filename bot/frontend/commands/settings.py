"""/settings: what people choose for themselves, in every server. Event loop."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands

from bot.frontend.app import Interaction
from bot.frontend.components.persistent import PersistentMenu
from bot.frontend.errors import errors_shown
from bot.frontend.wording import described
from bot.service import PERSONAL_CHOICES, Preferences
from bot.texts import say


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
            await interaction.response.edit_message(**_shown(changed, interaction.locale.value))


def _choices(name: str) -> list[app_commands.Choice[str]]:
    return [
        app_commands.Choice(name=described(f"setting_{name}_{item.value}"), value=item.value)
        for item in PERSONAL_CHOICES[name]
    ]


@app_commands.command(name="settings", description=described("command_settings"))
@app_commands.describe(ping=described("setting_ping"))
@app_commands.choices(ping=_choices("ping"))
async def settings(interaction: Interaction, ping: str | None = None) -> None:
    """Show one's own settings, after changing those that are given."""
    own = interaction.client.service.personal_settings
    shown = await own.of(interaction.user.id)
    if ping is not None:
        shown = await own.change(interaction.user.id, "ping", ping)
    await interaction.response.send_message(ephemeral=True, **_shown(shown, interaction.locale.value))


def _shown(preferences: Preferences, locale: str) -> dict[str, Any]:
    """Content and menus of the answer: a line and a menu for each setting."""
    lines, menus = [say("settings_title", locale)], discord.ui.View(timeout=None)
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
        menus.add_item(SettingSelect(name, menu))
    return {"content": "\n".join(lines), "view": menus}
