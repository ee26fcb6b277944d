"""The local preview: the same client, commands, queue and models behind a page that looks like Discord. Event loop.

simcord simulates Discord in this process; the page is our own.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bot.errors import BotError, ConfigError
from bot.frontend.asking import Places
from bot.frontend.client import Reverie
from bot.texts import say
from bot.waiting import ExternalWait
from bot.web.server import GalleryServer

if TYPE_CHECKING:
    from bot.frontend.preview.web import Page

MAX_PORT = 65_535


def listen(port: int) -> socket.socket:
    """A socket at a port of this machine only; port 0 is any.

    Raises:
        ConfigError: if it cannot be had.
    """
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as exc:
        another = port + 1 if port < MAX_PORT else 0
        why = os.strerror(exc.errno or 0)
        raise ConfigError("preview_port", port=str(port), why=why, another=str(another)) from exc


async def show(
    build: Callable[[ExternalWait], Reverie], listener: socket.socket, stop: asyncio.Event, folder: Path
) -> None:
    """Open the preview, print its address, and keep it open until `stop` is set; `folder` is that of its pictures.

    Raises:
        BotError: if the packages for it are missing.
    """
    async with staged(build, listener) as page:
        _print(say("preview_address", url=page.url))
        await stop.wait()
        _print(say("preview_stopping"))
    _print(say("preview_stopped", folder=str(folder)))


@asynccontextmanager
async def staged(build: Callable[[ExternalWait], Reverie], listener: socket.socket) -> AsyncIterator[Page]:
    """A client in a simulated Discord, with its page at a socket, which is closed at the end.

    Raises:
        BotError: if the packages for it are missing.
    """
    # simcord creates its own client without intents; discord.py's warning about it is useless here.
    logging.getLogger("discord.state").addFilter(lambda record: "intent seems to be disabled" not in str(record.msg))
    try:
        from bot.frontend.preview import web, welcome, world
    except ImportError as exc:
        raise BotError("preview_needs_packages") from exc
    waits = world.Waits()
    client = build(waits)
    client.forgetful_discord, client.fetch = True, lambda address: client.http.get_from_cdn(address)
    env = waits.world = world.World(client)
    elsewhere = say("preview_elsewhere") if client.config.for_everybody else None
    scene = world.furnish(env, say("preview_server"), elsewhere)
    client.hosts.add(scene.host_id)
    env.backend.clock = world.RealClock()
    page = web.Page(scene)
    try:
        await page.open(listener)
        await env.start()
        timers = asyncio.create_task(env.run_timers(), context=contextvars.Context())
        try:
            with env.time_context():
                await welcome.fill(client, scene)
            page.begin()
            service = client.service
            async with GalleryServer(client.config, service.web_gallery, service.files, Places(client)):
                yield page
        finally:
            timers.cancel()
            await asyncio.gather(timers, return_exceptions=True)
    finally:
        waits.world = None  # From here on, simcord does not treat tasks as the bot's work.
        await page.close()
        await client.close()
        await env.shutdown()


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
