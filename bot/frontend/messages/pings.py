"""Pings: a short message that tells the owner of a finished job, and nobody else. Event loop.

An edited message pings nobody, so this is a new one: a reply to the job's message, or a private answer.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime

import discord

from bot.frontend.app import App, Interaction
from bot.frontend.messages.discord_errors import TROUBLE, Fault, fault_of
from bot.frontend.messages.job_buttons import job_button
from bot.frontend.messages.render import link_to
from bot.frontend.messages.sender import SEARCHED, SKEW_S, channel_of, remove_message
from bot.jobs import Job
from bot.log import about
from bot.texts import say

_log = logging.getLogger(__name__)


async def ping(app: App, job: Job, token: Interaction | None, *, repeated: bool) -> None:
    """Ping the owner of a finished job once; `repeated`: an earlier attempt may have reached Discord.

    Raises:
        discord.DiscordException, aiohttp.ClientError, OSError: if the message could not be sent.
    """
    post = app.service.post
    if job.private and token is not None:
        # Written first: a private answer cannot be found again after a crash.
        await post.pinged(job.id, None)
        if await _answered_privately(job, token):
            return
    ping_id = await _earlier(app, job) if repeated else None
    if ping_id is None:
        ping_id = await _replied(app, job)
    if not await post.pinged(job.id, ping_id):
        await remove_message(app, replace(job, ping_id=ping_id))


async def _answered_privately(job: Job, token: Interaction) -> bool:
    buttons = discord.ui.View(timeout=None)
    buttons.add_item(job_button("show", job.id, job.locale))
    try:
        await token.followup.send(_text(job), view=buttons, ephemeral=True, allowed_mentions=_only(job))
    except TROUBLE as exc:
        _log.info("no private ping: %r", exc, extra=about(job=job.id))
        return False
    return True


async def _replied(app: App, job: Job) -> int:
    channel = channel_of(app, job)
    reference = discord.MessageReference(
        message_id=job.message_id or 0,
        channel_id=job.channel_id,
        guild_id=job.guild_id if job.guild_id > 0 else None,
        fail_if_not_exists=False,
    )
    nonce, only = f"{job.nonce}-p", _only(job)
    try:
        return (await channel.send(_text(job), reference=reference, nonce=nonce, allowed_mentions=only)).id
    except discord.HTTPException as exc:
        if fault_of(exc) is not Fault.OTHER:
            raise
        # Discord refuses replies where the bot may not read the history.
        return (await channel.send(_text(job), nonce=nonce, allowed_mentions=only)).id


async def _earlier(app: App, job: Job) -> int | None:
    """The ping that an earlier attempt sent, if the channel can be searched."""
    channel = channel_of(app, job)
    after, me = datetime.fromtimestamp((job.ended_at or job.created_at) - SKEW_S, UTC), app.user
    try:
        async for found in channel.history(limit=SEARCHED, after=after):
            if me is not None and found.author.id == me.id and found.content == _text(job):
                return found.id
    except discord.HTTPException as exc:
        if fault_of(exc) is Fault.PASSING:
            raise
        _log.info("cannot look for an earlier ping: %r", exc, extra=about(job=job.id))
    return None


def _text(job: Job) -> str:
    key = "ping_done_film" if job.film_s else "ping_done"
    return say(key, job.locale, user=f"<@{job.user_id}>", count=job.count, link=link_to(job) or f"#{job.id}")


def _only(job: Job) -> discord.AllowedMentions:
    return discord.AllowedMentions(everyone=False, roles=False, users=[discord.Object(job.user_id)], replied_user=False)
