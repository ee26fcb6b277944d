"""Attachments: fetched from Discord's hosts only, bounded in size and time. Event loop.

The address of an attachment comes from Discord, that of an embed possibly from anyone. Both are restricted to Discord,
so that nobody can send requests into this machine's own network: scheme, host and port must be exactly those of
Discord's files, redirects are not followed, and endless responses are abandoned.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import aiohttp
import discord
from yarl import URL

from bot.errors import InvalidJobSpec
from bot.frontend.app import Interaction
from bot.frontend.messages.discord_errors import TROUBLE

MAX_BYTES = 20 * 2**20
FETCH_S, STILL_S = 30.0, 10.0
"""Time limits in seconds for a whole file and for its next part."""
MEDIA = "https://media.discordapp.net"
"""Discord's second host for files; the first is the one that discord.py uses for avatars."""
PATHS = ("/attachments/", "/ephemeral-attachments/")
AT_ONCE = 10
"""Maximum files in memory at any time, for all people: 200 MiB at most; no command takes more."""
_PART_BYTES = 2**16


class AttachmentSlots:
    """Limits the files in memory to AT_ONCE; further callers wait in order."""

    def __init__(self) -> None:
        self._turn, self._free = asyncio.Lock(), asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def hold(self, files: int) -> AsyncIterator[None]:
        """Hold slots for `files` files, at most AT_ONCE, from before the fetch until they are no longer needed.

        With 0 files, this does not wait.
        """
        held = 0
        try:
            # One caller at a time, so that no two wait for each other's slots.
            async with self._turn if files else nullcontext():
                while held < files:
                    await self._free.acquire()
                    held += 1
            yield
        finally:
            for _ in range(held):
                self._free.release()


async def read(interaction: Interaction, attachment: discord.Attachment, field: str) -> bytes:
    """The bytes of an attachment; the caller must hold a slot. `field` is its name for the person.

    Raises:
        InvalidJobSpec: if it is too large or cannot be read.
    """
    return await read_address(interaction, attachment.url, field, attachment.size)


async def read_address(interaction: Interaction, address: str, field: str, size: int = 0) -> bytes:
    """The bytes of a file on Discord by its address, like `read`; `size` is Discord's figure, if known.

    Raises:
        InvalidJobSpec: if it is too large or cannot be read.
    """
    try:
        data = b"" if size > MAX_BYTES else await interaction.client.fetch(address)
    except (*TROUBLE, ValueError) as exc:
        raise InvalidJobSpec("attachment_unreadable", field=field, name=field) from exc
    if max(size, len(data)) > MAX_BYTES:
        raise InvalidJobSpec("attachment_too_large", field=field, name=field, most=MAX_BYTES // 2**20)
    return data


async def fetch(url: str) -> bytes:
    """Fetch a file from Discord; a file that is too large is cut a little above MAX_BYTES, whatever size it claimed.

    Raises:
        ValueError: if the address is not one of Discord's.
        aiohttp.ClientError, OSError, asyncio.TimeoutError: if the file does not arrive, or not in time.
    """
    address = URL(url)
    if not is_discords(address):
        raise ValueError("not an address of Discord's files")
    timeout = aiohttp.ClientTimeout(total=FETCH_S, sock_connect=STILL_S, sock_read=STILL_S)
    data = bytearray()
    # A separate session: it sends none of the bot's cookies, headers or tokens.
    async with (
        aiohttp.ClientSession(timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.get(address, allow_redirects=False, headers={"Accept-Encoding": "identity"}) as response,
    ):
        if response.status != 200:
            raise aiohttp.ClientPayloadError(f"Discord answered {response.status}")
        async for part in response.content.iter_chunked(_PART_BYTES):
            data += part
            if len(data) > MAX_BYTES:
                break
    return bytes(data)


def is_discords(address: URL) -> bool:
    """True for the address of a file on Discord: its scheme, host and port, no name or password, the right path."""
    try:
        known = {URL(discord.Asset.BASE).origin(), URL(MEDIA)}
        plain = address.user is None and address.password is None
        return plain and address.origin() in known and address.path.startswith(PATHS)
    except ValueError:
        return False
