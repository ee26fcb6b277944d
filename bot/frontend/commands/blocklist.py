"""/blocklist: words forbidden in a server's prompts. Event loop; for those who manage the server."""

from __future__ import annotations

from discord import app_commands

from bot.config import MAX_RULE_CHARACTERS
from bot.frontend.answering import reply
from bot.frontend.app import Interaction
from bot.frontend.commands.admin import MANAGERS, manager_of
from bot.frontend.commands.imagine import PROMPT_CHARACTERS
from bot.frontend.components import confirm
from bot.frontend.wording import described
from bot.frontend.words import as_typed, within
from bot.texts import say

RULE = MAX_RULE_CHARACTERS
Rule = app_commands.Range[str, 1, MAX_RULE_CHARACTERS]

blocklist = app_commands.Group(
    name="blocklist", description=described("command_blocklist"), guild_only=True, default_permissions=MANAGERS
)


@blocklist.command(name="list", description=described("command_blocklist_list"))
async def show(interaction: Interaction) -> None:
    """List the server's own rules."""
    requester = manager_of(interaction)
    rules = await interaction.client.service.words.blocklist(requester)
    await reply(
        interaction,
        within((as_typed(rule, RULE) for rule in rules), 1_900, " · ") or say("blocklist_empty", requester.locale),
    )


@blocklist.command(name="add", description=described("command_blocklist_add"))
@app_commands.describe(rule=described("option_rule"))
async def add(interaction: Interaction, rule: Rule) -> None:
    """Forbid a word or a phrase."""
    await confirm.add_rule(interaction, rule)


@blocklist.command(name="remove", description=described("command_blocklist_remove"))
@app_commands.describe(rule=described("option_rule"))
async def remove(interaction: Interaction, rule: Rule) -> None:
    """Remove a rule."""
    requester = manager_of(interaction)
    await interaction.client.service.words.remove_block(requester, rule)
    await reply(interaction, say("rule_removed", requester.locale, rule=as_typed(rule, RULE)))


@blocklist.command(name="test", description=described("command_blocklist_test"))
@app_commands.describe(text=described("option_test_text"))
async def test(interaction: Interaction, text: app_commands.Range[str, 1, PROMPT_CHARACTERS]) -> None:
    """Show the rule that forbids a text, if any."""
    requester = manager_of(interaction)
    rule = await interaction.client.service.words.find_block(requester.guild_id, text)
    found = (
        say("rule_none", requester.locale)
        if rule is None
        else say("rule_hit", requester.locale, rule=as_typed(rule, RULE))
    )
    await reply(interaction, found)
