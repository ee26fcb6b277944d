"""The client's start and stop over a real network."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import aiohttp
import discord
import pytest

from bot.config import Config
from bot.errors import BotError
from bot.frontend.client import run
from bot.frontend.login import explained
from bot.monitoring.heartbeat import Heartbeat
from bot.wiring import build
from tests.bot.fake_dream import FakeDreamer
from tests.bot.frontend.client_in_simcord import SETTINGS


async def test_an_unreachable_discord_is_reported(
    tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discord.http.Route, "BASE", "http://127.0.0.1:9/api")
    client = build(config, tmp_path / "data", FakeDreamer(), SETTINGS)
    with pytest.raises(BotError, match="Cannot reach Discord"):
        await run(client, "a.b.c", asyncio.Event(), Heartbeat(tmp_path))
    assert client.is_closed()


async def test_the_client_requests_no_privileged_intent_and_pings_no_one(tmp_path: Path, config: Config) -> None:
    client = build(config, tmp_path / "data", FakeDreamer(), SETTINGS)
    assert client.intents == discord.Intents(guilds=True)
    assert client.allowed_mentions is not None
    assert client.allowed_mentions.to_dict() == {"parse": []}


PORTAL = "https://discord.com/developers/applications"


def expired() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError("certificate verify failed")
    error.verify_code, error.verify_message = 10, "certificate has expired"
    return error


@pytest.mark.parametrize(
    ("error", "sentences"),
    [
        (discord.LoginFailure("no"), ("Discord rejected the token.", PORTAL)),
        (discord.PrivilegedIntentsRequired(None), ("Discord rejected the bot's intents", PORTAL)),
        (expired(), ("The clock of this machine says ", "certificate has expired", "timedatectl")),
        (aiohttp.ClientConnectorCertificateError(None, expired()), ("The clock of this machine says ", "timedatectl")),  # type: ignore[arg-type]
        (OSError("no route"), ("Cannot reach Discord: no route.",)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_end_of_a_connection_is_reported_with_advice(error: Exception, sentences: tuple[str, ...]) -> None:
    said = str(explained(error))
    assert all(sentence in said for sentence in sentences), said
