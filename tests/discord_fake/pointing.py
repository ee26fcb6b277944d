"""Points discord.py to the fake: the address of the HTTP interface and that of the gateway. Any thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from tests.discord_fake.calls import PREFIX


def point_at(url: str) -> None:
    """Point discord.py to the fake at `url` for the rest of this process."""
    Route.BASE = url + PREFIX
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(url.replace("http", "ws", 1) + "/gateway/")


@contextmanager
def pointed_at(url: str) -> Iterator[None]:
    """Point discord.py to the fake for a while."""
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    point_at(url)
    try:
        yield
    finally:
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway
