"""Deletion of a message during answer, preview or posting: no message is left behind without its job."""

from __future__ import annotations

import asyncio

import pytest

from bot.frontend.messages import updater as progress
from bot.jobs import Job, JobState
from tests.bot.discord.client_on_loopback import ClientOnLoopback
from tests.discord_fake import Cut, Interaction

CALLBACK = "/interactions/*"


async def pressed(live: ClientOnLoopback, answer: Interaction, button: str) -> Interaction:
    assert answer.message is not None
    return await live.fake.click(answer.message, button, live.ann)


async def under_way(live: ClientOnLoopback, count: int) -> list[Job]:
    async def look() -> list[Job] | None:
        jobs = await live.client.service.store.jobs.under_way()
        return jobs if len(jobs) == count else None

    return await live.until(look)


async def test_an_answer_that_comes_while_its_asker_is_forgotten_goes_too(live: ClientOnLoopback) -> None:
    live.engine.open.clear()
    await live.imagine()
    privacy = await (await live.fake.type_command(live.channel, live.ann, "privacy")).answered()
    question = (await pressed(live, privacy, "reverie-own:forget")).message
    assert question is not None
    late = live.fake.faults.slow("POST", CALLBACK, 1.0)
    order = asyncio.create_task(live.fake.type_imagine(live.channel, live.ann, "a blue cat"))
    await under_way(live, 2)
    await live.fake.until(lambda: late.hits)
    # Removing the first message takes longer than recording the second answer.
    live.fake.faults.slow("DELETE", "/channels/*", 3.0)
    await live.fake.press(question, "reverie-own:sure", live.ann)
    await order
    await live.fake.until(lambda: not live.channel.visible())
    await under_way(live, 0)


async def test_a_post_of_a_job_that_is_deleted_meanwhile_is_taken_back(live: ClientOnLoopback) -> None:
    slow = live.fake.faults.slow("PATCH", "/webhooks/*", 1.0, times=None)
    await live.imagine()

    async def posting() -> bool | None:
        return ((await live.job()).state is JobState.POSTING and slow.hits > 0) or None

    await live.until(posting)
    await live.client.service.store.jobs.delete([1])
    await live.fake.until(lambda: not live.channel.visible())


async def test_a_message_that_a_job_gets_when_it_is_deleted_is_taken_back(
    live: ClientOnLoopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "GRACE_S", 0.0)
    live.engine.open.clear()
    live.fake.faults.cut("POST", CALLBACK, Cut.BEFORE, times=2)  # aiohttp tries a second time itself
    slow = live.fake.faults.slow("POST", "/channels/*", 1.0)
    await live.fake.type_command(live.channel, live.ann, "imagine", prompt="a red apple")
    await live.fake.until(lambda: slow.hits)
    await live.client.service.store.jobs.delete([1])
    await live.fake.until(lambda: live.fake.sent("DELETE", "/channels/"))
    await live.fake.until(lambda: not live.channel.visible())
