"""The bot as a process: killed, stopped and restarted, it loses nothing and posts nothing twice."""

from __future__ import annotations

import re
import signal
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bot.files import DataFolder, Kind
from tests.discord_fake import TOKEN, BotProcess, Channel, Cut, FakeDiscord, Interaction, Member, Message

pytestmark = pytest.mark.waits

QUICK = "tests.discord_fake.launch_quick"
CONFIG = """
timing: {preview_s: 0.2, snapshot_s: 0.1, access_s: 1.0}
discord: {edit_interval_s: 1.0}
log: {level: debug}
"""
BY_TOKEN, AS_BOT = "/webhooks/*", "/channels/*/messages/*"


class Scene:
    """A server with a channel and Ann, and a bot in a separate process."""

    def __init__(self, fake: FakeDiscord, folder: Path, module: str = QUICK) -> None:
        self.fake = fake
        guild = fake.world.add_guild()
        self.channel: Channel = guild.add_channel()
        self.ann: Member = guild.add_member("ann")
        self.bot = BotProcess(fake, folder, CONFIG, module)

    async def imagine(self, prompt: str = "a red apple", **options: object) -> Interaction:
        return await self.fake.type_imagine(self.channel, self.ann, prompt, **options)

    async def running(self, answer: Interaction) -> Message:
        """Return the message of a job, once it shows a preview and there is a snapshot."""
        message = answer.message
        assert message is not None
        await self.fake.until(lambda: message.attachments, 60)
        await self.fake.until(lambda: list((self.bot.folder / "snapshots").rglob("*.safetensors")))
        return message

    async def done(self, job_id: int = 1) -> list[Message]:
        """Return the channel's messages, once the job's picture is posted and its row says so."""
        name = f"reverie-{job_id}-1.png"
        await self.fake.until(lambda: any(name in names(message) for message in self.channel.visible()), 90)
        await self.fake.until(lambda: self.state(job_id) == "done")
        return self.channel.visible()

    def state(self, job_id: int = 1) -> str:
        """Read the job's state from the database."""
        with sqlite3.connect(f"file:{self.bot.folder / 'reverie.db'}?mode=ro", uri=True) as db:
            (state,) = db.execute("SELECT state FROM jobs WHERE id = ?", (job_id,)).fetchone()
        db.close()
        return str(state)

    def picture(self, job_id: int = 1) -> bytes | None:
        """Read the stored picture."""
        return DataFolder(self.bot.folder).read(Kind.PICTURE, job_id, 1)


def names(message: Message) -> list[str]:
    return [file.filename for file in message.attachments]


@pytest_asyncio.fixture
async def scene(fake: FakeDiscord, tmp_path: Path) -> AsyncIterator[Scene]:
    scene = Scene(fake, tmp_path)
    yield scene
    await scene.bot.close()
    assert TOKEN not in scene.bot.log
    assert not [token for token in fake.interactions.all if token in scene.bot.log]
    assert "Traceback" not in scene.bot.log, scene.bot.log


async def test_a_job_killed_while_running_resumes_and_is_posted_once(scene: Scene) -> None:
    await scene.bot.start(FAKE_STEP_S="0.1", FAKE_HELD="12")
    answer = await scene.imagine(steps=60)
    await scene.imagine("a green tree")
    message = await scene.running(answer)
    await scene.bot.kill()
    assert (scene.state(1), scene.state(2)) == ("running", "queued")
    await scene.bot.start()
    await scene.done(2)
    first, second = await scene.done(1)
    assert first is message and names(second) == ["reverie-2-1.png"]
    assert first.attachments[0].data == scene.picture()
    assert re.search("job interrupted job=1 ", scene.bot.log)


async def test_killed_when_discord_has_the_picture_and_the_bot_not_the_answer_it_is_posted_once(scene: Scene) -> None:
    await scene.bot.start(FAKE_STEP_S="0.1", FAKE_HELD="12")
    answer = await scene.imagine(steps=20)
    message = await scene.running(answer)
    scene.fake.expire_tokens()
    message.deleted = True
    scene.fake.faults.cut("POST", "/channels/*/messages", Cut.AFTER, times=None)
    scene.bot.go_on()
    await scene.fake.until(lambda: any("reverie-1-1.png" in names(item) for item in scene.channel.visible()))
    await scene.bot.kill()
    scene.fake.faults.clear()
    await scene.bot.start()
    (posted,) = await scene.done()
    assert names(posted) == ["reverie-1-1.png"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_is_shown_in_the_message_and_the_next_start_continues(
    scene: Scene, number: signal.Signals
) -> None:
    await scene.bot.start(FAKE_STEP_S="0.1", FAKE_HELD="12")
    message = await scene.running(await scene.imagine(steps=60))
    assert await scene.bot.stop_held(number) == 0
    assert "nterrupted" in message.said(), message.said()
    assert scene.state() == "queued"
    await scene.bot.start()
    (posted,) = await scene.done()
    assert posted is message


async def test_a_stop_ends_although_discord_does_not_answer(scene: Scene) -> None:
    await scene.bot.start(FAKE_STEP_S="0.1", FAKE_HELD="12", FAKE_RATE="5")
    await scene.running(await scene.imagine(steps=60))
    scene.fake.faults.hold("PATCH", "*", times=None)
    assert await scene.bot.stop_held() == 0
    assert scene.state() == "queued"


async def test_buttons_of_an_earlier_process_work(scene: Scene) -> None:
    await scene.bot.start()
    await scene.imagine()
    (message,) = await scene.done()
    assert await scene.bot.stop() == 0
    await scene.bot.start()
    await scene.fake.click(message, "reverie:again", scene.ann)
    assert len(await scene.done(2)) == 2


@pytest.mark.slow
async def test_the_real_bot_goes_on_after_a_kill_to_the_same_picture(fake: FakeDiscord, tmp_path: Path) -> None:
    options = {"size": "64x64", "steps": 40, "start": "random", "seed": 5, "cutouts": 4}
    scene = Scene(fake, tmp_path, "tests.discord_fake.launch")
    try:
        await scene.bot.start(OMP_NUM_THREADS="1")
        await scene.imagine(**options)
        await scene.done(1)
        message = await scene.running(await scene.imagine(**options))
        await scene.bot.kill()
        assert scene.state(2) == "running"
        await scene.bot.start(OMP_NUM_THREADS="1")
        await scene.done(2)
        assert names(message) == ["reverie-2-1.png"]
        assert message.attachments[0].data == scene.picture(2)
        assert scene.picture(2) == scene.picture(1)
        assert await scene.bot.stop() == 0
        assert TOKEN not in scene.bot.log
    finally:
        await scene.bot.close()


async def test_a_wrong_token_ends_the_real_process_with_a_sentence(fake: FakeDiscord, tmp_path: Path) -> None:
    fake.faults.refuse("GET", "/users/@me", 401, times=None)
    bot = BotProcess(fake, tmp_path, CONFIG, QUICK)
    with pytest.raises(AssertionError, match="did not start"):
        await bot.start()
    assert await bot.ended() == 1
    assert TOKEN not in bot.log
