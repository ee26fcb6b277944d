"""Answers to interactions: a job is answered at once, with a real message that is edited from then on. Event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import discord

from bot.frontend import uploads
from bot.frontend.app import Interaction, locale_of
from bot.frontend.asking import check_place, is_hidden, requester_of
from bot.frontend.messages import render as message
from bot.frontend.messages.content import MessageContent
from bot.frontend.messages.discord_errors import TROUBLE
from bot.jobs import Layout
from bot.log import about
from bot.service import Requester, SubmittedJob
from bot.texts import say

DEFER_AFTER_S = 0.3
"""Delay before an interaction is deferred, to show a sign within half a second; Discord expires it after three."""
TAKE_BACK_S = (0.0, 1.0, 4.0, 15.0, 60.0)
"""Pauses before each attempt to remove the answer of a deleted job."""
PRIVATE = "private"
"""Key in an interaction's extras: True if it was deferred privately."""
T = TypeVar("T")
_log = logging.getLogger(__name__)


async def take_on(interaction: Interaction, order: Callable[[Requester], Coroutine[Any, Any, SubmittedJob]]) -> None:
    """Submit a job and answer with the message that will show it.

    The job's row is written before the answer is sent; if the answer does not reach Discord, the job still runs and
    gets a separate message.

    Raises:
        Refused: nothing was queued.
    """
    requester = requester_of(interaction)
    check_place(interaction)
    service = interaction.client.service
    with interaction.client.updater.answering(requester.user_id) as answer:
        submitted = await in_time(interaction, order(requester), private=is_hidden(interaction))
        job = submitted.job
        message_id = await _answered(interaction, submitted)
        token = None if message_id is None else interaction
        interaction.client.updater.follow(job, token, submitted.notes, answer)
        if message_id is None:
            kept = await service.view(job.id) is not None
        else:
            kept = await service.set_message(job.id, requester.channel_id, message_id)
    if not kept:
        await _remove_answer(interaction)


async def in_time(interaction: Interaction, work: Coroutine[Any, Any, T], *, private: bool = False) -> T:
    """Await some work, deferring the interaction if it takes longer than DEFER_AFTER_S."""
    task = asyncio.create_task(work)
    done, _ = await asyncio.wait({task}, timeout=DEFER_AFTER_S)
    if not done and not interaction.response.is_done():
        try:
            interaction.extras[PRIVATE] = private
            await interaction.response.defer(thinking=True, ephemeral=private)
        except TROUBLE as exc:
            _log.info("cannot defer: %r", exc)
    return await task


async def reply(
    interaction: Interaction,
    text: str = "",
    *,
    embed: discord.Embed | None = None,
    files: list[discord.File] | None = None,
    buttons: discord.ui.View | discord.ui.LayoutView | None = None,
) -> None:
    """Answer privately, deferred or not: the one way of every private answer and refusal.

    An answer that was deferred publicly cannot become private. Its "thinking" is finished, so that Discord takes the
    private answer as a new message, and is then removed.

    Raises:
        TooLarge: if Discord does not accept the files.
    """
    uploads.check(interaction, files or [])
    parts = (("content", text[:2_000]), ("embed", embed), ("files", files), ("view", buttons))
    values: dict[str, Any] = {"ephemeral": True} | {name: value for name, value in parts if value}
    if not interaction.response.is_done():
        await interaction.response.send_message(**values)
        return
    thinking = interaction.response.type is discord.InteractionResponseType.deferred_channel_message
    if not thinking or interaction.extras.get(PRIVATE):
        await interaction.followup.send(**values)
        return
    await interaction.edit_original_response(content=say("answered_privately", locale_of(interaction)))
    try:
        await interaction.followup.send(**values)
    finally:
        await interaction.delete_original_response()


async def change_answer(interaction: Interaction, text: str) -> None:
    """Replace a deferred answer by the result of an action, which stands even if Discord cannot be reached."""
    try:
        await interaction.edit_original_response(content=text, view=None)
    except TROUBLE as exc:
        _log.info("the answer could not be sent: %r", exc, extra=about(guild=interaction.guild_id))


async def _remove_answer(interaction: Interaction) -> None:
    """Remove the answer of a job that was deleted while it was being answered."""
    for pause_s in TAKE_BACK_S:
        await asyncio.sleep(pause_s)
        try:
            await interaction.delete_original_response()
        except discord.NotFound:
            return
        except TROUBLE as exc:
            _log.info("the answer of a deleted job is still there: %r", exc, extra=about(guild=interaction.guild_id))
        else:
            return


async def _answered(interaction: Interaction, submitted: SubmittedJob) -> int | None:
    """Send the answer; return its message id, or None if Discord did not receive it."""
    job = submitted.job
    view = await interaction.client.service.view_of_new(job)
    try:
        return await _answer(interaction, message.shown(view, submitted.notes), job.layout)
    except TROUBLE as exc:
        _log.warning("the answer was not confirmed: %r", exc, extra=about(job=job.id, guild=job.guild_id))
        return await _arrived(interaction)


async def _answer(interaction: Interaction, shown: MessageContent, layout: Layout) -> int:
    if interaction.response.is_done():
        return (await interaction.edit_original_response(**shown.edit(layout))).id
    response = await interaction.response.send_message(**shown.message(layout), ephemeral=is_hidden(interaction))
    if response.message_id is None:
        return (await interaction.original_response()).id
    return response.message_id


async def _arrived(interaction: Interaction) -> int | None:
    """The message id of an answer that Discord accepted although the connection was cut before its reply."""
    try:
        return (await interaction.original_response()).id
    except TROUBLE as exc:
        _log.info("the answer did not arrive: %r", exc)
        return None
