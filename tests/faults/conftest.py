"""A service on a real database, and a bot connected to the fake Discord, for attacks within this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bot.config import Config, Discord, Timing
from bot.frontend import answering
from tests.bot.discord.client_on_loopback import ClientOnLoopback, on_a_fake
from tests.bot.real_service import RealService

HOST = 4711
"""The id of whoever runs the bot."""


@pytest.fixture(autouse=True)
def never_defer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Defer no answer only because the machine is busy; a refusal after a public deferral is another message."""
    monkeypatch.setattr(answering, "DEFER_AFTER_S", 60.0)


@pytest.fixture
def config() -> Config:
    timing = Timing(preview_s=0.05, snapshot_s=0.05, retention_s=1.0, access_s=1.0)
    return Config(timing=timing, discord=Discord(owners=[HOST]))


@pytest_asyncio.fixture
async def bench(tmp_path: Path, config: Config) -> AsyncIterator[RealService]:
    bench = RealService(tmp_path / "data", config)
    await bench.start()
    yield bench
    bench.engine.open.set()
    await bench.service.close()


@pytest_asyncio.fixture
async def live(tmp_path: Path, config: Config) -> AsyncIterator[ClientOnLoopback]:
    """The bot in this process, connected. Checks all of its requests against Discord's description."""
    async with on_a_fake(ClientOnLoopback, tmp_path, config) as live:
        yield live
