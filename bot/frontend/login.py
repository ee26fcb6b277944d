"""Logging in to Discord: a check of a token, and errors of the connection in words for the host. Any event loop."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime

import aiohttp
import discord

from bot.errors import BotError, ConfigError

TIMEOUT_S = 30.0
BAD_TOKEN = 4004
"""Close code of Discord for a connection with an invalid token."""
NOT_YET_VALID, EXPIRED = 9, 10
"""OpenSSL's codes for a certificate outside its time."""


async def try_login(token: str) -> str:
    """Log in with a token and return the bot's name.

    Raises:
        ConfigError: if Discord does not accept the token.
        BotError: if Discord cannot be reached, or does not answer in time.
    """
    try:
        async with asyncio.timeout(TIMEOUT_S), discord.Client(intents=discord.Intents.none()) as client:
            await client.login(token)
            return str(client.user)
    except (discord.DiscordException, aiohttp.ClientError, OSError) as exc:
        raise explained(exc) from exc


def explained(error: Exception) -> BotError:
    """The end of a connection in words for the host; a token reset during use appears as a close code."""
    closed = isinstance(error, discord.ConnectionClosed) and error.code == BAD_TOKEN
    if closed or isinstance(error, discord.LoginFailure):
        return ConfigError("login_failed")
    if isinstance(error, discord.PrivilegedIntentsRequired):
        return ConfigError("intents_missing")
    reason = getattr(error, "certificate_error", error)
    if isinstance(reason, ssl.SSLCertVerificationError) and reason.verify_code in (NOT_YET_VALID, EXPIRED):
        return BotError("clock_and_certificate", date=datetime.now(UTC).date().isoformat(), why=reason.verify_message)
    return BotError("discord_unreachable", why=str(error)[:200] or type(error).__name__)
