"""The client's start and stop over a real network."""

from __future__ import annotations

import asyncio
from pathlib import Path

import discord
import pytest

from bot.config import Config
from bot.errors import BotError
from bot.frontend.client import run
from bot.monitoring.heartbeat import Heartbeat
from bot.wiring import build
from tests.bot.fake_dream import FakeDreamer
from tests.bot.frontend.client_in_simcord import SETTINGS


async def test_a_discord_that_cannot_be_reached_is_told_in_a_sentence(
    tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discord.http.Route, "BASE", "http://127.0.0.1:9/api")
    client = build(config, tmp_path / "data", FakeDreamer(), SETTINGS)
    with pytest.raises(BotError, match="Cannot reach Discord"):
        await run(client, "a.b.c", asyncio.Event(), Heartbeat(tmp_path))
    assert client.is_closed()


async def test_the_client_asks_for_no_privileged_intent_and_pings_nobody(tmp_path: Path, config: Config) -> None:
    client = build(config, tmp_path / "data", FakeDreamer(), SETTINGS)
    assert client.intents == discord.Intents(guilds=True)
    assert client.allowed_mentions is not None
    assert client.allowed_mentions.to_dict() == {"parse": []}
