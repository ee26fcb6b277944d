"""Changes in servers while the bot was off: it was removed, or messages were deleted. Runs after each connection.

At the start of a connection, Discord lists the bot's servers, including those hidden by an outage. A missing server is
looked up separately and forgotten only if Discord answers that the bot is not in it. The newest messages behind a web
gallery are looked for in the history of their channels. Event loop.
"""

from __future__ import annotations

import logging

import discord

from bot.errors import StoreError
from bot.frontend.app import App
from bot.frontend.messages.discord_errors import TROUBLE
from bot.log import about

APPLICATION_NOTE = "application"
UNKNOWN_GUILD, MISSING_ACCESS = 10_004, 50_001
"""Discord's error codes for a server that was deleted or that the bot is not in."""
UNKNOWN_CHANNEL = 10_003
HISTORY = 500
"""Messages of a channel that are read, by at most 100 in a call, to look for those of pictures."""
_log = logging.getLogger(__name__)


async def forget_left(app: App) -> None:
    """Forget every server with stored data that the bot has left.

    With the token of a different application, nothing is forgotten: it is in other servers.
    """
    try:
        await _forget_left(app)
    except StoreError as exc:
        _log.warning("not looked for servers that removed the bot: %s", exc)


async def _forget_left(app: App) -> None:
    notes, ours = app.service.store.figures, str(app.application_id)
    before = await notes.note(APPLICATION_NOTE)
    if before != ours:
        await notes.put_note(APPLICATION_NOTE, ours)
        return
    known = await app.service.store.guilds.known()
    for guild_id in sorted(known - {guild.id for guild in app.guilds}):
        if await _has_left(app, guild_id):
            _log.info("removed from a server while the bot was off", extra=about(guild=guild_id))
            await app.service.guild_gone(guild_id)


async def _has_left(app: App, guild_id: int) -> bool:
    """True if Discord confirms that the bot has left; False if it gives no answer."""
    try:
        await app.fetch_guild(guild_id, with_counts=False)
    except (discord.NotFound, discord.Forbidden) as exc:
        return exc.code in (UNKNOWN_GUILD, MISSING_ACCESS)
    except TROUBLE as exc:
        _log.info("it is not known whether the bot is in a server: %r", exc, extra=about(guild=guild_id))
    return False


async def forget_deleted(app: App) -> None:
    """Take pictures off the web whose messages were deleted while the bot was off, as far back as HISTORY reaches."""
    if not app.config.gallery.port:
        return
    try:
        for guild_id in await app.service.web_gallery.linked():
            await _forget_deleted(app, guild_id)
    except StoreError as exc:
        _log.warning("not looked for deleted messages: %s", exc)


async def _forget_deleted(app: App, guild_id: int) -> None:
    guild, places = app.get_guild(guild_id), dict[int, set[int]]()
    for place in await app.service.web_gallery.messages(guild_id):
        # Without the permission Discord's answer is an empty history.
        if guild is not None and _may_read(guild, place.public_channel_id):
            places.setdefault(place.channel_id, set()).add(place.message_id)
    for channel_id, ids in places.items():
        channel = app.get_partial_messageable(channel_id, guild_id=guild_id)
        try:
            newest = discord.Object(max(ids) + 1)
            seen = {message.id async for message in channel.history(limit=HISTORY, before=newest)}
        except discord.NotFound as exc:
            if exc.code == UNKNOWN_CHANNEL:
                await app.service.thread_gone(guild_id, channel_id)
            continue
        except TROUBLE as exc:
            _log.info("a history could not be read: %r", exc, extra=about(guild=guild_id))
            continue
        oldest = min(seen) if len(seen) == HISTORY else 0
        if gone := {message_id for message_id in ids - seen if message_id > oldest}:
            _log.info("messages were deleted while the bot was off", extra=about(guild=guild_id, messages=len(gone)))
            await app.service.messages_gone(guild_id, gone)


def _may_read(guild: discord.Guild, channel_id: int) -> bool:
    channel = guild.get_channel(channel_id)
    if channel is None:
        return False
    granted = channel.permissions_for(guild.me)
    return granted.view_channel and granted.read_message_history
