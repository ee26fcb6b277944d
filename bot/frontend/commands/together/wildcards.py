"""/wildcards: lists of words of a server, which prompts name as `__animals__`. Event loop."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.errors import InvalidJobSpec
from bot.frontend.answering import reply
from bot.frontend.app import Interaction
from bot.frontend.asking import requester_of
from bot.frontend.attachments import read
from bot.frontend.commands.imagine import MAX_CHOICES
from bot.frontend.messages.content import DESCRIPTION
from bot.frontend.wording import described
from bot.frontend.words import as_typed, within
from bot.texts import say

FILE_BYTES = 64 * 2**10
SHOWN, NAME = 200, 32

wildcards = app_commands.Group(name="wildcards", description=described("command_wildcards"), guild_only=True)


async def complete_list(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    """Lists of the server whose names hold the typed text."""
    known = await interaction.client.service.wildcards.of(interaction.guild_id or 0)
    hits = [name for name in known if typed.strip("_ ").casefold() in name.casefold()]
    return [app_commands.Choice(name=name, value=name) for name in hits[:MAX_CHOICES]]


@wildcards.command(name="list", description=described("command_wildcards_list"))
async def show(interaction: Interaction) -> None:
    """Show the lists of the server."""
    requester = requester_of(interaction)
    known = await interaction.client.service.wildcards.of(requester.guild_id)
    lines = [
        say(
            "wildcard_line",
            requester.locale,
            name=as_typed(f"__{name}__", NAME + 4),
            count=len(entries),
            entries=as_typed(", ".join(entries), SHOWN),
        )
        for name, entries in known.items()
    ]
    text = within(lines, DESCRIPTION) or say("wildcards_none", requester.locale)
    await reply(interaction, embed=discord.Embed(title=say("wildcards_title", requester.locale), description=text))


@wildcards.command(name="save", description=described("command_wildcards_save"))
@app_commands.describe(
    name=described("option_wildcard_name"),
    entries=described("option_wildcard_entries"),
    file=described("option_wildcard_file"),
)
@app_commands.autocomplete(name=complete_list)
async def save(
    interaction: Interaction,
    name: app_commands.Range[str, 1, 40],
    entries: app_commands.Range[str, 1, 6_000] | None = None,
    file: discord.Attachment | None = None,
) -> None:
    """Add or replace a list of the server."""
    requester, text = requester_of(interaction), entries or ""
    requester.must_manage()
    if file is not None:
        if file.size > FILE_BYTES:
            raise InvalidJobSpec("batch_file", field="file", most=FILE_BYTES // 2**10)
        async with interaction.client.slots.hold(1):
            text = (await read(interaction, file, "file")).decode("utf-8-sig", "replace")
    saved = await interaction.client.service.wildcards.save(requester, name, text)
    shown = as_typed(f"__{name.strip().strip('_')}__", NAME + 4)
    await reply(interaction, say("wildcard_saved", requester.locale, name=shown, count=len(saved)))


@wildcards.command(name="delete", description=described("command_wildcards_delete"))
@app_commands.describe(name=described("option_wildcard_name"))
@app_commands.autocomplete(name=complete_list)
async def delete(interaction: Interaction, name: app_commands.Range[str, 1, 40]) -> None:
    """Delete a list of the server."""
    requester = requester_of(interaction)
    await interaction.client.service.wildcards.delete(requester, name)
    shown = as_typed(f"__{name.strip().strip('_')}__", NAME + 4)
    await reply(interaction, say("wildcard_deleted", requester.locale, name=shown))
