"""Redirect discord.py to the fake: the addresses of the HTTP interface, of files and of the gateway. Any thread."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import discord
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from tests.discord_fake.calls import PREFIX


def point_at(url: str) -> None:
    """Redirect discord.py to the fake at `url` for the rest of this process."""
    Route.BASE, discord.Asset.BASE = url + PREFIX, url
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(url.replace("http", "ws", 1) + "/gateway/")


def resolve_by(file: Path) -> None:
    """Let this process resolve only the hosts in `file`, for its remaining life; all of them are this machine.

    It replaces the machine's own resolver: for a name that is not in the file, the process gets the error of a name
    server that does not answer. Names are cached for one second instead of ten.
    """
    find = socket.getaddrinfo

    def look_up(host: Any, *rest: Any, **named: Any) -> list[Any]:  # noqa: ANN401 - as getaddrinfo takes it
        name = host.decode() if isinstance(host, bytes) else host
        if name is None or name[:1].isdigit():
            return find(host, *rest, **named)
        if name not in file.read_text("utf-8").split():
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return find("127.0.0.1", *rest, **named)

    socket.getaddrinfo = look_up
    (aiohttp.TCPConnector.__init__.__kwdefaults__ or {})["ttl_dns_cache"] = 1


@contextmanager
def pointed_at(url: str) -> Iterator[None]:
    """Redirect discord.py to the fake inside the context."""
    base, files, gateway = Route.BASE, discord.Asset.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    point_at(url)
    try:
        yield
    finally:
        Route.BASE, discord.Asset.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, files, gateway
