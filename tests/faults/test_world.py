"""Changes around a job at any point of its life: it ends with a reason, or is delivered, exactly once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from bot.config import Config, Discord, Limits, Timing
from bot.jobs import Job, JobState
from tests.bot.discord.client_on_loopback import ClientOnLoopback, on_a_fake
from tests.discord_fake import Channel, FakeDiscord, Message
from tests.faults.world_changes import CHANGES, Change, Outcome

pytestmark = pytest.mark.waits

JOB = 2
"""The job that it happens to; another one goes before it."""


class World(ClientOnLoopback):
    """The bot, the channel that changes, and a channel from which people watch.

    Attributes:
        place: where the job was asked for.
        elsewhere: a channel that stays as it is.
    """

    def __init__(self, fake: FakeDiscord, folder: Path, config: Config) -> None:
        super().__init__(fake, folder, config)
        self.place = self.channel
        self.elsewhere = self.guild.add_channel("elsewhere")
        self.ben = self.guild.add_member("ben")

    def use_thread(self) -> None:
        """Request the job in a thread."""
        self.place = self.guild.add_thread(self.channel)

    async def ask(self, channel: Channel | None = None, prompt: str = "a red apple") -> Message:
        """Request a picture as Ann; return the job's message."""
        answer = await self.fake.type_imagine(channel or self.place, self.ann, prompt)
        message = answer.message
        assert message is not None and not answer.ephemeral, answer.text
        await self.fake.until(message.said)
        return message

    async def look(self) -> str:
        """The text of /queue for Ben."""
        return (await (await self.fake.type_command(self.elsewhere, self.ben, "queue")).answered()).text

    async def row(self, job_id: int = JOB) -> Job | None:
        """The job as it is in the database."""
        return await self.client.service.store.jobs.get(job_id)

    async def when(self, fulfilled: Callable[[Job | None], bool], job_id: int = JOB) -> Job | None:
        """The job, once the condition holds for it."""

        async def look() -> tuple[Job | None] | None:
            job = await self.row(job_id)
            return (job,) if fulfilled(job) else None

        return (await self.until(look))[0]

    def shows(self, job_id: int = JOB) -> list[Message]:
        """All messages anywhere that show the finished picture of a job."""
        name = f"reverie-{job_id}-1.png"
        return [m for c in self.guild.channels for m in c.posts() if name in [f.filename for f in m.attachments]]


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    config = Config(
        timing=Timing(preview_s=0.05, snapshot_s=0.05, retention_s=1.0, access_s=1.0),
        discord=Discord(edit_interval_s=1.0),
        limits=Limits(queue_user=20),
    )
    async with on_a_fake(World, tmp_path, config) as world:
        yield world


Action = Callable[[], Awaitable[None]]


async def while_waiting(world: World, change: Action) -> Message:
    """Make the change while the job waits behind another one."""
    world.engine.open.clear()
    await world.ask(world.elsewhere)
    message = await world.ask()
    await change()
    assert f"#{JOB}" in await world.look() or await world.row() is None
    return message


async def while_running(world: World, change: Action) -> Message:
    """Make the change while the job is running."""
    await world.ask(world.elsewhere)
    await world.ended(1)
    world.engine.open.clear()
    message = await world.ask()
    await world.when(lambda job: job is not None and job.state is JobState.RUNNING)
    await change()
    assert f"#{JOB}" in await world.look() or await world.row() is None
    return message


async def while_posting(world: World, change: Action) -> Message:
    """Make the change while the picture is being sent to Discord."""
    await world.ask(world.elsewhere)
    await world.ended(1)
    world.engine.open.clear()
    message = await world.ask()
    world.fake.faults.slow("PATCH", "/webhooks/*", 0.5, times=None)
    world.engine.open.set()
    await world.when(lambda job: job is not None and job.post_tries > 0)
    await change()
    return message


PHASES = (while_waiting, while_running, while_posting)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.__name__)
async def test_a_job_ends_with_a_reason_or_is_delivered_once(
    world: World, phase: Callable[[World, Action], Awaitable[Message]], change: Change
) -> None:
    if change.in_thread:
        world.use_thread()
    message = await phase(world, lambda: change.do(world, world.place))
    world.engine.open.set()
    await OUTCOMES[change.outcome](world, message, change)
    assert len(world.shows()) <= 1
    world.fake.faults.clear()
    await nothing_is_wrong(world)


async def delivered(world: World, message: Message, change: Change) -> None:
    """The picture appears in the existing message."""
    await world.ended(JOB)
    assert world.shows() == [message]
    if change.undo is not None:
        await change.undo(world, world.place)


async def delivered_anew(world: World, message: Message, change: Change) -> None:
    """The picture appears in one new message."""
    await world.ended(JOB)
    (shown,) = world.shows()
    assert shown is not message


async def delivered_later(world: World, message: Message, change: Change) -> None:
    """The picture waits, /queue shows that, and it is posted once when the bot may write again."""
    await world.when(lambda job: job is not None and job.waiting_for_access)
    assert "waiting for permission to post" in await world.look()
    assert not world.shows()
    assert change.undo is not None
    await change.undo(world, world.place)
    await world.ended(JOB)
    assert len(world.shows()) == 1


async def failed(world: World, message: Message, change: Change) -> None:
    """The job failed with a recorded reason, its picture is kept, and /queue does not show it."""
    job = await world.when(lambda job: job is not None and job.state is JobState.FAILED and job.told)
    assert job is not None and job.reason is not None and job.reason.key == "channel_gone"
    assert len(await world.client.service.archive.pictures(JOB)) == 1
    assert not world.shows()


async def forgotten(world: World, message: Message, change: Change) -> None:
    """All data of the job is gone, and the server starts empty when the bot is invited again."""
    await world.when(lambda job: job is None)
    assert change.undo is not None
    await change.undo(world, world.place)
    await world.fake.until(lambda: world.client.get_guild(world.guild.id) is not None)


OUTCOMES = {
    Outcome.SAME: delivered,
    Outcome.NEW: delivered_anew,
    Outcome.WAITS: delivered_later,
    Outcome.FAILED: failed,
    Outcome.FORGOTTEN: forgotten,
}


async def nothing_is_wrong(world: World) -> None:
    """/queue is empty, and the next picture is posted."""
    assert "empty" in (await world.look()).lower() or f"#{JOB}" not in await world.look()
    await world.ask(world.elsewhere, "a green tree")
    await world.ended(JOB + 1)
    assert len(world.shows(JOB + 1)) == 1
    files = world.client.service.files
    assert not list((files.root / "snapshots").rglob("*.safetensors"))


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
async def test_after_the_end_it_changes_nothing_and_buttons_say_what_is_so(world: World, change: Change) -> None:
    if change.in_thread:
        world.use_thread()
    await world.ask(world.elsewhere)
    await world.ended(1)
    message = await world.ask()
    await world.ended(JOB)
    await change.do(world, world.place)
    if change.outcome is Outcome.FORGOTTEN:
        await forgotten(world, message, change)
        answer = await world.fake.click(message, "reverie:recipe", world.ann)
        assert f"{JOB}" in answer.text and answer.ephemeral, answer.text
    elif not message.deleted:
        # An old button is a separate interaction: it is answered even if the bot cannot write there.
        answer = await world.fake.click(message, "reverie:recipe", world.ann)
        assert answer.callback is not None and answer.ephemeral
    assert len(world.shows()) <= 1
    if change.undo is not None and change.outcome is not Outcome.FORGOTTEN:
        await change.undo(world, world.place)
    await nothing_is_wrong(world)
