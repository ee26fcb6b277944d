"""The worker thread dies, hangs, or runs out of memory: the picture is still posted once, or a reason is shown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bot.config import Config, Timing
from bot.jobs import JobState
from generator import GeneratorError, OutOfMemory
from tests.bot.discord.client_on_loopback import ClientOnLoopback, on_a_fake
from tests.discord_fake import Message


@pytest_asyncio.fixture
async def live(tmp_path: Path) -> AsyncIterator[ClientOnLoopback]:
    timing = Timing(preview_s=0.05, snapshot_s=0.05, access_s=1.0, stall_s=900.0)
    async with on_a_fake(ClientOnLoopback, tmp_path, Config(timing=timing)) as live:
        yield live


async def running(live: ClientOnLoopback, *faults: BaseException) -> Message:
    """Start a job and wait for its snapshot; its next steps raise these faults in order, or wait if there are none."""
    live.engine.step_s = 0.02
    live.engine.hold(15)
    answer = await live.imagine(steps=30)
    message = answer.message
    assert message is not None
    await live.fake.until(lambda: list((live.folder / "snapshots").rglob("*.safetensors")))
    live.engine.faults = list(faults)
    if faults:
        live.engine.open.set()
    return message


async def goes_on(live: ClientOnLoopback, job_id: int) -> None:
    """Check that the next picture is posted."""
    await live.imagine("a green tree")
    await live.ended(job_id)


@pytest.mark.parametrize("death", [SystemExit(), KeyboardInterrupt(), GeneratorExit()], ids=lambda one: repr(one))
async def test_a_thread_that_dies_is_replaced_and_the_picture_goes_on(
    live: ClientOnLoopback, death: BaseException
) -> None:
    message = await running(live, death)
    await live.ended()
    assert [file.filename for file in message.attachments] == ["reverie-1-1.png"]
    assert live.client.service._executor.deaths == 1
    assert len(set(live.engine.threads)) == 1 and live.engine.resumed[-1] > 0, "it began anew"
    await goes_on(live, 2)
    assert len(live.channel.posts()) == 2


async def test_a_picture_under_which_the_thread_dies_twice_has_failed_and_says_why(live: ClientOnLoopback) -> None:
    message = await running(live, SystemExit(), SystemExit())
    job = await live.ended(state=JobState.FAILED)
    assert job.reason is not None and job.reason.key == "painter_died"
    assert "twice" in message.said()
    queue = await (await live.fake.type_command(live.channel, live.ann, "queue")).answered()
    assert "#1" not in queue.text
    await goes_on(live, 2)
    assert not list((live.folder / "snapshots").rglob("*.safetensors"))


async def test_a_thread_that_stands_still_is_replaced_and_the_picture_goes_on(live: ClientOnLoopback) -> None:
    message = await running(live)
    executor = live.client.service._executor
    [worker] = (slot.worker for slot in executor._slots.values())
    [task] = worker._tasks.values()
    worker._stall_s = 0.0
    worker._check(task)
    worker._stall_s = 900.0
    assert executor.deaths == 1
    live.engine.open.set()
    await live.ended()
    assert [file.filename for file in message.attachments] == ["reverie-1-1.png"]
    await goes_on(live, 2)


@pytest.mark.parametrize(
    ("fault", "key"),
    [
        (MemoryError(), "out_of_memory"),
        (OutOfMemory("The picture does not fit on the GPU."), "out_of_memory"),
        (GeneratorError("The GPU failed."), "generator_says"),
        (RecursionError(), "unexpected"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
async def test_a_step_that_breaks_ends_its_job_with_the_reason_and_no_other(
    live: ClientOnLoopback, fault: Exception, key: str
) -> None:
    message = await running(live, fault)
    await live.imagine("a blue bird")
    job = await live.ended(state=JobState.FAILED)
    assert job.reason is not None and job.reason.key == key
    assert job.reason.said()[:20] in message.said()
    await live.ended(2)
    assert live.client.service._executor.deaths == 0
    assert not list((live.folder / "snapshots").rglob("*.safetensors"))
