"""/styles: named pieces of prompt; everybody sees them, admins add and remove their server's own. Event loop."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.config import MAX_STYLE_CHARACTERS
from bot.frontend.answering import reply
from bot.frontend.app import Interaction
from bot.frontend.asking import asker_of
from bot.frontend.commands.imagine import complete_style
from bot.frontend.messages.render import DESCRIPTION
from bot.frontend.wording import described
from bot.frontend.words import as_typed, within
from bot.texts import say

SHOWN, NAME = 40, 32

styles = app_commands.Group(name="styles", description=described("command_styles"), guild_only=True)


@styles.command(name="list", description=described("command_styles_list"))
async def show(interaction: Interaction) -> None:
    """All styles of the server and the host."""
    asker = asker_of(interaction)
    found = await interaction.client.service.words.styles(asker.guild_id)
    lines = [f"**{as_typed(style.name, NAME)}**: {as_typed(style.text, 80)}" for style in found[:SHOWN]]
    text = within(lines, DESCRIPTION) or say("styles_none", asker.locale)
    await reply(interaction, embed=discord.Embed(title=say("styles_title", asker.locale), description=text))


@styles.command(name="add", description=described("command_styles_add"))
@app_commands.describe(name=described("option_style_name"), text=described("option_style_text"))
async def add(
    interaction: Interaction,
    name: app_commands.Range[str, 1, 32],
    text: app_commands.Range[str, 1, MAX_STYLE_CHARACTERS],
) -> None:
    """Add a style to the server, or replace one."""
    asker = asker_of(interaction)
    style = await interaction.client.service.words.add_style(asker, name, text)
    await reply(
        interaction, say("style_added", asker.locale, name=as_typed(style.name, NAME), text=as_typed(style.text, 900))
    )


@styles.command(name="remove", description=described("command_styles_remove"))
@app_commands.describe(name=described("option_style_name"))
@app_commands.autocomplete(name=complete_style)
async def remove(interaction: Interaction, name: app_commands.Range[str, 1, 100]) -> None:
    """Remove a style of the server."""
    asker = asker_of(interaction)
    await interaction.client.service.words.remove_style(asker, name)
    await reply(interaction, say("style_removed", asker.locale, name=as_typed(name, NAME)))
