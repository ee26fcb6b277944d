"""Presets: buttons, menu and modals that use, keep or save one. Event loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import discord

from bot.frontend.answering import reply
from bot.frontend.app import App, Interaction, locale_of
from bot.frontend.asking import check_place, requester_of
from bot.frontend.components.batches import submit_all
from bot.frontend.components.modals import TEXT, PersistentForm
from bot.frontend.components.persistent import PersistentButton, PersistentMenu
from bot.frontend.errors import errors_shown
from bot.frontend.words import as_typed
from bot.service import JobSpec, Preset
from bot.texts import say

NAME, OPTIONS = 32, 900
"""Characters of a preset that are shown."""
MENU = 25
"""Discord's limit for the options of a menu."""


class PresetButton(PersistentButton, template=r"reverie-preset:(?P<action>use|keep):(?P<owner>\d{1,20}):(?P<name>.+)"):
    """Button below a shared preset; its owner is a person."""

    def __init__(self, action: str, owner: str, name: str, item: discord.ui.Button[Any]) -> None:
        super().__init__(item)
        self.action, self.owner, self.name = action, int(owner), name

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Ask for a prompt, or copy the preset to the person's own."""
        async with errors_shown(interaction):
            requester, presets = requester_of(interaction), interaction.client.service.presets
            preset = await presets.get(requester.guild_id, self.owner, self.name)
            if self.action == "use":
                check_place(interaction)
                await UseForm(preset, self.owner, requester.locale).open(interaction)
                return
            saved = await presets.save(requester, preset.name, preset.options)
            await reply(interaction, saved_text(saved, requester.locale))


class PresetSelect(PersistentMenu, template=r"reverie-presets"):
    """Menu that asks what to paint with a preset."""

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Show the modal."""
        async with errors_shown(interaction):
            requester = requester_of(interaction)
            check_place(interaction)
            name = next(iter(self.item.values), "")
            preset = await interaction.client.service.presets.get(requester.guild_id, requester.user_id, name)
            await UseForm(preset, requester.user_id, requester.locale).open(interaction)


class UseForm(PersistentForm):
    """Modal for the prompt of a picture with a preset of the person `owner`, or of the server."""

    kind = "use"

    def __init__(self, preset: Preset, owner: int, locale: str) -> None:
        super().__init__(say("preset_form", locale, name=preset.name), owner, preset.name)
        self.options = preset.options
        self.prompt: discord.ui.TextInput[Any] = discord.ui.TextInput(
            style=discord.TextStyle.paragraph, max_length=TEXT, custom_id="prompt"
        )
        self.add_item(discord.ui.Label(text=say("like_words", locale), component=self.prompt))

    @classmethod
    async def restored(cls, interaction: Interaction, state: Sequence[str]) -> Self:
        """The modal for a preset, by its owner and name."""
        owner, requester = int(state[0]), requester_of(interaction)
        preset = await interaction.client.service.presets.get(requester.guild_id, owner, state[1])
        return cls(preset, owner, requester.locale)

    async def on_submit(self, interaction: discord.Interaction[App]) -> None:  # type: ignore[override]
        """Submit the job, or ask about several."""
        await submit_all(interaction, JobSpec(prompt=self.prompt.value, options=self.options))


class KeepForm(PersistentForm):
    """Modal for the name under which options are kept, and for changes to them."""

    kind = "keep"

    def __init__(self, options: str, locale: str) -> None:
        super().__init__(say("preset_keep", locale))
        self.name: discord.ui.TextInput[Any] = discord.ui.TextInput(max_length=NAME, custom_id="name")
        self.options: discord.ui.TextInput[Any] = discord.ui.TextInput(
            style=discord.TextStyle.paragraph, default=options, max_length=1_000, custom_id="options"
        )
        self.add_item(discord.ui.Label(text=say("preset_keep_name", locale), component=self.name))
        self.add_item(discord.ui.Label(text=say("preset_keep_options", locale), component=self.options))

    @classmethod
    async def restored(cls, interaction: Interaction, state: Sequence[str]) -> Self:
        """The modal, which says all by itself."""
        return cls("", locale_of(interaction))

    async def on_submit(self, interaction: discord.Interaction[App]) -> None:  # type: ignore[override]
        """Save the preset."""
        requester = requester_of(interaction)
        saved = await interaction.client.service.presets.save(requester, self.name.value, self.options.value)
        await reply(interaction, saved_text(saved, requester.locale))


async def keep(interaction: Interaction, job_id: int, number: int) -> None:
    """Ask for a name for the settings of a job's pictures."""
    service = interaction.client.service
    job = await service.archive.job(requester_of(interaction), job_id)
    options = await service.presets.options_of(job)
    await KeepForm(options, locale_of(interaction)).open(interaction)


def saved_text(preset: Preset, locale: str) -> str:
    """The confirmation of a saved preset."""
    key = "preset_saved" if preset.own else "preset_saved_server"
    return say(key, locale, name=as_typed(preset.name, NAME), options=as_typed(preset.options, OPTIONS))


def menu_of(presets: Sequence[Preset], locale: str) -> discord.ui.View:
    """The menu that uses one of some presets."""
    options = [
        discord.SelectOption(label=preset.name, value=preset.name, description=preset.options[:100])
        for preset in presets[:MENU]
    ]
    menu: discord.ui.Select[Any] = discord.ui.Select(
        custom_id="reverie-presets", options=options, placeholder=say("preset_menu", locale)
    )
    controls = discord.ui.View(timeout=None)
    controls.add_item(PresetSelect(menu))
    return controls


def shared_buttons(preset: Preset, owner: int, locale: str) -> discord.ui.View:
    """The buttons below a shared preset."""
    controls = discord.ui.View(timeout=None)
    for action, style in (("use", discord.ButtonStyle.primary), ("keep", discord.ButtonStyle.secondary)):
        button: discord.ui.Button[Any] = discord.ui.Button(
            style=style,
            label=say(f"button_preset_{action}", locale),
            custom_id=f"reverie-preset:{action}:{owner}:{preset.name}",
        )
        controls.add_item(PresetButton(action, str(owner), preset.name, button))
    return controls
