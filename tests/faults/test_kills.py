"""The real process, killed at any moment, loses no job or picture and posts none twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.discord_fake import Cut
from tests.faults.campaign import Plan, Scene, scene
from tests.faults.crowd import Kind
from tests.faults.kills import run

pytestmark = pytest.mark.waits


@pytest_asyncio.fixture
async def here(tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene(Plan(guilds=1, fresh=False), tmp_path) as here:
        here.fake.rest.answer_within_s = 30.0
        yield here
        here.fake.faults.clear()
        if not here.bot.alive:
            await here.start()
        await here.rest()
        account = await here.account()
        assert not account.broken, account.broken


@pytest.mark.slow
async def test_ten_kills_lose_no_picture(tmp_path: Path) -> None:
    found = await run(Plan(seed=3, guilds=2), 10, tmp_path)
    assert found.account.broken == []
    assert len(found.kills) == 10
    assert found.account.interrupted > 0 and found.account.interrupted_pictures > 0
    assert found.account.outcomes["done"] > 0


async def test_an_unrecorded_answer_shows_the_job_to_its_end(here: Scene) -> None:
    """Kill the process after Discord received the first answer and before its confirmation."""
    await here.start()
    here.fake.faults.cut("POST", "/interactions/*", Cut.AFTER)
    here.fake.faults.slow("GET", "/webhooks/*", 60.0)
    guild = here.people.guilds[0]
    typed = await here.fake.type_command(guild.channels[0], guild.members[0], "imagine", prompt="a red apple")
    await here.fake.until(lambda: here.fake.sent("GET", "/webhooks/"))
    await here.bot.kill()
    await here.start()
    await here.rest()
    (message,) = guild.channels[0].posts()
    assert message is typed.message
    assert [file.filename for file in message.attachments] == ["reverie-1-1.png"]


async def test_a_deletion_that_was_cut_short_can_be_asked_for_again(here: Scene) -> None:
    await here.start()
    guild = here.people.guilds[0]
    await here.fake.type_imagine(guild.channels[0], guild.members[0])
    await here.rest()
    slow = here.fake.faults.slow("DELETE", "/channels/*", 60.0)
    await here.people.act(Kind.DELETE)
    await here.fake.until(lambda: slow.hits)
    await here.bot.kill()
    here.fake.faults.clear()
    assert len(guild.channels[0].posts()) == 1
    await here.start()
    await here.people.act(Kind.DELETE)
    await here.fake.until(lambda: not guild.channels[0].visible())


async def test_deleting_all_data_leaves_no_message_that_seems_to_wait(here: Scene) -> None:
    await here.start()
    guild = here.people.guilds[0]
    guild.members[1:] = []
    for _ in range(3):
        await here.fake.type_imagine(guild.channels[0], guild.members[0], steps=500)
    await here.people.act(Kind.FORGET)
    await here.fake.until(lambda: not guild.channels[0].visible())
