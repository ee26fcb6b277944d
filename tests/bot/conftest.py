"""Fixtures shared by the bot's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bot.config import Config, Timing
from bot.frontend import answering
from tests.bot.real_service import RealService


@pytest.fixture(autouse=True)
def never_defer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Defer no answer only because the machine is busy; a refusal after a public deferral is another message."""
    monkeypatch.setattr(answering, "DEFER_AFTER_S", 60.0)


@pytest.fixture
def defers_soon(never_defer: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Defer answers that take longer than a moment, as the bot does."""
    monkeypatch.setattr(answering, "DEFER_AFTER_S", 0.1)


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
