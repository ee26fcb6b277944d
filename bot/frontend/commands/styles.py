"""/styles: named prompt snippets; visible to all, added and removed by a server's admins. Event loop."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.config import MAX_STYLE_CHARACTERS
from bot.frontend.answering import reply
from bot.frontend.app import Interaction
from bot.frontend.asking import requester_of
from bot.frontend.commands.imagine import complete_style
from bot.frontend.messages.render import DESCRIPTION
from bot.frontend.wording import described
from bot.frontend.words import as_typed, within
from bot.texts import say

SHOWN, NAME = 40, 32

styles = app_commands.Group(name="styles", description=described("command_styles"), guild_only=True)


@styles.command(name="list", description=described("command_styles_list"))
async def show(interaction: Interaction) -> None:
    """List all styles of the server and the host."""
    requester = requester_of(interaction)
    found = await interaction.client.service.words.styles(requester.guild_id)
    lines = [f"**{as_typed(style.name, NAME)}**: {as_typed(style.text, 80)}" for style in found[:SHOWN]]
    text = within(lines, DESCRIPTION) or say("styles_none", requester.locale)
    await reply(interaction, embed=discord.Embed(title=say("styles_title", requester.locale), description=text))


@styles.command(name="add", description=described("command_styles_add"))
@app_commands.describe(name=described("option_style_name"), text=described("option_style_text"))
async def add(
    interaction: Interaction,
    name: app_commands.Range[str, 1, 32],
    text: app_commands.Range[str, 1, MAX_STYLE_CHARACTERS],
) -> None:
    """Add or replace a style of the server."""
    requester = requester_of(interaction)
    style = await interaction.client.service.words.add_style(requester, name, text)
    await reply(
        interaction,
        say("style_added", requester.locale, name=as_typed(style.name, NAME), text=as_typed(style.text, 900)),
    )


@styles.command(name="remove", description=described("command_styles_remove"))
@app_commands.describe(name=described("option_style_name"))
@app_commands.autocomplete(name=complete_style)
async def remove(interaction: Interaction, name: app_commands.Range[str, 1, 100]) -> None:
    """Remove a style of the server."""
    requester = requester_of(interaction)
    await interaction.client.service.words.remove_style(requester, name)
    await reply(interaction, say("style_removed", requester.locale, name=as_typed(name, NAME)))
