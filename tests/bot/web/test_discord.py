"""The web gallery of a bot that is connected to Discord: channels, deleted messages, and the command for the link."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import discord
import pytest_asyncio

from bot.config import Config, Gallery
from tests.bot.discord.client_on_loopback import ClientOnLoopback, on_a_fake
from tests.discord_fake import Channel
from tests.faults.world_changes import tell

LINK = re.compile(r"<(http://127.0.0.1:\d+/[\w-]{32}/)>")


@pytest_asyncio.fixture
async def live(tmp_path: Path, config: Config) -> AsyncIterator[ClientOnLoopback]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with on_a_fake(
        ClientOnLoopback, tmp_path, replace(config, gallery=Gallery(port=port)), started=False
    ) as live:
        yield live


async def told(live: ClientOnLoopback, command: str) -> str:
    """The answer to a command of the admin."""
    sent = await (await live.fake.type_command(live.channel, live.admin, command)).answered()
    assert sent.ephemeral
    return sent.text


async def seen(link: str) -> tuple[int, set[int]]:
    """Status of a gallery, and the jobs in it."""
    async with aiohttp.ClientSession() as session, session.get(link) as answer:
        return answer.status, {int(found) for found in re.findall(r'href="p/(\d+)-', await answer.text())}


async def test_channels_that_not_everybody_sees_are_not_shown(live: ClientOnLoopback) -> None:
    places: dict[str, Channel] = {
        "open": live.channel,
        "hidden": live.guild.add_channel("moderators"),
        "restricted": live.guild.add_channel("adults", nsfw=True),
        "thread": live.guild.add_thread(live.channel),
        "private thread": live.guild.add_thread(live.channel, "whisper"),
    }
    places["hidden"].hidden = places["private thread"].hidden = True
    places["thread of a hidden one"] = live.guild.add_thread(places["hidden"])
    await live.start()
    jobs = {}
    for number, (name, channel) in enumerate(places.items(), 1):
        await live.fake.type_imagine(channel, live.ann, name)
        await live.ended(number)
        jobs[name] = number
    assert "no web gallery" in await told(live, "webgallery show")
    found = LINK.search(await told(live, "webgallery make"))
    assert found is not None
    assert await seen(found[1]) == (200, {jobs["open"], jobs["thread"]})
    live.channel.nsfw = True
    await tell(live, "CHANNEL_UPDATE", live.channel.payload())
    await live.until(lambda: _is(found[1], set()))
    live.channel.nsfw, live.channel.hidden = False, True
    await tell(live, "CHANNEL_UPDATE", live.channel.payload())
    await live.imagine("asked for while it is hidden")
    live.channel.hidden = False
    await tell(live, "CHANNEL_UPDATE", live.channel.payload())
    await live.until(lambda: _is(found[1], {jobs["open"], jobs["thread"]}))


async def test_a_message_deleted_in_discord_takes_its_picture_off_the_web(live: ClientOnLoopback) -> None:
    thread = live.guild.add_thread(live.channel)
    await live.start()
    assert discord.Intents(live.fake.gateway.intents) == discord.Intents(guilds=True, guild_messages=True)
    for number, channel in enumerate((live.channel, live.channel, live.channel, thread), 1):
        await live.fake.type_imagine(channel, live.ann, f"picture {number}")
        await live.ended(number)
    found = LINK.search(await told(live, "webgallery make"))
    assert found is not None and await seen(found[1]) == (200, {1, 2, 3, 4})
    place = {"channel_id": str(live.channel.id)}
    await tell(live, "MESSAGE_DELETE", place | {"id": str((await live.job(1)).message_id)})
    await live.until(lambda: _is(found[1], {2, 3, 4}))
    await tell(live, "MESSAGE_DELETE_BULK", place | {"ids": ["1", str((await live.job(2)).message_id)]})
    await live.until(lambda: _is(found[1], {3, 4}))
    await tell(live, "THREAD_DELETE", thread.payload())
    await live.until(lambda: _is(found[1], {3}))


async def test_messages_deleted_while_the_bot_is_off_take_their_pictures_off_the_web(live: ClientOnLoopback) -> None:
    threads = [live.guild.add_thread(live.channel) for _ in range(2)]
    await live.start()
    for number, channel in enumerate((live.channel, live.channel, *threads), 1):
        await live.fake.type_imagine(channel, live.ann, f"picture {number}")
        await live.ended(number)
    found = LINK.search(await told(live, "webgallery make"))
    assert found is not None and await seen(found[1]) == (200, {1, 2, 3, 4})
    deleted = (await live.job(1)).message_id
    await live.stop()
    live.channel.messages[deleted or 0].deleted = threads[0].gone = True
    await live.start()
    await live.until(lambda: _is(found[1], {2, 4}))


async def test_the_link_is_shown_replaced_and_revoked(live: ClientOnLoopback) -> None:
    await live.start()
    first = LINK.search(await told(live, "webgallery make"))
    assert first is not None and first[0] in await told(live, "webgallery show")
    privacy = await (await live.fake.type_command(live.channel, live.ann, "privacy")).answered()
    assert "link to a web gallery" in privacy.text
    server = await (await live.fake.type_command(live.channel, live.admin, "server")).answered()
    assert server.callback is not None and "Web gallery" in str(server.callback["data"]["embeds"])
    await live.stop()
    await live.start()
    assert (await seen(first[1]))[0] == 200
    second = LINK.search(await told(live, "webgallery make"))
    assert second is not None and (await seen(first[1]))[0] == 404
    assert (await seen(second[1]))[0] == 200
    assert "no longer works" in await told(live, "webgallery revoke")
    assert "no web gallery" in await told(live, "webgallery revoke")
    assert (await seen(second[1]))[0] == 404
    privacy = await (await live.fake.type_command(live.channel, live.ann, "privacy")).answered()
    assert "web gallery" not in privacy.text


async def test_without_the_hosts_key_there_is_nothing(tmp_path: Path, config: Config) -> None:
    async with on_a_fake(ClientOnLoopback, tmp_path, config) as live:
        assert discord.Intents(live.fake.gateway.intents) == discord.Intents(guilds=True)
        for command in ("webgallery make", "webgallery show"):
            assert "serves no web galleries" in await told(live, command)


async def _is(link: str, jobs: set[int]) -> bool | None:
    return True if (await seen(link))[1] == jobs else None
