"""The real client in a simulated Discord for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import simcord

from bot.config import Config
from bot.errors import BotError
from tests.bot.frontend.client_in_simcord import ClientInSimcord
from tests.discord_fake import Call
from tests.discord_fake.description import description


@pytest.fixture
def built(tmp_path: Path, config: Config) -> Iterator[ClientInSimcord]:
    yield ClientInSimcord(tmp_path / "data", config)


@pytest_asyncio.fixture
async def env(built: ClientInSimcord) -> AsyncIterator[simcord.Env]:
    """The simulated Discord; simcord's plugin finds it here and makes the test use its clock."""
    env = built.waits.env = simcord.Env(built.make_client(), settle_timeout=30.0)
    await env.start()
    yield env
    built.engine.open.set()
    await built.client.close()
    await env.shutdown()
    # simcord also collects the messages to the person and the effects of a test.
    errors = [getattr(error, "original", error) for error in env.errors]
    unexpected = [error for error in errors if not isinstance(error, BotError) and error is not built.engine.foresight]
    assert not unexpected, unexpected
    assert not problems_in(env)


def problems_in(env: simcord.Env) -> list[str]:
    """Find everything the bot sent that differs from Discord's description."""
    calls = [
        Call(sent.method, sent.path, {}, True, "" if sent.json is None else "application/json", sent.json)
        for sent in env.http_requests
    ]
    return [problem for call in calls for problem in description().problems(call)]


@pytest.fixture
def stage(built: ClientInSimcord, env: simcord.Env) -> ClientInSimcord:
    built.furnish(env)
    return built
