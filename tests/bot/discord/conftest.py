"""The fake Discord for each test; all that the bot sends must match Discord's description."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from bot.config import Config
from tests.bot.discord.client_on_loopback import ClientOnLoopback
from tests.discord_fake import FakeDiscord, pointed_at


@pytest_asyncio.fixture
async def fake() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord() as fake:
        # Test machines are busy now and then.
        fake.rest.answer_within_s = 30.0
        yield fake
    assert not fake.problems()


@pytest_asyncio.fixture
async def live(fake: FakeDiscord, tmp_path: Path, config: Config) -> AsyncIterator[ClientOnLoopback]:
    """The bot in this process, connected."""
    with pointed_at(fake.url):
        live = ClientOnLoopback(fake, tmp_path, config)
        await live.start()
        yield live
        live.fake.faults.clear()
        live.engine.open.set()
        await live.stop()
