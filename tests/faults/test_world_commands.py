"""Commands that Discord lost, and a bot that was removed and invited again: all commands work as before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from bot.config import Config, Discord
from tests.bot.discord.client_on_loopback import ClientOnLoopback, on_a_fake
from tests.faults.world_changes import invite_bot, remove_bot

pytestmark = pytest.mark.waits


@pytest_asyncio.fixture
async def live(tmp_path: Path) -> AsyncIterator[ClientOnLoopback]:
    async with on_a_fake(ClientOnLoopback, tmp_path, Config(), started=False) as live:
        yield live


def registrations(live: ClientOnLoopback) -> int:
    """Number of times that the bot registered its commands."""
    return len(live.fake.sent("PUT", "/commands"))


@pytest.mark.parametrize("left", [0, 3])
async def test_commands_that_were_taken_away_come_back_at_the_next_start(live: ClientOnLoopback, left: int) -> None:
    await live.start()
    await live.stop()
    whole = len(live.fake.world.commands[None])
    del live.fake.world.commands[None][left:]
    await live.start()
    assert (len(live.fake.world.commands[None]), registrations(live)) == (whole, 2)
    await live.imagine()
    await live.ended()
    await live.stop()
    await live.start()
    assert registrations(live) == 2, "what Discord knows is not told again"


async def test_commands_of_one_server_come_back_with_the_invitation(live: ClientOnLoopback) -> None:
    live.config = replace(live.config, discord=Discord(command_guilds=[live.guild.id]))
    await live.start()
    assert list(live.fake.world.commands) == [live.guild.id]
    await live.fake.until(live.client.is_ready)
    await remove_bot(live, live.channel)
    live.fake.world.commands.clear()
    await live.fake.until(lambda: live.client.get_guild(live.guild.id) is None)
    await invite_bot(live, live.channel)
    await live.fake.until(lambda: live.guild.id in live.fake.world.commands)
    await live.imagine()
    await live.ended()


async def test_a_server_that_the_bot_is_not_in_hinders_no_start(live: ClientOnLoopback) -> None:
    live.config = replace(live.config, discord=Discord(command_guilds=[4_711, live.guild.id]))
    live.fake.faults.refuse("*", "/applications/*/guilds/4711/commands", 403, 50001, times=None)
    for _ in range(2):
        await live.start()
        await live.stop()
    await live.start()
    await live.imagine()
    await live.ended()
