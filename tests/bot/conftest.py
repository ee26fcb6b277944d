"""Fixtures shared by the bot's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bot.config import Config, Timing
from tests.bot.real_service import RealService


@pytest.fixture
def config() -> Config:
    return Config(timing=Timing(preview_s=0.05, snapshot_s=0.05, retention_s=1.0, access_s=1.0))


@pytest_asyncio.fixture
async def bench(tmp_path: Path, config: Config) -> AsyncIterator[RealService]:
    bench = RealService(tmp_path / "data", config)
    await bench.start()
    yield bench
    bench.engine.open.set()
    await bench.service.close()
