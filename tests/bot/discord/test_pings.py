"""Pings over a real network: after a long wait the owner is told once, by a reply, and nobody else ever is."""

from __future__ import annotations

import time

import pytest

from bot.service import Ping
from tests.bot.discord.client_on_loopback import ClientOnLoopback
from tests.discord_fake import Cut, Message

NEW = "/channels/*/messages"


async def painted(live: ClientOnLoopback, *, wait_s: float = 120.0, **options: object) -> Message:
    """A finished picture that Ann waited for, and its message."""
    live.engine.open.clear()
    answer = await live.imagine(**options)
    assert answer.message is not None
    await live.client.service.store.jobs.change(1, created_at=time.time() - wait_s)
    live.engine.open.set()
    await live.ended()
    return answer.message


def pings(live: ClientOnLoopback) -> list[Message]:
    return [message for message in live.fake.world.messages() if message.pings]


async def settled(live: ClientOnLoopback) -> None:
    """Wait until no ping is due any more, and one that is late would have come."""

    async def look() -> bool | None:
        return not (await live.job()).ping_due or None

    await live.until(look)


async def test_a_long_wait_ends_with_a_reply_that_pings_its_owner_and_nobody_else(live: ClientOnLoopback) -> None:
    bob = live.guild.add_member("bob")
    message = await painted(live, prompt=f"a red apple for <@{bob.id}> and @everyone")
    await settled(live)
    (ping,) = pings(live)
    assert (ping.pings, ping.answers) == ((live.ann.id,), message.id)
    link = f"https://discord.com/channels/{live.guild.id}/{live.channel.id}/{message.id}"
    assert ping.content == f"<@{live.ann.id}> your picture is ready: {link}"
    assert (await live.job()).ping_id == ping.id


async def test_a_short_wait_pings_nobody(live: ClientOnLoopback) -> None:
    await painted(live, wait_s=0.0)
    await settled(live)
    assert len(live.channel.visible()) == 1


@pytest.mark.parametrize(
    ("ping", "wait_s", "times"), [(Ping.ALWAYS, 0.0, 1), (Ping.LONG, 0.0, 0), (Ping.NEVER, 1e6, 0)]
)
async def test_everybody_chooses_when_to_be_pinged(
    live: ClientOnLoopback, ping: Ping, wait_s: float, times: int
) -> None:
    answer = await (await live.fake.type_command(live.channel, live.ann, "settings", ping=ping.value)).answered()
    assert answer.ephemeral
    await painted(live, wait_s=wait_s)
    await settled(live)
    assert len(pings(live)) == times


async def test_a_private_picture_pings_by_a_private_answer(live: ClientOnLoopback) -> None:
    await painted(live, private=True)
    await live.fake.until(lambda: pings(live))
    (ping,) = pings(live)
    assert ping.ephemeral
    assert ping.custom_ids() == ["reverie:show:1:1"]


async def test_a_private_picture_whose_token_expired_pings_without_its_words(live: ClientOnLoopback) -> None:
    live.engine.open.clear()
    answer = await live.imagine("a secret", private=True)
    live.fake.expire_tokens()
    await live.client.service.store.jobs.change(1, created_at=time.time() - 3_600)
    live.engine.open.set()
    await live.fake.until(lambda: pings(live))
    (ping,) = pings(live)
    assert answer.message is not None
    assert ping.answers == answer.message.id
    assert "secret" not in ping.content


@pytest.mark.parametrize("where", list(Cut))
async def test_a_ping_whose_connection_is_cut_comes_once(live: ClientOnLoopback, where: Cut) -> None:
    live.fake.faults.cut("POST", NEW, where)
    await painted(live)
    await settled(live)
    assert len(pings(live)) == 1


async def test_a_reply_that_discord_refuses_becomes_a_plain_message(live: ClientOnLoopback) -> None:
    live.fake.faults.refuse("POST", NEW, 400, 160002)
    await painted(live)
    await settled(live)
    (ping,) = pings(live)
    assert (ping.pings, ping.answers) == ((live.ann.id,), None)


async def test_a_ping_into_a_closed_channel_is_given_up(live: ClientOnLoopback) -> None:
    live.fake.faults.refuse("POST", NEW, 403, 50001, times=None)
    await painted(live)
    await settled(live)
    assert not pings(live)
    assert (await live.job()).ping_id is None


async def test_a_ping_that_was_due_at_a_stop_comes_after_the_start(live: ClientOnLoopback) -> None:
    fault = live.fake.faults.refuse("POST", NEW, 500, times=None)
    await painted(live)
    await live.fake.until(lambda: fault.hits)
    assert (await live.job()).ping_due
    await live.stop()
    live.fake.faults.clear()
    await live.start()
    await settled(live)
    assert len(pings(live)) == 1


async def test_a_ping_that_was_sent_before_a_crash_is_found_and_not_repeated(live: ClientOnLoopback) -> None:
    await painted(live)
    await settled(live)
    (ping,) = pings(live)
    ping.nonce = None  # Discord forgets nonces after some minutes.
    await live.client.service.store.jobs.change(1, ping_due=True, ping_id=None)
    await live.stop()
    await live.start()
    await settled(live)
    assert pings(live) == [ping]
    assert (await live.job()).ping_id == ping.id


async def test_deleting_a_picture_takes_its_ping_too(live: ClientOnLoopback) -> None:
    message = await painted(live)
    await settled(live)
    asked = await live.fake.click_more(message, "reverie:delete", live.ann)
    assert asked.message is not None
    await live.fake.click(asked.message, "reverie:erase", live.ann)
    await live.fake.until(lambda: not live.channel.visible())
