"""A full disk at every write of a job: the bot reports it, waits, and continues once there is space.

A round empties the log of the database, leaves so many blocks free, and asks for a picture: each block more lets one
write more through before the next finds no room. A refused job was never queued; a queued one is done in the end.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from bot.monitoring.heartbeat import STALE_S
from tests.discord_fake import FakeDiscord
from tests.faults.machine import CONFIG, Machine, shown
from tests.faults.small_disk import BLOCK, ME, ROOT, SmallDisk

pytestmark = pytest.mark.waits

RATE = 5.0
DISK_BYTES = 16 * 2**20
STEP_S = "0.03"
_FILE = re.compile(r"data/(latents|timelapses|pictures|snapshots|reverie\.db)")


@pytest_asyncio.fixture
async def fake() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord() as fake:
        fake.rest.answer_within_s = 30.0
        yield fake
    assert not fake.problems()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    try:
        with SmallDisk(tmp_path / "data", DISK_BYTES) as disk:
            yield disk
    except OSError as exc:
        pytest.skip(str(exc))


@pytest.fixture
def config() -> str:
    return CONFIG


@pytest_asyncio.fixture
async def machine(fake: FakeDiscord, tmp_path: Path, disk: SmallDisk, config: str) -> AsyncIterator[Machine]:
    machine = Machine(fake, tmp_path, config=config, disk=disk, rate=RATE)
    await machine.start(FAKE_STEP_S=STEP_S)
    yield machine
    await machine.bot.close()


class Sweep:
    """Rounds with increasing free space.

    Attributes:
        outcomes: how often a picture was `refused`, came `late`, came `undisturbed`.
        hit: for which files there was no room.
    """

    def __init__(self, machine: Machine, disk: SmallDisk) -> None:
        self._machine, self._disk = machine, disk
        self.outcomes: Counter[str] = Counter()
        self.hit: set[str] = set()

    async def run(self, rounds: Iterable[int], *, count: int = 1) -> None:
        """One round for each number of free blocks, with `count` pictures each."""
        for blocks in rounds:
            self.outcomes[await self._round(blocks, count)] += 1

    async def _round(self, blocks: int, count: int) -> str:
        machine, job_id = self._machine, self._last() + 1
        machine.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        seen = len(machine.bot.lines)
        self._disk.leave(blocks * BLOCK)
        answer = await machine.imagine(steps=8, count=count)
        await machine.fake.until(lambda: answer.ephemeral or self._full(seen) or machine.state(job_id) == "done", 60)
        # Some further attempts find the disk full as well.
        await asyncio.sleep(0.7 / RATE if self._full(seen) and blocks % 3 == 0 else 0.0)
        self._disk.clear()
        full = self._full(seen)
        self.hit |= full
        if not machine.state(job_id):
            await machine.fake.until(lambda: answer.ephemeral or answer.followups)
            assert "cannot read or write" in shown(answer), shown(answer)
            return "refused"
        await machine.done(job_id, count=count)
        return "late" if full else "undisturbed"

    def _full(self, seen: int) -> set[str]:
        """Files that did not fit, from the log's new lines."""
        lines = [line for line in self._machine.bot.lines[seen:] if "disk is full" in line]
        return {found[1] for line in lines if (found := _FILE.search(line)) is not None}

    def _last(self) -> int:
        return max((int(str(row["id"])) for row in self._machine.rows("SELECT id FROM jobs")), default=0)


async def settled(machine: Machine, sweep: Sweep) -> None:
    """Every message shows a picture, each job has one, and no partial file is left."""
    jobs = machine.rows("SELECT state FROM jobs")
    assert {str(job["state"]) for job in jobs} == {"done"}
    # The public "thinking" of an order that was refused privately goes after the refusal.
    try:
        await machine.fake.until(lambda: len(machine.channel.posts()) == len(jobs))
    except AssertionError as exc:
        known = {row["message_id"] for row in machine.rows("SELECT message_id FROM jobs")}
        orphans = [f"{post.id}: {post.said()}" for post in machine.channel.posts() if post.id not in known]
        raise AssertionError(f"messages of no job: {orphans}\n{machine.bot.log[-200_000:]}") from exc
    assert len(jobs) == sweep.outcomes["late"] + sweep.outcomes["undisturbed"]
    assert not machine.leftovers()
    assert await machine.bot.stop() == 0


async def test_a_full_disk_refuses_or_delays_a_picture_and_loses_none(machine: Machine, disk: SmallDisk) -> None:
    sweep = Sweep(machine, disk)
    await sweep.run((0, 10, 22, 60))
    await sweep.run((30,), count=2)
    assert sweep.outcomes["refused"] and sweep.outcomes["late"] and sweep.outcomes["undisturbed"]
    await settled(machine, sweep)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "files"),
    [
        (CONFIG, {"reverie.db", "snapshots"}),
        # A snapshot for each step would be the first to find no room, and the files of a finished picture never.
        (CONFIG.replace("snapshot_s: 0.1", "snapshot_s: 600"), {"reverie.db", "latents", "timelapses", "pictures"}),
    ],
    ids=["with snapshots", "without snapshots"],
)
async def test_a_full_disk_at_every_single_write_loses_nothing(
    machine: Machine, disk: SmallDisk, files: set[str]
) -> None:
    sweep = Sweep(machine, disk)
    await sweep.run(range(48))
    await sweep.run(range(20, 40, 2), count=2)
    # Other writes take a block now and then, so that a file may have found room by chance.
    for blocks in range(6, 48):
        if not files <= sweep.hit:
            await sweep.run((blocks,))
    assert files <= sweep.hit
    await settled(machine, sweep)


async def test_the_heartbeat_returns_once_the_disk_has_space(machine: Machine, disk: SmallDisk) -> None:
    pulse = disk.inside / "pulse.json"
    await machine.fake.until(pulse.is_file)
    disk.leave(0)
    await machine.fake.until(lambda: "no sign of life can be written" in machine.bot.log)
    assert STALE_S > 30, "a few missed beats are no alarm"
    disk.clear()
    before = pulse.stat().st_mtime
    await machine.fake.until(lambda: pulse.stat().st_mtime > before)
    assert not machine.leftovers()


@pytest.mark.parametrize("pictures", [False, True])
async def test_a_backup_to_a_full_disk_says_so_and_leaves_nothing(
    machine: Machine, disk: SmallDisk, pictures: bool
) -> None:
    await machine.imagine()
    await machine.done(1)
    target = machine.bot.folder / "copy.db"
    before = {path.name for path in disk.inside.iterdir()}
    disk.leave(4 * BLOCK)
    flags = ["--pictures"] if pictures else []
    given = {"REVERIE_DATA": str(machine.bot.folder)} | disk.runs("bot")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", ME, "backup", str(target), *flags, cwd=ROOT, env=os.environ | given, stderr=-1
    )
    _, said = await process.communicate()
    assert process.returncode == 1
    assert b"The disk is full" in said and b"Traceback" not in said
    disk.clear()
    assert {path.name for path in disk.inside.iterdir()} == before
    await machine.imagine()
    await machine.done(2)


async def test_a_quota_that_is_reached_is_not_called_a_full_disk_and_loses_nothing(
    fake: FakeDiscord, tmp_path: Path
) -> None:
    machine = Machine(fake, tmp_path)
    await machine.start(FAKE_STEP_S=STEP_S)
    try:
        await machine.imagine()
        await machine.done(1)
        # From now on no file may grow, which is what a quota or a file system of another kind does.
        resource.prlimit(machine.bot.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        refused = await machine.imagine()
        await machine.fake.until(lambda: refused.ephemeral or refused.followups)
        await asyncio.sleep(1.0)
        resource.prlimit(machine.bot.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert "cannot read or write" in shown(refused)
        assert "SQLITE_IOERR_WRITE" in machine.bot.log and "disk is full" not in machine.bot.log
        await machine.imagine()
        await machine.done(2)
        assert await machine.bot.stop() == 0
    finally:
        await machine.bot.close()
