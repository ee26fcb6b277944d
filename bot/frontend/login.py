"""Check of a token with Discord, without connecting the bot. Any event loop."""

from __future__ import annotations

import asyncio

import aiohttp
import discord

from bot.errors import BotError, ConfigError

TIMEOUT_S = 30.0


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
    except discord.LoginFailure as exc:
        raise ConfigError("login_failed") from exc
    except (discord.DiscordException, aiohttp.ClientError, OSError) as exc:
        raise BotError("discord_unreachable", why=str(exc)[:200] or type(exc).__name__) from exc
