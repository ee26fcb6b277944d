"""Backup, restore and moving as docs/hosting.md describes them, with its own commands and the real process."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bot.files import DataFolder, Kind
from tests.discord_fake import BotProcess, Channel, FakeDiscord, Interaction, Member

ROOT = Path(__file__).parents[3]
QUICK = "tests.discord_fake.launch_quick"
CONFIG = "timing: {preview_s: 0.2, snapshot_s: 0.1}\ndiscord: {edit_interval_s: 1.0}\n"


class Machines:
    """One Discord server, and machines on which the bot is set up one after the other."""

    def __init__(self, fake: FakeDiscord, folder: Path) -> None:
        self.fake, self.folder = fake, folder
        guild = fake.world.add_guild()
        self.channel: Channel = guild.add_channel()
        self.ann: Member = guild.add_member("ann")
        self.bots: list[BotProcess] = []

    def another(self) -> BotProcess:
        """A machine without data."""
        place = self.folder / f"machine-{len(self.bots)}"
        place.mkdir()
        self.bots.append(BotProcess(self.fake, place, CONFIG, QUICK))
        return self.bots[-1]

    async def imagine(self, steps: int = 4) -> Interaction:
        return await self.fake.type_imagine(self.channel, self.ann, "a red apple", steps=steps)

    async def posted(self, *job_ids: int) -> None:
        """Wait until the pictures of these jobs are in the channel."""
        wanted = {f"reverie-{job_id}-1.png" for job_id in job_ids}
        await self.fake.until(lambda: wanted <= self.names(), 60)

    def names(self) -> set[str]:
        return {file.filename for message in self.channel.visible() for file in message.attachments}


@pytest_asyncio.fixture
async def machines(fake: FakeDiscord, tmp_path: Path) -> AsyncIterator[Machines]:
    machines = Machines(fake, tmp_path)
    yield machines
    for bot in machines.bots:
        await bot.close()
        assert "Traceback" not in bot.log, bot.log


def program(bot: BotProcess, *words: str) -> str:
    """Run `python -m bot` on a machine's data; return its output."""
    command = [sys.executable, "-m", "bot", "--config", str(bot.folder.parent / "config.yaml"), *words]
    environment = os.environ | {"REVERIE_DATA": str(bot.folder)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def restore_lines() -> list[str]:
    """The document's lines for systemd that empty the data folder and unpack the archive."""
    text = (ROOT / "docs" / "hosting.md").read_text("utf-8").partition("To restore, stop the bot.")[2]
    lines = re.findall(r"^sudo (find /var/lib/reverie .*|python3 -m zipfile .*?)(?: && .*)?$", text, re.MULTILINE)
    assert len(lines) == 2
    return lines


def restore(archive: Path, data: Path) -> None:
    """Follow the document in a temporary folder."""
    data.mkdir(exist_ok=True)
    shell = shutil.which("sh")
    assert shell is not None
    for line in restore_lines():
        line = line.replace("/var/lib/reverie", str(data)).replace("backup.zip", str(archive))
        subprocess.run([shell, "-c", line.replace("python3", sys.executable)], check=True, cwd=archive.parent)


@pytest.mark.parametrize("stopped", [True, False])
async def test_a_moved_bot_continues_its_jobs(machines: Machines, stopped: bool) -> None:
    old, archive = machines.another(), machines.folder / "backup.zip"
    await old.start(FAKE_STEP_S="0.05", FAKE_HELD="12")
    first = await machines.imagine()
    await machines.posted(1)
    await machines.imagine(steps=80)
    await machines.imagine()
    await machines.fake.until(lambda: list((old.folder / "snapshots").rglob("*.safetensors")), 60)
    if stopped:
        assert await old.stop_held() == 0
    program(old, "backup", "--pictures", str(archive))
    if not stopped:
        await old.kill()
    new = machines.another()
    restore(archive, new.folder)
    if stopped:
        assert "Everything the bot needs is in place." in program(new, "doctor")
    await new.start()
    await machines.posted(2, 3)
    assert "job running job=2" in new.log
    assert DataFolder(new.folder).read(Kind.PICTURE, 1, 1) == DataFolder(old.folder).read(Kind.PICTURE, 1, 1)
    assert first.message is not None
    await machines.fake.click(first.message, "reverie:again", machines.ann)
    await machines.posted(4)
    assert len(machines.channel.visible()) == 4


async def test_a_restore_takes_back_what_came_after_the_backup_and_leaves_the_models(machines: Machines) -> None:
    bot, archive = machines.another(), machines.folder / "backup.zip"
    await bot.start()
    await machines.imagine()
    await machines.posted(1)
    program(bot, "backup", "--pictures", str(archive))
    await machines.imagine()
    await machines.posted(2)
    assert await bot.stop() == 0
    (bot.folder / "models" / "some-set").mkdir(parents=True)
    (bot.folder / "models" / "some-set" / "vqgan.safetensors").write_bytes(b"large")
    restore(archive, bot.folder)
    files = DataFolder(bot.folder)
    assert files.job_ids() == {1}
    assert (bot.folder / "models" / "some-set" / "vqgan.safetensors").read_bytes() == b"large"
    await bot.start()
    await machines.imagine()
    await machines.fake.until(lambda: "job done job=2" in bot.log.rpartition("connected")[2], 60)


async def test_a_copy_of_the_database_takes_its_place(machines: Machines) -> None:
    bot, copy = machines.another(), machines.folder / "backup.db"
    await bot.start()
    await machines.imagine()
    await machines.posted(1)
    program(bot, "backup", str(copy))
    await bot.kill()
    (bot.folder / "reverie.db").write_bytes(b"not a database any more")
    for name in ("reverie.db-wal", "reverie.db-shm"):
        (bot.folder / name).unlink(missing_ok=True)
    shutil.copy(copy, bot.folder / "reverie.db")
    await bot.start()
    await machines.imagine()
    await machines.posted(2)
