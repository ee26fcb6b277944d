"""Shared parts of all campaigns: Discord with its crowd, the process, its configuration, the final wait. Event loop.

A campaign repeats a fault while people continue to request pictures; then everything comes to rest, the
process is stopped, and the ledger is asked.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.discord_fake import TOKEN, BotProcess, FakeDiscord
from tests.faults import crowd, undisturbed
from tests.faults.crowd import Crowd, Taste
from tests.faults.ledger import Account, Ledger, waits

CONFIG = """
timing: {preview_s: 0.2, snapshot_s: 0.1, access_s: 1.0}
discord: {edit_interval_s: 1.0}
limits: {daily: 0, queue_user: 20, queue_server: 50}
log: {level: info}
"""
QUICK, STARTER = "tests.discord_fake.launch_quick", "tests.discord_fake.launch"
NETWORK_ERRORS = ("socket.gaierror", "aiohttp.", "discord.", "ConnectionResetError", "TimeoutError", "OSError")
"""Errors that discord.py logs by itself, and those raised by an interaction that cannot be answered."""
REST_S = 300.0
"""Longest time for everything to come to rest."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Settings of a campaign.

    Attributes:
        starter: use the starter models instead of the quick fake engine.
        rate: number of times as fast that time passes for the process.
        fresh: start it by a Python of its own each time, as a host does.
    """

    seed: int = 1
    starter: bool = False
    guilds: int = 3
    rate: float = 1.0
    fresh: bool = True

    @property
    def life_s(self) -> float:
        """Maximum time that people act freely before a moment is awaited: pictures take time to generate."""
        return 4.0 if self.starter else 0.5

    @property
    def taste(self) -> Taste:
        """The requests that the crowd makes."""
        if self.starter:
            return Taste(options={"size": "64x64", "cutouts": 4, "start": "random"}, steps=(6, 20), most_waiting=4)
        return Taste(options={"size": "64x64", "start": "random"})

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of the process."""
        return {"OMP_NUM_THREADS": "1", "FAKE_STEP_S": "0.01", "FAKE_RATE": str(self.rate)}


@dataclass
class Scene:
    """World, process and random numbers of one campaign."""

    fake: FakeDiscord
    bot: BotProcess
    people: Crowd
    plan: Plan
    rng: random.Random
    environment: dict[str, str] = field(default_factory=dict)
    """Environment variables of the process, in addition to those of the plan."""

    async def start(self) -> float:
        """Start the process; return the seconds until it was connected."""
        began = time.monotonic()
        await self.bot.start(**self.plan.environment | self.environment)
        return time.monotonic() - began

    @asynccontextmanager
    async def busy(self, at_once: int = 1) -> AsyncIterator[None]:
        """Have people act in the meantime, `at_once` at a time."""
        living = [asyncio.create_task(self.people.live()) for _ in range(at_once)]
        try:
            yield
        finally:
            for task in living:
                task.cancel()
            ends = await asyncio.gather(*living, return_exceptions=True)
        for end in ends:
            if not isinstance(end, asyncio.CancelledError):
                raise RuntimeError("the crowd broke") from end

    async def rest(self) -> None:
        """Wait until no job is unfinished, every end was reported, and no message of a deleted job is left.

        Raises:
            AssertionError: if that does not come to pass.
        """
        end = time.monotonic() + REST_S
        while ((left := await asyncio.to_thread(self.unsettled)) or self.forsaken()) and time.monotonic() < end:
            assert self.bot.alive, f"the bot ended by itself:\n{''.join(self.bot.lines[-40:])}"
            await asyncio.sleep(0.2)
        assert not left, f"these jobs did not come to an end within {REST_S} s: {left}"

    def unsettled(self) -> list[tuple[int, str]]:
        """Jobs that have not ended, or whose end was not reported, with their states."""
        return self.select("SELECT id, state FROM jobs WHERE state IN ('queued', 'running', 'posting') OR told = 0")

    def forsaken(self) -> list[int]:
        """Deleted jobs of which a message seems to wait: the bot tries to remove it, several times if it must."""
        there = {job_id for job_id, _ in self.select("SELECT id, state FROM jobs")}
        shown = {crowd.job_of(message) for message in self.people.messages() if waits(message)}
        return sorted(job_id for job_id in shown if job_id is not None and job_id not in there)

    def select(self, sql: str) -> list[tuple[int, str]]:
        """Rows of a query; none while there is no database."""
        path = self.bot.folder / "reverie.db"
        if not path.exists():
            return []
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return list(db.execute(sql))
        except sqlite3.OperationalError:
            return []  # Its tables are not made yet.
        finally:
            db.close()

    async def account(self) -> Account:
        """Stop the process and ask the ledger."""
        status = await self.bot.stop()
        expected = undisturbed.starter if self.plan.starter else undisturbed.quick
        ledger = Ledger(self.people, self.bot.folder, self.bot.log)
        found = await asyncio.to_thread(lambda: ledger.account(expected()))
        if status != 0:
            found.broken.append(f"the exit status was {status}")
        found.broken += self.fake.problems()
        if TOKEN in self.bot.log or any(token in self.bot.log for token in self.fake.interactions.all):
            found.broken.append("a secret is in the log")
        found.broken += [f"the bot broke: {line}" for line in unexpected(self.bot.lines)]
        return found


def unexpected(lines: list[str]) -> list[str]:
    """Last lines of the tracebacks in a log, without those of ordinary network errors."""
    found, within = [], False
    for line in lines:
        within = within or line.startswith("Traceback (most recent call last)")
        if within and line[:1] not in (" ", "\n") and not line.startswith(("Traceback", "The above", "During")):
            within = False
            found += [] if line.startswith(NETWORK_ERRORS) else [line.strip()]
    return found


@asynccontextmanager
async def scene(plan: Plan, folder: Path, *, host: str = "127.0.0.1") -> AsyncIterator[Scene]:
    """A world with people, and a process that is not started yet; everything is stopped at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(plan.seed)
    async with FakeDiscord(host=host) as fake:
        bot = BotProcess(fake, folder, CONFIG, STARTER if plan.starter else QUICK, fresh=plan.fresh)
        people = Crowd(fake, plan.taste, random.Random(plan.seed + 1), guilds=plan.guilds)
        try:
            yield Scene(fake, bot, people, plan, rng)
        finally:
            await bot.close()
