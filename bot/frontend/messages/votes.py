"""The messages of votes: one for each round, with buttons for its pictures and words and the time that is left.

Event loop. The state is read from the database at intervals, so that a vote goes on after a restart as before it. A
button's only state is its custom id, `reverie-vote:ACTION:VOTE:VALUE`.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from dataclasses import replace
from typing import Any, Self, cast

import discord

from bot.errors import BotError, Refused
from bot.frontend.app import App
from bot.frontend.messages.content import PlainContent
from bot.frontend.messages.discord_errors import TROUBLE, Fault, fault_of, wait_s
from bot.frontend.messages.render import SHOWN_PROMPT, link_to
from bot.frontend.words import as_typed, said_plainly
from bot.jobs import Job, JobState, Vote
from bot.log import about
from bot.service import Ballot, Result
from bot.texts import say
from bot.waiting import FOR_A_TIME, ExternalWait

LOOK_S = 3.0
"""Interval between two looks at a vote."""
LABEL = 80
_log = logging.getLogger(__name__)


class VoteButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=r"reverie-vote:(?P<action>picture|words|end|stop):(?P<vote>\d{1,18}):(?P<value>\d)",
):
    """Button of a vote; it passes every press to `App.press_vote`."""

    def __init__(self, action: str, vote_id: int, value: int, item: discord.ui.Button[Any]) -> None:
        super().__init__(item)
        self.action, self.vote_id, self.value = action, vote_id, value

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """The button that was pressed."""
        button = cast("discord.ui.Button[Any]", item)
        return cls(match["action"], int(match["vote"]), int(match["value"]), button)

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Pass the press to `App.press_vote`."""
        await interaction.client.press_vote(interaction, self.action, self.vote_id, self.value)


def round_open(ballot: Ballot, job: Job) -> PlainContent:
    """Content while a round takes votes; the labels count them."""
    vote, locale = ballot.vote, job.locale
    text = say(
        "vote_open",
        locale,
        number=vote.round,
        of=vote.rounds,
        until=f"<t:{round(vote.ends_at or 0)}:R>",
        prompt=as_typed(vote.prompt, SHOWN_PROMPT),
    )
    if vote.role_id is not None:
        text += "\n" + say("vote_only", locale, role=f"<@&{vote.role_id}>")
    buttons = discord.ui.View(timeout=None)
    for number in [item.number for item in ballot.variants]:
        buttons.add_item(_button("picture", vote, number, f"{number}{_votes(ballot.pictures.get(number, 0))}", row=0))
    if vote.words:
        for number, words in enumerate((say("vote_no_words", locale), *vote.words)):
            label = f"{words}{_votes(ballot.words.get(number, 0))}"
            buttons.add_item(_button("words", vote, number, label, row=1))
    for action in ("end", "stop"):
        buttons.add_item(_button(action, vote, 0, say(f"button_vote_{action}", locale), row=2))
    return PlainContent(text, buttons)


def round_closed(result: Result, locale: str) -> PlainContent:
    """Content after a round: the picture that goes on, with its votes and words."""
    ballot, vote = result.ballot, result.ballot.vote
    votes = ballot.pictures.get(result.winner, 0)
    key = "vote_closed" if sum(ballot.pictures.values()) else "vote_closed_without"
    lines = [say(key, locale, number=vote.round, of=vote.rounds, picture=result.winner, count=votes)]
    if result.added:
        lines.append(say("vote_added", locale, words=as_typed(result.added, SHOWN_PROMPT)))
    if result.reason is not None:
        lines.append(say("vote_broken", locale, reason=said_plainly(result.reason, locale)))
    elif vote.round >= vote.rounds:
        lines.append(say("vote_finished", locale))
    return PlainContent("\n".join(lines))


class VoteMessages:
    """The messages of all votes under way."""

    def __init__(self, app: App, external_wait: ExternalWait) -> None:
        self._app, self._wait = app, external_wait
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def recover(self) -> None:
        """Go on with all votes, after a start."""
        for vote in await self._app.service.votes.under_way():
            self.follow(vote.id)

    def follow(self, vote_id: int) -> None:
        """Lead a vote from round to round until its end."""
        task = self._tasks[vote_id] = asyncio.create_task(self._follow(vote_id), name=f"vote {vote_id}")
        task.add_done_callback(lambda _: self._tasks.pop(vote_id, None))

    async def close(self) -> None:
        """Stop leading them."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, vote_id: int) -> None:
        votes, tries = self._app.service.votes, 0
        while True:
            try:
                if (vote := await votes.get(vote_id)) is None:
                    return
                await self._go_on(vote)
                pause_s, tries = LOOK_S, 0
            except BotError:  # The database may accept it later.
                _log.exception("a vote waits", extra=about(vote=vote_id))
                pause_s, tries = wait_s(TimeoutError(), tries), tries + 1
            except TROUBLE as exc:
                if fault_of(exc) is not Fault.PASSING:
                    # Nobody can vote where the bot may not write.
                    _log.info("a vote ends: %r", exc, extra=about(vote=vote_id))
                    await votes.abandon(vote_id)
                pause_s, tries = wait_s(exc, tries), tries + 1
            await self._wait(asyncio.sleep(pause_s), FOR_A_TIME)

    async def _go_on(self, vote: Vote) -> None:
        """Open the round once its variants are posted, and close it once its time is over."""
        votes = self._app.service.votes
        if await votes.failed(vote):
            return
        job = await votes.job(vote)
        if vote.ends_at is None:
            if job is not None and job.state is JobState.DONE:
                await self._open(vote, job)
        elif time.time() >= vote.ends_at:
            try:
                result = await votes.close_round(vote)
            except Refused as exc:
                _log.info("a round is closed later: %s", exc, extra=about(vote=vote.id))
                return
            try:
                await self._edit(vote, round_closed(result, "en" if job is None else job.locale))
            except TROUBLE as exc:
                _log.info("the end of a round could not be shown: %r", exc, extra=about(vote=vote.id))

    async def _open(self, vote: Vote, job: Job) -> None:
        """Send the message of a round, and start its time."""
        ends_at = time.time() + vote.seconds
        shown = round_open(await self._app.service.votes.ballot(replace(vote, ends_at=ends_at)), job)
        channel = self._app.get_partial_messageable(vote.channel_id, guild_id=vote.guild_id)
        nonce, link = f"reverie-v{vote.id}-{vote.round}", link_to(job)
        text = shown.content if link is None else f"{shown.content}\n{link}"
        sent = await channel.send(text, view=shown.buttons or discord.utils.MISSING, nonce=nonce)
        await self._app.service.votes.opened(vote, sent.id, ends_at)

    async def _edit(self, vote: Vote, shown: PlainContent) -> None:
        channel = self._app.get_partial_messageable(vote.channel_id, guild_id=vote.guild_id)
        await channel.get_partial_message(vote.message_id or 0).edit(content=shown.content, view=shown.buttons)


def _button(action: str, vote: Vote, value: int, label: str, *, row: int) -> VoteButton:
    styles = {"picture": discord.ButtonStyle.primary, "stop": discord.ButtonStyle.danger}
    item: discord.ui.Button[Any] = discord.ui.Button(
        style=styles.get(action, discord.ButtonStyle.secondary),
        label=label[:LABEL],
        custom_id=f"reverie-vote:{action}:{vote.id}:{value}",
        row=row,
    )
    return VoteButton(action, vote.id, value, item)


def _votes(count: int) -> str:
    return f" · {count}" if count else ""
