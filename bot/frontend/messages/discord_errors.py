"""Classification of failed calls to Discord. Pure; event loop.

discord.py does not retry a connection that is cut during an edit: the bot receives aiohttp's errors and OSError as well
as HTTPException.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto

import aiohttp
import discord

TROUBLE = (discord.DiscordException, aiohttp.ClientError, OSError, asyncio.TimeoutError)
"""All errors of a failed call to Discord."""

_GONE_CHANNEL = (10003, 10004)
_NO_ACCESS = (50001, 50013, 50083, 40333, 160005)
_TOO_LARGE, _MODERATED = 40005, (200000, 200001)


class Fault(Enum):
    """Kinds of failures, by their treatment."""

    PASSING = auto()
    """Temporary: retry later."""
    GONE = auto()
    """The channel or server no longer exists."""
    CLOSED = auto()
    """The bot currently may not write there."""
    TOO_LARGE = auto()
    """The files are too large; smaller ones may pass."""
    MODERATED = auto()
    """Discord's moderation blocks the text."""
    OTHER = auto()
    """This way is closed: the message is gone, the token has expired, or the request is refused."""


def fault_of(error: BaseException) -> Fault:
    """Classify the error of a call."""
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
    """Seconds until the next attempt: Discord's figure, else growing pauses up to a minute."""
    if isinstance(error, discord.RateLimited):
        return min(300.0, error.retry_after)
    return float(min(60, 2 ** min(tries, 6)))
