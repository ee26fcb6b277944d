"""Clocks that jump forward and back while jobs wait, run, wait for access, or are finished."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bot.files import DataFolder, Kind
from tests.discord_fake import FakeDiscord
from tests.faults.machine import Machine

pytestmark = pytest.mark.waits

DAY_S = 86_400
CONFIG = """
timing: {preview_s: 0.2, snapshot_s: 0.1, access_s: 1.0, access_give_up_s: 3600, retention_s: 1.0}
discord: {edit_interval_s: 1.0}
limits: {queue_user: 50, cooldown_s: 1, daily: 100}
retention_days: 2
log: {level: debug}
"""
RATE = 5.0
COOL_S, ROUNDS_S = 1.1, 2.5 / RATE
"""Time for a cooldown, which goes by the date, and for two rounds of retention and of access retries."""


class Shifted(Machine):
    """A bot with an adjustable clock."""

    def __init__(self, fake: FakeDiscord, folder: Path) -> None:
        super().__init__(fake, folder, "tests.faults.launch_shifted", config=CONFIG, rate=RATE)
        self._file = folder / "shift"
        self.set(0)

    def set(self, shift_s: float) -> None:
        """Set the error of its clock."""
        beside = self._file.with_suffix(".part")
        beside.write_text(str(shift_s))
        beside.replace(self._file)

    async def begin(self, **environment: str) -> None:
        """Start it."""
        await self.start(SHIFT_FILE=str(self._file), **environment)

    def keeps(self, job_id: int) -> bool:
        """True if a job's picture and row both still exist."""
        return DataFolder(self.data).read(Kind.PICTURE, job_id, 1) is not None and bool(self.state(job_id))


@pytest_asyncio.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Shifted]:
    async with FakeDiscord() as fake:
        fake.rest.answer_within_s = 30.0
        machine = Shifted(fake, tmp_path)
        yield machine
        await machine.bot.close()
    assert not fake.problems()
    assert "Traceback" not in machine.bot.log


@pytest.mark.parametrize("hours", [24 * 5, -5], ids=lambda hours: f"{hours:+} h")
async def test_a_clock_that_jumps_and_comes_back_loses_nothing(machine: Shifted, hours: int) -> None:
    await machine.begin(FAKE_STEP_S="0.05")
    await machine.imagine()
    await machine.done(1)
    await asyncio.sleep(COOL_S)
    await machine.imagine(steps=30)
    machine.set(hours * 3_600)
    await asyncio.sleep(COOL_S)
    await machine.imagine("a green tree")
    await machine.done(2)
    await machine.done(3)
    await asyncio.sleep(ROUNDS_S)
    machine.set(0)
    await asyncio.sleep(ROUNDS_S)
    await machine.imagine("a blue bird")
    await machine.done(4)
    assert [machine.keeps(job_id) for job_id in (1, 2, 3, 4)] == [True] * 4
    # On a busy machine an answer may come so late that another message takes its place.
    shown = [file.filename for post in machine.channel.posts() for file in post.attachments]
    assert sorted(shown) == [f"reverie-{job_id}-1.png" for job_id in (1, 2, 3, 4)]
    assert await machine.bot.stop() == 0


@pytest.mark.parametrize("days", [30, -7_000], ids=["a month ahead", "in the year 2007"])
async def test_a_start_with_the_wrong_date_deletes_no_young_picture(machine: Shifted, days: int) -> None:
    await machine.begin()
    await machine.imagine()
    await machine.done(1)
    await machine.bot.stop()
    machine.set(days * DAY_S)
    await machine.begin()
    await machine.imagine("a green tree")
    await machine.done(2)
    await machine.fake.until(lambda: "the clock is wrong" in machine.bot.log)
    await asyncio.sleep(ROUNDS_S)
    assert machine.keeps(1) and machine.keeps(2)
    # Set the clock right and start again.
    machine.set(0)
    await machine.bot.stop()
    await machine.begin()
    await asyncio.sleep(ROUNDS_S)
    assert machine.keeps(1) and machine.keeps(2)


async def test_a_jump_forward_does_not_give_up_what_waits_for_access(machine: Shifted) -> None:
    await machine.begin(FAKE_HELD="10")
    await machine.imagine(steps=20)
    machine.fake.expire_tokens()
    machine.channel.closed = True
    machine.bot.go_on()
    await machine.fake.until(lambda: (machine.row(1) or {}).get("waiting_since") is not None, 60)
    machine.set(30 * DAY_S)
    await asyncio.sleep(ROUNDS_S)
    assert machine.state(1) == "posting"
    machine.set(0)
    machine.channel.closed = False
    await machine.done(1)


async def test_a_jump_back_does_not_delay_the_message_of_a_job_whose_answer_was_lost(machine: Shifted) -> None:
    await machine.begin(FAKE_HELD="1")
    machine.fake.faults.refuse("POST", "/interactions/*", 404, 10062, times=None)
    machine.fake.faults.refuse("GET", "/webhooks/*", 404, 10008, times=None)
    await machine.fake.type_command(machine.channel, machine.ann, "imagine", prompt="a red apple", steps=60)
    await machine.fake.until(lambda: machine.state(1) == "running", 60)
    machine.set(-5 * 3_600)
    await machine.fake.until(machine.channel.visible)
    assert machine.state(1) == "running"
    assert await machine.bot.stop_held() == 0
    await machine.begin()
    await machine.done(1)
    assert len(machine.channel.posts()) == 1
