"""/vote: a picture that the channel steers. Event loop."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.frontend.answering import take_on
from bot.frontend.app import Interaction
from bot.frontend.commands.imagine import PROMPT_CHARACTERS, complete_prompt
from bot.frontend.wording import described
from bot.service import JobSpec, Requester, SubmittedJob

BETWEEN = ";"
"""Separates the words to choose from."""
MOST_ROUNDS, MOST_MINUTES = 6, 1_440


@app_commands.command(name="vote", description=described("command_vote"))
@app_commands.describe(
    prompt=described("option_prompt"),
    rounds=described("option_vote_rounds"),
    minutes=described("option_vote_minutes"),
    words=described("option_vote_words"),
    voters=described("option_vote_voters"),
    steps=described("option_vote_steps"),
)
@app_commands.autocomplete(prompt=complete_prompt)
@app_commands.guild_only()
async def vote(
    interaction: Interaction,
    prompt: app_commands.Range[str, 1, PROMPT_CHARACTERS],
    rounds: app_commands.Range[int, 1, MOST_ROUNDS] = 3,
    minutes: app_commands.Range[int, 1, MOST_MINUTES] = 5,
    words: app_commands.Range[str, 1, 300] = "",
    voters: discord.Role | None = None,
    steps: app_commands.Range[int, 1, 5_000] | None = None,
) -> None:
    """Submit the variants of the first round, and lead the vote from then on."""
    spec = JobSpec(prompt=prompt, settings={} if steps is None else {"steps": steps})
    votes = interaction.client.service.votes

    async def order(requester: Requester) -> SubmittedJob:
        submitted, begun = await votes.start(
            requester,
            spec,
            rounds=rounds,
            seconds=60 * minutes,
            words=words.split(BETWEEN),
            role_id=None if voters is None else voters.id,
        )
        interaction.client.votes.follow(begun.id)
        return submitted

    await take_on(interaction, order)
