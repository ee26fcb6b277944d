"""Attachments are fetched from Discord's addresses only, and a malicious server has no effect."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import discord
import pytest
import pytest_asyncio
from aiohttp import ClientError, web
from yarl import URL

from bot.frontend import attachments
from tests.bot.discord.client_on_loopback import ClientOnLoopback
from tests.discord_fake import Upload, pointed_at
from tests.faults.hostile_pictures import flat_png

GOOD = "https://cdn.discordapp.com/attachments/1/2/a.png"


@pytest.mark.parametrize(
    "address",
    [
        GOOD,
        "https://CDN.discordapp.com/ephemeral-attachments/1/2/a.png?ex=1&is=2&hm=3",
        "https://media.discordapp.net/attachments/1/2/a.png",
    ],
)
def test_addresses_of_discord_are_fetched(address: str) -> None:
    assert attachments.is_discords(URL(address))


@pytest.mark.parametrize(
    "address",
    [
        "http://cdn.discordapp.com/attachments/1/2/a.png",
        "ftp://cdn.discordapp.com/attachments/1/2/a.png",
        "file:///attachments/1/2/a.png",
        "https://cdn.discordapp.com:8443/attachments/1/2/a.png",
        "https://cdn.discordapp.com./attachments/1/2/a.png",
        "https://cdn.discordapp.com.example.org/attachments/1/2/a.png",
        "https://example.org/cdn.discordapp.com/attachments/1/2/a.png",
        "https://notcdn.discordapp.com/attachments/1/2/a.png",
        "https://discordapp.com/attachments/1/2/a.png",
        "https://cdn.discordapp.com@example.org/attachments/1/2/a.png",
        "https://user@cdn.discordapp.com/attachments/1/2/a.png",
        "https://user:word@cdn.discordapp.com/attachments/1/2/a.png",
        "https://example.org#@cdn.discordapp.com/attachments/1/2/a.png",
        "https://example.org\\@cdn.discordapp.com/attachments/1/2/a.png",
        "https://127.0.0.1/attachments/1/2/a.png",
        "https://[::1]/attachments/1/2/a.png",
        "https://2130706433/attachments/1/2/a.png",
        "https://169.254.169.254/attachments/latest/meta-data",
        "https://localhost/attachments/1/2/a.png",
        "https://cdn.discordapp.com/api/webhooks/1/token",
        "https://cdn.discordapp.com/attachments/../api/v10/users",
        "https://cdn.dis\u0441ordapp.com/attachments/1/2/a.png",
        "//cdn.discordapp.com/attachments/1/2/a.png",
        "/attachments/1/2/a.png",
        "",
    ],
)
def test_all_other_addresses_are_not(address: str) -> None:
    try:
        parsed = URL(address)
    except ValueError:
        return
    assert not attachments.is_discords(parsed)


class Liar:
    """A misbehaving server in the place of Discord's."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.elsewhere = 0
        self.sent = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        name = request.match_info["name"]
        if name == "redirect":
            raise web.HTTPFound("/elsewhere")
        if name in ("404", "403", "500", "206"):
            return web.Response(status=int(name), body=b"x")
        if name == "gzip":
            return web.Response(body=gzip.compress(bytes(50 * 2**20)), headers={"Content-Encoding": "gzip"})
        if name in ("short", "endless"):
            return await self._stream(request, name)
        return web.Response(body=b"hello", headers={"Set-Cookie": "a=b"})

    async def _stream(self, request: web.Request, name: str) -> web.StreamResponse:
        response = web.StreamResponse()
        if name == "short":
            response.content_length = 10**9
        await response.prepare(request)
        try:
            while name == "endless" or self.sent < 2**20:
                await response.write(bytes(2**16))
                self.sent += 2**16
        except ConnectionError:
            pass
        if name == "short" and request.transport is not None:
            request.transport.close()
        return response

    async def other(self, request: web.Request) -> web.Response:
        self.elsewhere += 1
        return web.Response(body=b"secret")


@pytest_asyncio.fixture
async def liar() -> AsyncIterator[Liar]:
    liar, app = Liar(), web.Application()
    app.router.add_get("/attachments/1/2/{name}", liar.answer)
    app.router.add_get("/elsewhere", liar.other)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    with pointed_at(f"http://127.0.0.1:{runner.addresses[0][1]}"):
        yield liar
    await runner.cleanup()


def attached(name: str, address: str = "") -> str:
    return address or f"{discord.Asset.BASE}/attachments/1/2/{name}"


async def test_a_fetch_does_not_identify_the_requester(liar: Liar) -> None:
    assert await attachments.fetch(attached("good")) == b"hello"
    assert await attachments.fetch(attached("good")) == b"hello"
    for request in liar.asked:
        assert not {"Authorization", "Cookie", "Referer"} & set(request.headers)


async def test_a_redirect_is_not_followed(liar: Liar) -> None:
    with pytest.raises(ClientError):
        await attachments.fetch(attached("redirect"))
    assert liar.elsewhere == 0


@pytest.mark.parametrize("name", ["404", "403", "500", "206", "short"])
async def test_an_incomplete_file_gives_none(liar: Liar, name: str) -> None:
    with pytest.raises(ClientError):
        await attachments.fetch(attached(name))


async def test_a_body_without_end_is_given_up(liar: Liar) -> None:
    data = await asyncio.wait_for(attachments.fetch(attached("endless")), 60)
    assert attachments.MAX_BYTES < len(data) <= attachments.MAX_BYTES + 2**20


async def test_a_packed_body_is_not_unpacked(liar: Liar) -> None:
    assert len(await attachments.fetch(attached("gzip"))) < 2**20


async def test_nothing_is_asked_of_another_host(liar: Liar) -> None:
    for address in ("http://localhost:1/attachments/1/2/a", "http://169.254.169.254/attachments/1/2/a"):
        with pytest.raises(ValueError, match="not an address"):
            await attachments.fetch(attached("a", address))
    assert liar.asked == []


@pytest.mark.parametrize(
    ("name", "content_type"),
    [("a.exe", "application/x-msdownload"), ("..%2f..%2fa.png", "image/png"), ("a.gif", "video/mp4")],
)
async def test_neither_name_nor_type_of_a_file_matter(live: ClientOnLoopback, name: str, content_type: str) -> None:
    upload = Upload(name, flat_png(40, 40), content_type)
    await live.imagine("a", init_image=upload)
    await live.ended()
    assert {path.name for path in live.folder.parent.iterdir()} <= {"data", "healthy"}


async def test_a_file_that_is_too_large_is_refused(live: ClientOnLoopback) -> None:
    live.engine.open.clear()
    answer = await live.imagine("a", init_image=Upload("a.png", bytes(21 * 2**20)))
    assert "The maximum is 20 MiB" in answer.text


async def test_however_many_people_attach_files_only_so_many_are_held_at_a_time(live: ClientOnLoopback) -> None:
    live.engine.open.clear()
    fetch, held, most = live.client.fetch, 0, 0

    async def slowly(attachment: discord.Attachment) -> bytes:
        nonlocal held, most
        held, most = held + 1, max(most, held + 1)
        await asyncio.sleep(0.2)
        try:
            return await fetch(attachment)
        finally:
            held -= 1

    live.client.fetch = slowly
    people = [live.guild.add_member(f"person {number}") for number in range(3 * attachments.AT_ONCE)]
    picture = Upload("a.png", flat_png(40, 40))
    sent = [live.fake.type_imagine(live.channel, person, init_image=picture) for person in people]
    for answer in await asyncio.gather(*sent):
        assert answer.callback is not None
    await live.fake.until(lambda: len(live.channel.posts()) == len(people))
    assert most == attachments.AT_ONCE


async def test_attachment_slots_are_granted_in_turn_and_released() -> None:
    slots, order, held = attachments.AttachmentSlots(), list[int](), 0

    async def use(number: int, files: int) -> None:
        nonlocal held
        async with slots.hold(files):
            held += files
            assert held <= attachments.AT_ONCE
            order.append(number)
            await asyncio.sleep(0)
            held -= files
            if number % 5 == 0:
                raise ValueError

    tasks = [asyncio.create_task(use(number, 1 + number % 4)) for number in range(40)]
    await asyncio.sleep(0)
    tasks[-1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == list(range(39))
    assert await _enters_at_once(slots, attachments.AT_ONCE)


async def test_requests_without_attachments_do_not_wait_for_others() -> None:
    slots = attachments.AttachmentSlots()
    async with slots.hold(attachments.AT_ONCE):
        waiting = asyncio.create_task(_enter(slots, 1))
        await asyncio.sleep(0)
        assert await _enters_at_once(slots, 0)
        assert not waiting.done()
    await waiting


async def _enter(slots: attachments.AttachmentSlots, files: int) -> None:
    async with slots.hold(files):
        pass


async def _enters_at_once(slots: attachments.AttachmentSlots, files: int) -> bool:
    """Return True if the slots are granted within a few turns of the loop."""
    entering = asyncio.create_task(_enter(slots, files))
    for _ in range(5):
        await asyncio.sleep(0)
    return entering.cancel() is False
