"""Deletes the data of servers that the bot was removed from while it was off. Runs after each connection.

At the start of a connection, Discord lists the bot's servers, including those hidden by an outage. A missing server is
looked up separately and forgotten only if Discord answers that the bot is not in it. Event loop.
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
