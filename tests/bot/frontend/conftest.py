"""A stage for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import simcord

from bot.config import Config
from bot.errors import BotError
from tests.bot.frontend.stage import Stage
from tests.discord_fake import Call
from tests.discord_fake.description import description


@pytest.fixture
def built(tmp_path: Path, config: Config) -> Iterator[Stage]:
    yield Stage(tmp_path / "data", config)


@pytest_asyncio.fixture
async def env(built: Stage) -> AsyncIterator[simcord.Env]:
    """The simulated Discord; simcord's plugin finds it here and has the test use its clock."""
    env = built.waits.env = simcord.Env(built.make_client(), settle_timeout=30.0)
    await env.start()
    yield env
    built.engine.open.set()
    await built.client.close()
    await env.shutdown()
    # simcord also gathers what was told to the person, and what a test brought about.
    errors = [getattr(error, "original", error) for error in env.errors]
    unexpected = [error for error in errors if not isinstance(error, BotError) and error is not built.engine.foresight]
    assert not unexpected, unexpected
    assert not problems_in(env)


def problems_in(env: simcord.Env) -> list[str]:
    """What of all that the bot sent is not as Discord describes it."""
    calls = [
        Call(sent.method, sent.path, {}, True, "" if sent.json is None else "application/json", sent.json)
        for sent in env.http_requests
    ]
    return [problem for call in calls for problem in description().problems(call)]


@pytest.fixture
def stage(built: Stage, env: simcord.Env) -> Stage:
    built.furnish(env)
    return built
