"""Presses on the buttons of a vote: counted, or the round or the vote ended. Event loop; the service checks rights."""

from __future__ import annotations

from bot.errors import NotFound
from bot.frontend.answering import reply
from bot.frontend.app import Interaction
from bot.frontend.asking import requester_of
from bot.frontend.errors import errors_shown
from bot.frontend.messages.votes import round_open
from bot.texts import say


async def press(interaction: Interaction, action: str, vote_id: int, value: int) -> None:
    """Run the action of a vote's button, or explain a refusal."""
    async with errors_shown(interaction):
        requester, votes = requester_of(interaction), interaction.client.service.votes
        if action == "end":
            await votes.end_round(requester, vote_id)
            await reply(interaction, say("vote_round_ended", requester.locale))
        elif action == "stop":
            vote = await votes.stop(requester, vote_id)
            text = say(
                "vote_stopped", requester.locale, user=f"<@{requester.user_id}>", number=vote.round, of=vote.rounds
            )
            await interaction.response.edit_message(content=text, view=None)
        else:
            ballot = await votes.cast(requester, vote_id, action, value)
            job = await votes.job(ballot.vote)
            if job is None:
                raise NotFound("vote_ended")
            await interaction.response.edit_message(view=round_open(ballot, job).buttons)
