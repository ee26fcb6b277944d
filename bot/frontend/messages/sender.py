"""Message sender: writes a job's message by the interaction's token, the bot's own edit or a new message.

Event loop. Errors of discord.py and aiohttp are raised unchanged; see bot.frontend.messages.discord_errors.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import discord

from bot.frontend.app import App, Interaction
from bot.frontend.messages import render as message
from bot.frontend.messages.content import MessageContent
from bot.frontend.messages.discord_errors import TROUBLE, Fault, fault_of, wait_s
from bot.frontend.messages.job_buttons import job_in
from bot.frontend.uploads import limit_in, limit_of
from bot.jobs import Job, JobState
from bot.log import about, new_error_id
from bot.service import Delivery
from bot.service.files.uploads import FILE_BYTES
from bot.texts import Sentence

SEARCHED = 50
"""Number of recent messages searched for one sent by an earlier attempt."""
SKEW_S = 60.0
"""Maximum difference between Discord's clock and ours."""
TOKEN_CALL_S = 20.0
"""Time limit of an edit by the token, including rate limits, for which discord.py would wait indefinitely."""
REMOVAL_TRIES = 4
"""Attempts to remove the message of a deleted job, or to hide a picture."""
_REACHED = (Fault.OTHER, Fault.CLOSED)
_log = logging.getLogger(__name__)


class MessageSender:
    """Sends and edits the messages of jobs."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def progress(self, job: Job, shown: MessageContent, token: Interaction | None) -> bool:
        """Show progress; False if the message was deleted and there is nothing to edit."""
        if job.by_token and (token is None or job.message_id is None):
            return True
        job = await self._placed(job)
        if job.message_id is None:
            await self._record_message(job, await self._send(job, shown, nonce=f"{job.nonce}-q"))
            return True
        edited, error = await self._edit(job, shown, token)
        if edited or error is None:
            return True
        if isinstance(error, discord.NotFound):
            await self._app.service.set_message(job.id, job.channel_id, None)
            return False
        raise error

    async def send(self, job: Job, shown: MessageContent, token: Interaction | None) -> None:
        """Report the end of a job; a failure also in a new message if the old one is gone."""
        error: Exception | None = None
        if job.by_token and (token is None or job.message_id is None):
            return
        job = await self._placed(job)
        if job.message_id is not None:
            edited, error = await self._edit(job, shown, token)
            if edited:
                return
            if error is not None and fault_of(error) is Fault.PASSING:
                raise error
        if job.state is JobState.FAILED:
            await self._record_message(job, await self._send(job, shown, nonce=job.nonce))
        elif error is not None:
            raise error

    async def deliver(self, job: Job, token: Interaction | None) -> bool:
        """Post the finished pictures; False if they could not be posted and the reason was recorded.

        Raises:
            FilesError: if a picture is missing.
        """
        post = self._app.service.post
        delivery = await post.begin(job.id, limit_bytes=self._limit_bytes(job, token))
        if delivery is None:
            return True
        try:
            posted = await self._post(delivery, token)
        except TROUBLE as exc:
            why = await self._explained(job, exc)
            if why is None:
                raise
            return False
        if await post.done(job.id, posted.channel_id, posted.message_id, by_token=posted.by_token) is None:
            await remove_message(self._app, posted)
        return True

    def _limit_bytes(self, job: Job, token: Interaction | None) -> int:
        """Size limit for a file in a job's message; the token can allow more than the bot's own edit."""
        return limit_in(self._app, job.guild_id) if token is None or token.is_expired() else limit_of(token)

    async def _explained(self, job: Job, error: Exception) -> Sentence | None:
        """Record the reason for a failed post; None if it will be retried soon."""
        fault, post = fault_of(error), self._app.service.post
        if fault is Fault.PASSING:
            return None
        if fault is Fault.CLOSED:
            why = Sentence.of("channel_closed", channel=f"<#{job.channel_id}>")
            await post.wait_for_access(job.id, why)
        else:
            error_id = new_error_id()
            gone = fault is Fault.GONE
            why = Sentence.of("channel_gone") if gone else Sentence.of("post_refused", error_id=error_id)
            facts = about(job=job.id, guild=job.guild_id, error_id=error_id)
            _log.error("post refused: %r", error, exc_info=None if gone else error, extra=facts)
            await post.failed(job.id, why)
        return why

    async def _post(self, delivery: Delivery, token: Interaction | None) -> Job:
        """Post by the first way that works; with smaller files or without the prompt if Discord refuses those.

        Returns the job with the channel and message of its pictures.
        """
        job, limit = delivery.job, self._limit_bytes(delivery.job, token)
        shown = message.finished(delivery)
        while True:
            try:
                return await self._write(delivery, shown, token)
            except discord.HTTPException as exc:
                fault = fault_of(exc)
                if fault is Fault.TOO_LARGE and limit > FILE_BYTES // 20:
                    # The person's larger limit does not apply to the bot's own edits.
                    own = limit_in(self._app, job.guild_id)
                    limit = own if limit > own else limit // 2
                    smaller = await self._app.service.post.begin(job.id, limit_bytes=limit)
                    if smaller is None:
                        raise
                    shown = message.finished(smaller)
                elif fault is Fault.MODERATED and shown.lines:
                    shown = message.wordless(shown, job.locale)
                    await self._app.service.post.keep_off_the_web(job.id)
                else:
                    raise

    async def _write(self, delivery: Delivery, shown: MessageContent, token: Interaction | None) -> Job:
        job = await self._placed(delivery.job)
        if job.message_id is not None and await self._edited(job, shown, token):
            return job
        try:
            home = await self._home(job) if job.by_token else job
            if delivery.repeated and (found := await self._find_earlier(home, job.painted_at)) is not None:
                there = replace(home, message_id=found)
                if await self._edited(there, shown, token=None):
                    return there
            return replace(home, message_id=await self._send(home, shown, nonce=job.nonce))
        except discord.HTTPException as exc:
            if not job.by_token or fault_of(exc) is not Fault.CLOSED:
                raise
            # The person accepts no direct messages: the button in the old message fetches the pictures.
            _log.info("no direct message: %r", exc, extra=about(job=job.id))
            return job

    async def _home(self, job: Job) -> Job:
        """The job in its owner's direct messages, where the bot can write."""
        channel = await self._app.create_dm(discord.Object(job.user_id))
        return replace(job, channel_id=channel.id, message_id=None, by_token=False)

    async def _edited(self, job: Job, shown: MessageContent, token: Interaction | None) -> bool:
        """Edit a job's message; False if a new one is needed. Errors that affect new messages too are raised."""
        edited, error = await self._edit(job, shown, token)
        if error is not None and not edited and fault_of(error) not in _REACHED:
            raise error
        return edited

    async def _edit(self, job: Job, shown: MessageContent, token: Interaction | None) -> tuple[bool, Exception | None]:
        """Edit a job's message by the token, else as the bot; return success and the error, if any."""
        error: Exception | None = None
        for own in (False, True):
            if (own and job.by_token) or (not own and token is None):
                continue
            try:
                await (self._edit_own(job, shown) if own else self._edit_by_token(job, shown, token))
                return True, None
            except TROUBLE as exc:
                error = exc
                stuck = not own and isinstance(exc, TimeoutError)
                if fault_of(exc) not in _REACHED and not stuck:
                    break
        return False, error

    async def _edit_own(self, job: Job, shown: MessageContent) -> None:
        channel = channel_of(self._app, job)
        await channel.get_partial_message(job.message_id or 0).edit(**shown.edit(job.layout))

    async def _edit_by_token(self, job: Job, shown: MessageContent, token: Interaction | None) -> None:
        if token is not None:
            async with asyncio.timeout(TOKEN_CALL_S):
                await token.edit_original_response(**shown.edit(job.layout))

    async def _send(self, job: Job, shown: MessageContent, *, nonce: str) -> int:
        channel = channel_of(self._app, job)
        return (await channel.send(**shown.message(job.layout), nonce=nonce)).id

    async def _record_message(self, job: Job, message_id: int) -> None:
        """Store the message id of a job; if the job has just been deleted, remove the message too."""
        if not await self._app.service.set_message(job.id, job.channel_id, message_id):
            await remove_message(self._app, replace(job, message_id=message_id))

    async def _placed(self, job: Job) -> Job:
        """The job with its message id, which was not stored if the process ended just after the answer."""
        if job.message_id is not None or job.by_token:
            return job
        if (found := await self._find_earlier(job, job.created_at)) is None:
            return job
        await self._app.service.set_message(job.id, job.channel_id, found)
        return replace(job, message_id=found)

    async def _find_earlier(self, job: Job, since: float | None) -> int | None:
        """The message with this job's buttons that an earlier attempt sent, if the channel can be searched."""
        channel = channel_of(self._app, job)
        after = datetime.fromtimestamp((since or time.time()) - SKEW_S, UTC)
        me = self._app.user
        try:
            async for found in channel.history(limit=SEARCHED, after=after):
                if me is not None and found.author.id == me.id and job_in(found.components) == job.id:
                    return found.id
        except discord.HTTPException as exc:
            if fault_of(exc) is Fault.PASSING:
                raise
            _log.info("cannot look for an earlier post: %r", exc, extra=about(job=job.id))
        return None


def channel_of(app: App, job: Job) -> discord.PartialMessageable:
    """The channel of a job's message."""
    return app.get_partial_messageable(job.channel_id, guild_id=job.guild_id if job.guild_id > 0 else None)


async def remove_message(app: App, job: Job) -> None:
    """Delete a job's message and its ping from their channel; they stay if Discord does not allow that.

    Where the bot is not in the channel, only the person can delete the message.
    """
    await _change_message(app, job, lambda found: found.delete())
    await _change_message(app, replace(job, message_id=job.ping_id), lambda found: found.delete())


async def replace_message(app: App, job: Job, shown: MessageContent) -> None:
    """Replace the content and all files of a finished job's message; it stays if Discord does not allow that."""
    await _change_message(app, job, lambda found: found.edit(**shown.edit(job.layout)))


async def _change_message(
    app: App, job: Job, change: Callable[[discord.PartialMessage], Coroutine[Any, Any, object]]
) -> None:
    if job.message_id is None or job.by_token:
        return
    message = channel_of(app, job).get_partial_message(job.message_id)
    for tries in range(REMOVAL_TRIES):
        try:
            await change(message)
            return
        except TROUBLE as exc:
            if fault_of(exc) is not Fault.PASSING or tries == REMOVAL_TRIES - 1:
                _log.info("a message stays as it is: %r", exc, extra=about(job=job.id, guild=job.guild_id))
                return
            await asyncio.sleep(wait_s(exc, tries))
