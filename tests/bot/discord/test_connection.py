"""The gateway: after a dropped, resumed or new connection no request is lost or answered twice."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import discord
import pytest

from bot.config import Config
from bot.errors import BotError, ConfigError
from tests.bot.discord.client_on_loopback import ClientOnLoopback, on_a_fake
from tests.discord_fake import Interaction

TIMEOUT_S = 120.0


async def reconnected(live: ClientOnLoopback) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        await live.fake.gateway.ready.wait()


async def served(live: ClientOnLoopback, answer: Interaction) -> None:
    """Check that the job of an answer is generated and posted, once."""
    await live.ended()
    (message,) = live.channel.visible()
    assert message is answer.message
    assert [file.filename for file in message.attachments] == ["reverie-1-1.png"]


async def test_a_command_typed_during_a_disconnect_is_answered_after_the_resume(live: ClientOnLoopback) -> None:
    live.fake.gateway.drop()
    typed = await live.fake.type_command(live.channel, live.ann, "imagine", prompt="a red apple")
    live.fake.rest.answer_within_s = TIMEOUT_S
    await served(live, await typed.answered(TIMEOUT_S))
    assert (live.fake.gateway.identifies, live.fake.gateway.resumes) == (1, 1)


async def test_a_request_to_reconnect_is_followed_by_a_resume(live: ClientOnLoopback) -> None:
    await live.fake.gateway.ask_to_reconnect()
    await reconnected(live)
    assert (live.fake.gateway.identifies, live.fake.gateway.resumes) == (1, 1)
    await served(live, await live.imagine())


async def test_an_invalid_session_is_followed_by_a_new_one(live: ClientOnLoopback) -> None:
    await live.fake.gateway.invalidate()
    await reconnected(live)
    assert live.fake.gateway.identifies == 2
    await served(live, await live.imagine())
    assert len(live.fake.sent("PUT", "/commands")) == 1, "the commands are not told anew"


async def test_a_resume_that_is_refused_is_followed_by_a_new_session(live: ClientOnLoopback) -> None:
    for session in live.fake.gateway.sessions.values():
        session.valid = False
    live.fake.gateway.drop()
    await reconnected(live)
    assert (live.fake.gateway.identifies, live.fake.gateway.resumes) == (2, 1)
    await served(live, await live.imagine())


async def test_a_picture_is_posted_while_the_gateway_is_away(live: ClientOnLoopback) -> None:
    live.engine.open.clear()
    answer = await live.imagine()
    await live.fake.gateway.invalidate()
    live.engine.open.set()
    await served(live, answer)
    # A client that is stopped while it connects leaves discord.py's half-open connection behind.
    await reconnected(live)


async def test_a_restart_sends_the_commands_only_when_they_changed(live: ClientOnLoopback) -> None:
    await live.stop()
    await live.start()
    assert len(live.fake.sent("PUT", "/commands")) == 1


async def test_a_rejected_token_is_reported(live: ClientOnLoopback) -> None:
    await live.stop()
    live.fake.faults.refuse("GET", "/users/@me", 401, times=None)
    with pytest.raises(ConfigError, match="token"):
        await live.start()


async def test_a_token_that_is_reset_while_it_is_used_ends_the_bot_with_a_sentence(live: ClientOnLoopback) -> None:
    await live.fake.gateway.revoke()
    with pytest.raises(ConfigError, match="token"):
        await live.over()


async def test_an_outage_of_discord_at_the_start_is_reported(live: ClientOnLoopback) -> None:
    await live.stop()
    live.fake.faults.refuse("GET", "/users/@me", 503, times=None)
    with pytest.raises(BotError, match="Cannot reach Discord"):
        await live.start()


async def test_the_client_is_one_that_shards_itself(live: ClientOnLoopback) -> None:
    assert isinstance(live.client, discord.AutoShardedClient)
    assert live.client.shard_count == 1


async def test_after_a_long_outage_the_bot_is_back_within_half_a_minute(live: ClientOnLoopback) -> None:
    shard = live.client.get_shard(0)
    assert shard is not None
    delays = [shard._parent._backoff.delay() for _ in range(200)]
    assert max(delays) <= 30.0
    assert max(delays[:2]) < 5.0, "the first tries come soon"


async def test_a_bot_in_no_server_logs_the_link_that_adds_it_to_one(
    tmp_path: Path, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    async with on_a_fake(ClientOnLoopback, tmp_path, config, started=False) as live:
        live.fake.world.guilds.clear()
        with caplog.at_level(logging.WARNING, "bot"):
            await live.start()
            await live.fake.until(lambda: "not in any server yet" in caplog.text)
        assert f"client_id={live.fake.world.application_id}" in caplog.text
