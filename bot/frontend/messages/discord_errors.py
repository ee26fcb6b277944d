"""What a failed call to Discord means for a message. Pure; event loop.

discord.py does not retry a connection that is cut during an edit: the bot sees aiohttp's errors and OSError as well as
HTTPException.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto

import aiohttp
import discord

TROUBLE = (discord.DiscordException, aiohttp.ClientError, OSError, asyncio.TimeoutError)
"""All that a call to Discord raises when something went wrong on the way."""

_GONE_CHANNEL = (10003, 10004)
_NO_ACCESS = (50001, 50013, 50083, 40333, 160005)
_TOO_LARGE, _MODERATED = 40005, (200000, 200001)


class Fault(Enum):
    """What to do about it."""

    PASSING = auto()
    """Try the same again later."""
    GONE = auto()
    """Channel or server are no more."""
    CLOSED = auto()
    """The bot may not write there, for now."""
    TOO_LARGE = auto()
    """With smaller files it may pass."""
    MODERATED = auto()
    """Discord's moderation does not let the words pass."""
    OTHER = auto()
    """Not in this way: the message is gone, the token is dead, the request is refused."""


def fault_of(error: BaseException) -> Fault:
    """What an error of a call means."""
    if isinstance(error, discord.RateLimited) or not isinstance(error, discord.HTTPException):
        return Fault.PASSING
    if error.status >= 500 or error.status == 429 or error.code in (30046, 130000):
        return Fault.PASSING
    if error.code in _GONE_CHANNEL:
        return Fault.GONE
    if error.status == 413 or error.code == _TOO_LARGE:
        return Fault.TOO_LARGE
    if error.code in _MODERATED:
        return Fault.MODERATED
    if error.code in _NO_ACCESS or error.status == 403:
        return Fault.CLOSED
    return Fault.OTHER


def wait_s(error: BaseException, tries: int) -> float:
    """Seconds until it is worth trying again: what Discord says, else longer each time, up to a minute."""
    if isinstance(error, discord.RateLimited):
        return min(300.0, error.retry_after)
    return float(min(60, 2 ** min(tries, 6)))
