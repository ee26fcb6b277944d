"""Real: client, service, database, thread and network. Fake: Discord (on loopback) and the dream."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from discord.gateway import KeepAliveHandler

from bot.config import Config
from bot.frontend.client import Reverie, run
from bot.jobs import Job, JobState
from bot.monitoring.heartbeat import Heartbeat
from bot.wiring import build
from generator import Settings
from tests.bot.fake_dream import FakeDreamer
from tests.bot.real_service import until
from tests.discord_fake import TOKEN, FakeDiscord, Interaction, pointed_at

T = TypeVar("T")
SETTINGS = Settings().merged({"size": "64x64", "steps": 4, "cutouts": 4})
TIMEOUT_S = 120.0


class ClientOnLoopback:
    """A server with a channel and people, and the bot in it.

    Attributes:
        fake, guild, channel, ann, admin: the fake Discord and its contents.
        dreamer: the fake engine; `dreamer.open.clear()` makes steps wait.
        client: the bot, while it is started.
    """

    def __init__(self, fake: FakeDiscord, folder: Path, config: Config) -> None:
        self.fake, self.folder, self.config = fake, folder / "data", config
        self.engine = FakeDreamer()
        self.guild = fake.world.add_guild("Test")
        self.channel = self.guild.add_channel("pictures")
        self.ann = self.guild.add_member("ann")
        self.admin = self.guild.add_member("admin", manages=True)
        self.client: Reverie
        self._stop = asyncio.Event()
        self._run: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the bot and wait until it is connected."""
        self.fake.gateway.forget()
        self._stop = asyncio.Event()
        self.client = build(self.config, self.folder, self.engine, SETTINGS)
        self._run = asyncio.create_task(run(self.client, TOKEN, self._stop, Heartbeat(self.folder)))
        ready = asyncio.create_task(self.fake.gateway.ready.wait())
        await asyncio.wait({ready, self._run}, timeout=TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._run.done():
            await self._run
        assert self.fake.gateway.ready.is_set(), "the bot did not connect"

    async def over(self) -> None:
        """Wait until the client ends."""
        assert self._run is not None
        async with asyncio.timeout(TIMEOUT_S):
            await self._run

    async def stop(self) -> None:
        """Stop it as a signal does, also while steps are held; no effect if it has ended."""
        self._stop.set()
        run, self._run = self._run, None
        if run is not None and not run.done():
            await self.engine.let_go(run, lambda: self.client.service.submissions.closed)
        await asyncio.to_thread(_end_heartbeats)

    async def imagine(self, prompt: str = "a red apple", **options: object) -> Interaction:
        """Ann types /imagine; return it once it is answered, and its message shows the job if one was queued."""
        answer = await self.fake.type_imagine(self.channel, self.ann, prompt, **options)
        message = answer.message
        if message is not None and not answer.ephemeral:
            await self.fake.until(message.said)
        return answer

    async def job(self, job_id: int = 1) -> Job:
        """Read a job from the database."""
        job = await self.client.service.store.jobs.get(job_id)
        assert job is not None
        return job

    async def ended(self, job_id: int = 1, state: JobState = JobState.DONE) -> Job:
        """Return the job, once it has reached that state and its message says so."""

        async def look() -> Job | None:
            job = await self.client.service.store.jobs.get(job_id)
            return job if job is not None and job.state is state and job.told else None

        return await until(look, TIMEOUT_S)

    async def until(self, look: Callable[[], Awaitable[T | None]]) -> T:
        """Return the result, once there is one."""
        return await until(look, TIMEOUT_S)


L = TypeVar("L", bound=ClientOnLoopback)


@asynccontextmanager
async def on_a_fake(kind: type[L], folder: Path, config: Config, *, started: bool = True) -> AsyncIterator[L]:
    """A bot with its own fake Discord, stopped at the end; all that it sent must match Discord's description."""
    async with FakeDiscord() as fake:
        # Test machines are busy now and then.
        fake.rest.answer_within_s = 30.0
        with pointed_at(fake.url):
            live = kind(fake, folder, config)
            if started:
                await live.start()
            yield live
            fake.faults.clear()
            live.engine.open.set()
            await live.stop()
    assert not fake.problems()


def _end_heartbeats() -> None:
    """Wait for discord.py's heartbeat threads, which would otherwise wake on a closed event loop."""
    for thread in threading.enumerate():
        if isinstance(thread, KeepAliveHandler):
            thread.stop()
            thread.join(TIMEOUT_S)
