"""Files that people attached: fetched from Discord and from nowhere else, bounded in size and time. Event loop.

The address of an attachment comes from Discord. It is held to Discord's all the same, so that no gap between the two
makes this machine ask its own network for something: scheme, host and port must be exactly those of Discord's files,
nothing follows a redirect, and what does not end is given up.
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
"""Seconds for a whole file, and for the next part of it."""
MEDIA = "https://media.discordapp.net"
"""Discord's second host for files; the first is where discord.py finds pictures of people."""
PATHS = ("/attachments/", "/ephemeral-attachments/")
AT_ONCE = 8
"""So many files are held in memory at any time, however many people attach some: 160 MiB at most."""
_PART_BYTES = 2**16


class AttachmentSlots:
    """The files that are held in memory: whoever comes when there are AT_ONCE waits for a turn, as in a queue."""

    def __init__(self) -> None:
        self._turn, self._free = asyncio.Lock(), asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def hold(self, files: int) -> AsyncIterator[None]:
        """Have room for so many files, at most AT_ONCE, from before they are fetched until nobody needs them.

        Who has none waits for nobody.
        """
        held = 0
        try:
            # One after the other, so that no two wait for what the other one has.
            async with self._turn if files else nullcontext():
                while held < files:
                    await self._free.acquire()
                    held += 1
            yield
        finally:
            for _ in range(held):
                self._free.release()


async def read(interaction: Interaction, attachment: discord.Attachment, field: str) -> bytes:
    """The bytes of an attached file, for which there is room; `field` is what the person calls it.

    Raises:
        InvalidWish: if it is too large or cannot be read.
    """
    size = attachment.size
    try:
        data = b"" if size > MAX_BYTES else await interaction.client.fetch(attachment)
    except (*TROUBLE, ValueError) as exc:
        raise InvalidJobSpec("attachment_unreadable", field=field, name=field) from exc
    if max(size, len(data)) > MAX_BYTES:
        raise InvalidJobSpec("attachment_too_large", field=field, name=field, most=MAX_BYTES // 2**20)
    return data


async def fetch(attachment: discord.Attachment) -> bytes:
    """An attached file as Discord has it; of one that is too large, whatever it claimed, a little more than MAX_BYTES.

    Raises:
        ValueError: if its address is not one of Discord's.
        aiohttp.ClientError, OSError, asyncio.TimeoutError: if it does not come, or not soon enough.
    """
    address = URL(attachment.url)
    if not is_discords(address):
        raise ValueError("not an address of Discord's files")
    timeout = aiohttp.ClientTimeout(total=FETCH_S, sock_connect=STILL_S, sock_read=STILL_S)
    data = bytearray()
    # A session of its own: no cookie, no header and no token of the bot's goes along.
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
    """Whether an address is one of Discord's files: its scheme, host and port, no name or password, the right path."""
    try:
        known = {URL(discord.Asset.BASE).origin(), URL(MEDIA)}
        plain = address.user is None and address.password is None
        return plain and address.origin() in known and address.path.startswith(PATHS)
    except ValueError:
        return False
