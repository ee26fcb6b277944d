"""/people: people who may not ask for pictures in a server. Event loop; for those who manage it."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.frontend.answering import reply
from bot.frontend.app import Interaction
from bot.frontend.asking import requester_of
from bot.frontend.commands.admin import MANAGERS, manager_of
from bot.frontend.components import confirm
from bot.frontend.messages.content import DESCRIPTION
from bot.frontend.wording import described
from bot.frontend.words import within
from bot.texts import say

people = app_commands.Group(
    name="people", description=described("command_people"), guild_only=True, default_permissions=MANAGERS
)


@people.command(name="list", description=described("command_people_list"))
async def show(interaction: Interaction) -> None:
    """List the blocked people."""
    requester = manager_of(interaction)
    found = await interaction.client.service.guilds.blocked_people(requester.guild_id)
    lines = (f"<@{user_id}> · <t:{round(at)}:D>" for user_id, at in found.items())
    text = within(lines, DESCRIPTION) or say("people_none", requester.locale)
    title = say("people_title", requester.locale, count=len(found))
    await reply(interaction, embed=discord.Embed(title=title, description=text))


@people.command(name="block", description=described("command_people_block"))
@app_commands.describe(person=described("option_person_block"))
async def block(interaction: Interaction, person: discord.User) -> None:
    """Block a person."""
    await confirm.block_person(interaction, person.id)


@people.command(name="unblock", description=described("command_people_unblock"))
@app_commands.describe(person=described("option_person_unblock"))
async def unblock(interaction: Interaction, person: discord.User) -> None:
    """Lift the block of a person."""
    requester = requester_of(interaction)
    await interaction.client.service.guilds.unblock_person(requester, person.id)
    await reply(interaction, say("person_is_free", requester.locale, person=f"<@{person.id}>"))
