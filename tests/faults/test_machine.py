"""Faults of the machine under the bot's process: a locked or damaged database, missing rights, a second bot, a stop."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.discord_fake import BotProcess, FakeDiscord, Interaction, Upload
from tests.faults.machine import CONFIG, QUICK, Machine, shown

pytestmark = pytest.mark.waits

HINDERED = "tests.faults.launch_hindered"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c4944415408d763f8cfc000000301010018dd8db00000000049454e44ae426082"
)


@pytest_asyncio.fixture
async def fake() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord() as fake:
        fake.rest.answer_within_s = 30.0
        yield fake
    assert not fake.problems()


@pytest.fixture
def rate() -> float:
    return 1.0


@pytest.fixture
def config() -> str:
    return CONFIG


@pytest_asyncio.fixture
async def machine(fake: FakeDiscord, tmp_path: Path, rate: float, config: str) -> AsyncIterator[Machine]:
    machine = Machine(fake, tmp_path, HINDERED, config=config, rate=rate)
    yield machine
    await machine.bot.close()


waits_less = pytest.mark.parametrize("rate", [5.0])


async def finishes_a_picture(machine: Machine, job_id: int = 1) -> None:
    """Wait until a job is running and has a snapshot."""
    await machine.fake.until(lambda: machine.state(job_id) == "running", 60)
    await machine.fake.until(lambda: list(machine.data.rglob("*-1.safetensors")))


class Lock:
    """Another program that holds the database to write into it."""

    def __init__(self, machine: Machine) -> None:
        self._db = sqlite3.connect(machine.data / "reverie.db", isolation_level=None)

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, *error: object) -> None:
        self._db.rollback()
        self._db.close()


@waits_less
async def test_a_database_that_another_program_locks_delays_pictures_and_loses_none(machine: Machine) -> None:
    await machine.start(FAKE_STEP_S="0.05", FAKE_HELD="12")
    await machine.imagine(steps=40)
    await finishes_a_picture(machine)
    with Lock(machine):
        # Longer than SQLite itself waits: the picture is finished meanwhile and cannot be recorded.
        refused = await machine.imagine("a green tree")
        await machine.fake.until(lambda: refused.ephemeral or refused.followups)
        assert "cannot read or write" in shown(refused)
        machine.bot.go_on()
        await machine.fake.until(lambda: "it has to wait" in machine.bot.log)
    await machine.done(1)
    machine.bot.hold()
    await machine.imagine("a blue bird", steps=40)
    await finishes_a_picture(machine, 2)
    with Lock(machine):
        machine.bot.go_on()
        await machine.fake.until(lambda: machine.bot.log.count("it has to wait") >= 2)
    await machine.done(2)
    assert len(machine.channel.posts()) == 2
    assert await machine.bot.stop() == 0


@waits_less
@pytest.mark.parametrize("config", [CONFIG.replace("preview_s: 0.2", "preview_s: 60")], ids=["no previews"])
async def test_a_post_that_cannot_be_noted_is_not_made_twice(machine: Machine) -> None:
    await machine.start()
    upload = machine.fake.faults.hold("PATCH", "*", times=None, uploads=True)
    await machine.imagine()
    await machine.fake.until(lambda: machine.state(1) == "posting")
    await machine.fake.until(lambda: machine.rows("SELECT post_tries FROM jobs")[0]["post_tries"])
    with Lock(machine):
        assert upload.gate is not None
        upload.gate.set()
        await machine.fake.until(lambda: machine.channel.posts()[0].attachments)
        await machine.fake.until(lambda: "Another program has locked" in machine.bot.log)
    await machine.done(1)
    assert len(machine.channel.posts()) == 1


async def test_a_data_folder_without_rights_delays_the_picture(machine: Machine) -> None:
    await machine.start(FAKE_STEP_S="0.05", FAKE_HELD="12")
    await machine.imagine(steps=40)
    await finishes_a_picture(machine)
    folders = [path for path in (machine.data, *machine.data.rglob("*")) if path.is_dir()]
    for folder in folders:
        folder.chmod(0o500)
    machine.bot.go_on()
    await machine.fake.until(lambda: "it has to wait" in machine.bot.log)
    assert "cannot be used (Permission denied)" in machine.bot.log
    queue = await (await machine.fake.type_command(machine.channel, machine.ann, "queue")).answered()
    assert "#1" in queue.text
    for folder in folders:
        folder.chmod(0o700)
    await machine.done(1)
    assert not machine.leftovers()
    assert await machine.bot.stop() == 0


async def test_a_start_without_rights_ends_with_a_sentence(machine: Machine) -> None:
    machine.data.mkdir()
    machine.data.chmod(0o500)
    with pytest.raises(AssertionError, match="did not start"):
        await machine.start()
    assert await machine.bot.ended() == 1
    assert "belongs to the user who runs the bot" in machine.bot.log
    machine.data.chmod(0o700)
    await machine.start()
    await machine.imagine()
    await machine.done(1)


async def test_a_log_that_cannot_be_written_disturbs_nothing(machine: Machine) -> None:
    await machine.start()
    os.kill(machine.bot.pid, signal.SIGUSR1)
    for job_id in range(1, 5):
        await machine.imagine()
        await machine.done(job_id)
    os.kill(machine.bot.pid, signal.SIGUSR2)
    await machine.imagine()
    await machine.done(5)
    await machine.fake.until(lambda: "job=5" in machine.bot.log)
    assert await machine.bot.stop() == 0


async def test_a_second_bot_on_the_same_data_is_refused_and_the_first_goes_on(machine: Machine, tmp_path: Path) -> None:
    await machine.start(FAKE_STEP_S="0.05", FAKE_HELD="12")
    await machine.imagine(steps=60)
    await finishes_a_picture(machine)
    second = BotProcess(machine.fake, tmp_path, CONFIG, QUICK)
    with pytest.raises(AssertionError, match="did not start"):
        await second.start()
    assert await second.ended() == 1
    assert "is in use by another Reverie" in second.log
    machine.bot.go_on()
    await machine.done(1)
    assert len(machine.channel.posts()) == 1


async def test_a_damaged_database_is_refused_until_the_backup_is_in_its_place(
    fake: FakeDiscord, tmp_path: Path
) -> None:
    machine, copy = Machine(fake, tmp_path), tmp_path / "copy.db"
    database = machine.data / "reverie.db"
    try:
        await machine.start()
        await machine.imagine()
        await machine.done(1)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "backup", str(copy), env=os.environ | {"REVERIE_DATA": str(machine.data)}
        )
        assert await process.wait() == 0
        assert await machine.bot.stop() == 0
        damage(database)
        await machine.bot.spawn()
        assert await machine.bot.ended() == 1
        assert f"{database} is damaged" in machine.bot.log and "python -m bot backup" in machine.bot.log
        assert "Traceback" not in machine.bot.log
        database.rename(tmp_path / "damaged.db")
        shutil.copy(copy, database)
        await machine.start()
        (message,) = machine.channel.posts()
        await machine.fake.click(message, "reverie:again", machine.ann)
        await machine.done(2)
    finally:
        await machine.bot.close()


def damage(database: Path) -> None:
    """Overwrite the page that holds the root of the table of jobs."""
    with sqlite3.connect(database) as db:
        ((page,),) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'jobs'").fetchall()
        ((size,),) = db.execute("PRAGMA page_size").fetchall()
    db.close()
    data = bytearray(database.read_bytes())
    data[(page - 1) * size : page * size] = b"\xff" * size
    database.write_bytes(data)


@pytest.mark.parametrize("slow", ["the file that is attached", "the way back"])
async def test_a_request_just_before_a_stop_is_answered(machine: Machine, slow: str) -> None:
    await machine.start()
    if slow == "the way back":
        machine.fake.faults.slow("POST", "/interactions/*", 1.5)
    else:
        machine.fake.files_open.clear()
    given = {"init_image": Upload("a.png", PNG)} if slow == "the file that is attached" else {}
    asked: Interaction = await machine.fake.type_command(
        machine.channel, machine.ann, "imagine", prompt="a red apple", **given
    )
    await machine.fake.until(lambda: machine.fake.sent("POST", "/interactions/"))
    stopping, before = asyncio.create_task(machine.bot.stop()), machine.bot.log.count("draining")
    if slow != "the way back":
        await machine.fake.until(lambda: machine.bot.log.count("draining") > before)
        machine.fake.files_open.set()
    assert await stopping == 0
    assert shown(asked), "nobody told Ann what came of it"
    await machine.start()
    if slow == "the way back":
        await machine.done(1)
    else:
        assert not machine.rows("SELECT * FROM jobs")


async def test_a_request_while_the_bot_stops_is_refused(machine: Machine) -> None:
    await machine.start(FAKE_HELD="0")
    await machine.imagine(steps=4)
    await machine.fake.until(lambda: "a step begins" in machine.bot.log, 60)
    stopping = asyncio.create_task(machine.bot.stop())
    await machine.fake.until(lambda: "draining" in machine.bot.log)
    late = await machine.imagine("a green tree")
    await machine.fake.until(lambda: late.ephemeral or late.followups)
    assert "restart" in shown(late).lower(), shown(late)
    machine.bot.go_on()
    assert await stopping == 0
    assert [row["state"] for row in machine.rows("SELECT state FROM jobs")] == ["queued"]
