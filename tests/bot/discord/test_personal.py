"""People who installed the bot for themselves: in direct messages, and in servers that the bot is not in."""

from __future__ import annotations

from dataclasses import replace

import discord
import pytest

from bot.config import Config, Personal
from tests.bot.discord.client_on_loopback import ClientOnLoopback
from tests.discord_fake import Channel, Member, Message
from tests.discord_fake.world import MEMBER

WITHOUT_APPS = MEMBER & ~discord.Permissions(use_external_apps=True).value


@pytest.fixture
def config(config: Config) -> Config:
    personal = Personal(queue_all=2, queue_user=2, daily=3)
    return replace(config, install="everybody", personal=personal, blocklist=["cat"])


@pytest.fixture
def elsewhere(live: ClientOnLoopback) -> tuple[Channel, Member]:
    """A channel that the bot is not in, and a person there who installed it."""
    guild = live.fake.world.add_guild("Elsewhere", joined=False)
    return guild.add_channel(), guild.add_member("eve")


async def begun(live: ClientOnLoopback, channel: Channel, member: Member) -> Message:
    """The message of a job whose steps are held."""
    live.engine.hold()
    answer = await live.fake.type_imagine(channel, member)
    assert answer.message is not None
    return answer.message


async def test_in_direct_messages_the_bot_edits_its_message_itself(live: ClientOnLoopback) -> None:
    channel = live.fake.world.dm(live.ann)
    message = await begun(live, channel, live.ann)
    live.fake.expire_tokens()
    live.engine.open.set()
    job = await live.ended()
    assert channel.visible() == [message] and message.attachments[0].filename == "reverie-1-1.png"
    assert (job.guild_id, job.by_token) == (-live.ann.id, False)
    assert not await live.client.service.store.guilds.known()


async def test_where_the_bot_is_not_all_goes_by_the_token(
    live: ClientOnLoopback, elsewhere: tuple[Channel, Member]
) -> None:
    channel, eve = elsewhere
    answer = await live.fake.type_imagine(channel, eve)
    await live.ended()
    assert answer.message is not None and not answer.ephemeral
    assert channel.visible() == [answer.message] and "**Done**" in answer.message.said()
    assert not [call.path for call in live.fake.calls if str(channel.id) in call.path]
    for button in ("reverie:vary", "reverie:recipe"):
        other = await live.fake.click(answer.message, button, channel.guild.add_member("mallory"))
        assert other.ephemeral and "person who installed me" in other.text
    for button in ("reverie:recipe", "reverie:timelapse", "reverie:more", "reverie:vary"):
        pressed = await live.fake.click(answer.message, button, eve)
        assert pressed.callback is not None and len(pressed.followups) <= 2, button
    await live.ended(2)


async def test_a_picture_later_than_the_token_comes_as_a_direct_message_and_can_be_fetched(
    live: ClientOnLoopback, elsewhere: tuple[Channel, Member]
) -> None:
    message = await begun(live, *elsewhere)
    assert "for 15 minutes only" in message.said()
    live.fake.expire_tokens()
    live.engine.open.set()
    job = await live.ended()
    (sent,) = live.fake.world.dm(elsewhere[1]).visible()
    assert sent.attachments[0].filename == "reverie-1-1.png"
    assert (job.message_id, job.by_token) == (sent.id, False)
    await live.fake.click(message, "reverie:fetch", elsewhere[1])
    await live.fake.until(lambda: message.attachments)
    assert "**Done**" in message.said() and "reverie:fetch:1:1" not in message.custom_ids()


async def test_who_takes_no_direct_messages_fetches_the_picture_after_a_restart(
    live: ClientOnLoopback, elsewhere: tuple[Channel, Member]
) -> None:
    message = await begun(live, *elsewhere)
    live.fake.world.dm(elsewhere[1]).closed = True
    await live.stop()
    live.engine.open.set()
    await live.start()
    await live.ended()
    assert not message.attachments
    await live.fake.click(message, "reverie:fetch", elsewhere[1])
    await live.fake.until(lambda: message.attachments)
    assert message.attachments[0].filename == "reverie-1-1.png"


async def test_fetching_an_unfinished_job_shows_it_by_the_new_token(
    live: ClientOnLoopback, elsewhere: tuple[Channel, Member]
) -> None:
    message = await begun(live, *elsewhere)
    live.fake.expire_tokens()
    await live.fake.click(message, "reverie:fetch", elsewhere[1])
    live.engine.open.set()
    await live.ended()
    assert "**Done**" in message.said() and not live.fake.world.dm(elsewhere[1]).visible()


async def test_answers_are_private_where_external_apps_are_forbidden(
    live: ClientOnLoopback, elsewhere: tuple[Channel, Member]
) -> None:
    channel, eve = elsewhere
    eve.permissions = WITHOUT_APPS
    answer = await live.fake.type_imagine(channel, eve)
    await live.ended()
    assert answer.ephemeral and answer.message is not None and "**Done**" in answer.message.said()
    assert not channel.visible()


async def test_people_without_a_server_have_their_own_limits_and_the_hosts_blocklist(
    live: ClientOnLoopback, elsewhere: tuple[Channel, Member]
) -> None:
    channel, eve = elsewhere
    blocked = await live.fake.type_imagine(channel, eve, "a cat")
    assert blocked.ephemeral and "blocklist" in blocked.text
    many = await live.fake.type_imagine(channel, eve, "a {red, blue} fox")
    assert many.ephemeral and "need a server" in many.text
    await live.fake.type_imagine(channel, eve, count=2)
    await live.ended()
    spent = await live.fake.type_imagine(channel, eve, count=2)
    assert spent.ephemeral and "3" in spent.text
    live.engine.hold()
    for _ in range(3):
        person = channel.guild.add_member("somebody")
        last = await live.fake.type_imagine(channel, person)
    full = await live.fake.type_imagine(channel, channel.guild.add_member("late"))
    assert not last.ephemeral and full.ephemeral and "outside servers" in full.text
    assert not (await live.imagine()).ephemeral


async def test_by_default_only_servers_install_the_bot(live: ClientOnLoopback) -> None:
    await live.stop()
    live.config = replace(live.config, install="server")
    await live.start()
    commands = live.fake.world.commands[None]
    assert all(1 not in (item.get("integration_types") or []) for item in commands)
    assert next(item["contexts"] for item in commands if item["name"] == "imagine") == [0]
