"""Servers that removed the bot while it was off: the next start deletes their data and keeps that of others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bot.config import Config
from bot.files import DataFolder, Kind
from bot.frontend.membership import APPLICATION_NOTE
from tests.bot.discord.client_on_loopback import ClientOnLoopback, on_a_fake
from tests.discord_fake.world import Guild

pytestmark = pytest.mark.waits


@pytest_asyncio.fixture
async def live(tmp_path: Path) -> AsyncIterator[ClientOnLoopback]:
    async with on_a_fake(ClientOnLoopback, tmp_path, Config(), started=False) as live:
        yield live


async def job_in_both(live: ClientOnLoopback) -> Guild:
    """Start, make a picture in this server and in another one, stop; return the other server."""
    other = live.fake.world.add_guild("Other")
    channel, ben = other.add_channel(), other.add_member("ben")
    await live.start()
    await live.imagine()
    await live.ended(1)
    await live.fake.type_imagine(channel, ben, "a green tree")
    await live.ended(2)
    await live.fake.until(lambda: live.client.is_ready())
    await live.stop()
    return other


def asked(live: ClientOnLoopback, guild: Guild) -> int:
    """Number of the bot's own requests for a server."""
    return sum(call.path == f"/guilds/{guild.id}" for call in live.fake.calls)


async def known(live: ClientOnLoopback) -> set[int]:
    """Servers with stored data."""
    return await live.client.service.store.guilds.known()


async def test_a_server_that_removed_the_bot_while_it_was_off_is_forgotten_at_the_next_start(
    live: ClientOnLoopback,
) -> None:
    other = await job_in_both(live)
    del live.fake.world.guilds[other.id]
    await live.start()

    async def forgotten() -> bool | None:
        return other.id not in await known(live) or None

    await live.until(forgotten)
    assert await known(live) == {live.guild.id}
    assert await live.client.service.store.jobs.get(2) is None
    files = DataFolder(live.folder)
    assert files.read(Kind.PICTURE, 2, 1) is None
    assert files.read(Kind.PICTURE, 1, 1) and await live.job(1)


async def test_a_server_that_discord_cannot_say_anything_of_is_kept(live: ClientOnLoopback) -> None:
    other = await job_in_both(live)
    del live.fake.world.guilds[other.id]
    refused = live.fake.faults.refuse("GET", f"/guilds/{other.id}", 503, times=None)
    await live.start()
    await live.fake.until(lambda: refused.hits)
    await live.imagine("a blue bird")
    await live.ended(3)
    assert await known(live) == {live.guild.id, other.id}


async def test_servers_that_an_outage_hides_are_neither_asked_for_nor_forgotten(live: ClientOnLoopback) -> None:
    other = await job_in_both(live)
    live.fake.gateway.hidden.add(other.id)
    await live.start()
    await live.fake.until(lambda: live.client.is_ready())
    await live.imagine("a blue bird")
    await live.ended(3)
    assert asked(live, other) == 0
    assert await known(live) == {live.guild.id, other.id}


async def test_with_the_token_of_another_application_nothing_is_forgotten(live: ClientOnLoopback) -> None:
    other = await job_in_both(live)
    del live.fake.world.guilds[other.id]
    live.fake.world.application_id += 1
    await live.start()
    notes = live.client.service.store.figures

    async def noted() -> bool | None:
        return await notes.note(APPLICATION_NOTE) == str(live.fake.world.application_id) or None

    await live.until(noted)
    assert asked(live, other) == 0 and other.id in await known(live)
