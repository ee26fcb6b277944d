"""A service with web galleries on a free port, and a visitor."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
import pytest_asyncio
from multidict import CIMultiDictProxy

from bot.config import Config, Gallery
from bot.jobs import Job
from bot.service import JobSpec, Requester
from bot.web.server import GalleryServer
from tests.bot.real_service import BEN, CHANNEL, QUICK, RealService, requester

ADMIN = requester(BEN, manages=True)


@dataclass
class Channels:
    """Servers and channels as Discord describes them."""

    open_ones: set[int] = field(default_factory=lambda: {CHANNEL})
    known_as: str | None = "Test"

    def name(self, guild_id: int) -> str | None:
        return self.known_as

    def open_channels(self, guild_id: int) -> frozenset[int]:
        return frozenset(self.open_ones)


@dataclass
class Visitor:
    """A browser without scripts at the gallery of a server."""

    bench: RealService
    places: Channels
    base: str
    secret: str = ""

    async def get(self, path: str = "", **headers: str) -> tuple[int, str, CIMultiDictProxy[str]]:
        """Status, text and headers of a page below the link."""
        status, data, found = await self.load(path, **headers)
        return status, data.decode(), found

    async def load(self, path: str = "", **headers: str) -> tuple[int, bytes, CIMultiDictProxy[str]]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        address = f"{self.base}/{self.secret}/{path}"
        async with aiohttp.ClientSession() as session, session.get(address, headers=sent) as answer:
            return answer.status, await answer.read(), answer.headers

    async def paint(self, prompt: str = "a red apple", who: Requester | None = None, **values: object) -> Job:
        """A finished picture in the public channel, posted with a message of its own."""
        who = who or requester(public_channel_id=CHANNEL)
        spec = JobSpec(prompt=prompt, settings=QUICK, **values)
        job = (await self.bench.service.submissions.submit(who, spec)).job
        return await self.bench.post(job.id, message_id=1_000 + job.id)

    async def addresses(self, job_id: int, number: int = 1) -> list[str]:
        """The page of a picture and all files that list and page name."""
        page = f"p/{job_id}-{number}"
        _, text, _ = await self.get(page)
        _, listed, _ = await self.get()
        names = re.findall(rf'f/({job_id}-{number}-[\w.-]+)"', listed + text)
        return [page, *(f"f/{name}" for name in dict.fromkeys(names))]

    async def statuses(self, addresses: list[str]) -> list[int]:
        return [(await self.load(address))[0] for address in addresses]

    async def shows(self, job_id: int) -> bool:
        """True if the list has a picture of a job."""
        return f'href="p/{job_id}-' in (await self.get())[1]


@pytest_asyncio.fixture
async def visitor(tmp_path: Path, config: Config) -> AsyncIterator[Visitor]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = replace(config, gallery=Gallery(port=port))
    bench, places = RealService(tmp_path / "data", config), Channels()
    service = await bench.start()
    async with GalleryServer(config, service.web_gallery, service.files, places):
        found = Visitor(bench, places, config.gallery.public_address)
        found.secret = await service.web_gallery.renew(ADMIN)
        yield found
    bench.engine.open.set()
    await service.close()
