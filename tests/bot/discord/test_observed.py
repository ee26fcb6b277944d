"""The real process as a host observes it: its log as JSON, its metrics over a socket, an occupied port."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest_asyncio

from tests.discord_fake import BotProcess, FakeDiscord

QUICK = "tests.discord_fake.launch_quick"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest_asyncio.fixture
async def watched(fake: FakeDiscord, tmp_path: Path) -> AsyncIterator[tuple[BotProcess, int]]:
    port = free_port()
    bot = BotProcess(fake, tmp_path, f"metrics: {{port: {port}}}\nlog: {{format: json}}\n", QUICK)
    yield bot, port
    await bot.close()


async def scraped(port: int) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
        assert answer.status == 200
        return await answer.text()


async def test_a_process_logs_each_state_and_serves_its_metrics(
    fake: FakeDiscord, watched: tuple[BotProcess, int]
) -> None:
    bot, port = watched
    guild = fake.world.add_guild()
    channel, ann = guild.add_channel(), guild.add_member("ann")
    await bot.start()
    assert 'reverie_jobs_ended_total{end="done"} 0.0' in await scraped(port)
    await fake.type_imagine(channel, ann, "a very private wish")
    await fake.until(lambda: "job done" in bot.log, 60)
    text = await scraped(port)
    assert 'reverie_jobs_ended_total{end="done"} 1.0' in text
    assert 'reverie_jobs{state="queued"} 0.0' in text
    entries = [json.loads(line) for line in bot.lines]
    told = [entry for entry in entries if entry["logger"] == "bot.service.job_log"]
    assert [entry["message"] for entry in told] == ["job queued", "job running", "job posting", "job done"]
    assert {(entry["job"], entry["guild"]) for entry in told} == {(1, guild.id)}
    assert "private wish" not in bot.log
    assert await bot.stop() == 0


async def test_a_taken_port_ends_the_start_before_the_login(fake: FakeDiscord, watched: tuple[BotProcess, int]) -> None:
    bot, port = watched
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        try:
            await bot.start()
        except AssertionError as exc:
            told = str(exc)
        else:
            raise AssertionError("it started")
    assert await bot.ended() == 1
    assert f"Metrics cannot be served at 127.0.0.1:{port}" in told and "set metrics.port to 0" in told
    assert not fake.sent("GET", "/gateway")
