"""/help, /about and /privacy: usage, models, and personal data. Event loop."""

from __future__ import annotations

import asyncio
import json
import zipfile
from io import BytesIO
from typing import Any

import discord
from discord import app_commands

from bot.frontend.answering import change_answer, in_time, reply
from bot.frontend.app import Interaction, locale_of
from bot.frontend.asking import requester_of
from bot.frontend.components.persistent import PersistentButton
from bot.frontend.errors import errors_shown
from bot.frontend.messages.sender import remove_message
from bot.frontend.uploads import limit_of
from bot.frontend.wording import described
from bot.texts import say
from generator import __version__


@app_commands.command(name="help", description=described("command_help"))
async def show_help(interaction: Interaction) -> None:
    """Show how to use the bot."""
    locale = locale_of(interaction)
    keys = ("help_text", "help_people", *(("help_alone",) if interaction.client.config.for_everybody else ()))
    text = "\n".join(say(key, locale) for key in keys)
    await reply(interaction, embed=discord.Embed(title=say("help_title", locale), description=text))


@app_commands.command(name="about", description=described("command_about"))
async def about(interaction: Interaction) -> None:
    """Show the version and the models."""
    locale = locale_of(interaction)
    text = say("about_text", locale, version=__version__, models=interaction.client.config.model_name)
    await reply(interaction, embed=discord.Embed(title="Reverie", description=text))


@app_commands.command(name="privacy", description=described("command_privacy"))
@app_commands.guild_only()
async def privacy(interaction: Interaction) -> None:
    """Show the stored data, with buttons to export or delete them."""
    requester = requester_of(interaction)
    days = await interaction.client.service.guilds.retention_days(requester.guild_id)
    kept = say("privacy_days" if days else "privacy_ever", requester.locale, count=days)
    config, gallery = interaction.client.config, interaction.client.service.web_gallery
    others = "privacy_web" if config.gallery.port and await gallery.exists(requester.guild_id) else "privacy_others"
    buttons = discord.ui.View(timeout=None)
    buttons.add_item(own_button("export", requester.locale, discord.ButtonStyle.secondary))
    buttons.add_item(own_button("forget", requester.locale, discord.ButtonStyle.danger))
    await reply(
        interaction,
        say("privacy_text", requester.locale, kept=kept, others=say(others, requester.locale)),
        buttons=buttons,
    )


class OwnButton(PersistentButton, template=r"reverie-own:(?P<action>export|forget|sure)"):
    """Button to export or delete one's own data."""

    def __init__(self, action: str, item: discord.ui.Button[Any]) -> None:
        super().__init__(item)
        self.action = action

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Export, ask for confirmation, or delete."""
        async with errors_shown(interaction):
            await {"export": _export, "forget": _ask, "sure": _forget}[self.action](interaction)


def own_button(action: str, locale: str, style: discord.ButtonStyle) -> OwnButton:
    """A button of /privacy."""
    button: discord.ui.Button[Any] = discord.ui.Button(
        style=style, label=say(f"button_own_{action}", locale), custom_id=f"reverie-own:{action}"
    )
    return OwnButton(action, button)


async def _export(interaction: Interaction) -> None:
    requester = requester_of(interaction)
    work = interaction.client.service.personal_data.export_mine(requester, limit_bytes=limit_of(interaction))
    path = await in_time(interaction, work, private=True)
    try:
        data = await asyncio.to_thread(path.read_bytes)
    finally:
        await asyncio.to_thread(path.unlink, missing_ok=True)
    text = say("exported", requester.locale)
    if left_out := await asyncio.to_thread(_left_out, data):
        text += " " + say("exported_in_part", requester.locale, count=left_out)
    await reply(interaction, text, files=[discord.File(BytesIO(data), "reverie-export.zip")])


def _left_out(export: bytes) -> int:
    """Number of files left out of an export for lack of room."""
    with zipfile.ZipFile(BytesIO(export)) as archive:
        return len(json.loads(archive.read("data.json"))["left_out"])


async def _ask(interaction: Interaction) -> None:
    locale = locale_of(interaction)
    buttons = discord.ui.View(timeout=None)
    buttons.add_item(own_button("sure", locale, discord.ButtonStyle.danger))
    await reply(interaction, say("forget_sure", locale), buttons=buttons)


async def _forget(interaction: Interaction) -> None:
    requester, people = requester_of(interaction), interaction.client.service.personal_data
    await interaction.response.defer()
    # Messages of unfinished jobs would otherwise look unfinished forever; finished pictures stay posted.
    messages = {}
    for job in await people.unsettled(requester):
        await remove_message(interaction.client, job)
        messages[job.id] = job.message_id
    deleted = await people.delete_mine(requester)
    for job in deleted:
        unsettled = job.id in messages or not (job.state.ended and job.told)
        if unsettled and job.message_id != messages.get(job.id):
            await remove_message(interaction.client, job)
    await change_answer(interaction, say("forgotten", locale_of(interaction), count=len(deleted)))
