"""The worker thread, with dreams that obey, fail, hang or end the thread."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
import pytest_asyncio

from bot.worker.protocol import GeneratedPicture, Interrupted, ProgressUpdate, StopMode, Work, WorkerDied
from bot.worker.thread import ThreadWorker
from generator import DeviceFailed, GenerationRequest, GeneratorError, OutOfMemory, Settings
from tests.bot.fake_dream import FakeDream, FakeDreamer


@pytest.fixture
def engine() -> FakeDreamer:
    return FakeDreamer()


@pytest_asyncio.fixture
async def executor(engine: FakeDreamer) -> AsyncIterator[ThreadWorker]:
    executor = ThreadWorker(engine, preview_s=0.0, snapshot_s=0.0, stall_s=60.0)
    yield executor
    engine.open.set()
    await executor.close()


def work(job_id: int = 1, steps: int = 5, **values: object) -> Work:
    request = GenerationRequest(prompt="a red apple", settings=Settings(size="64x64", steps=steps, seed=3))
    return Work(**{"job_id": job_id, "request": request, **values})


class SlowToBegin(FakeDreamer):
    """Proposes and measures for a while before the first step, as the real one does."""

    def begin(self, request: GenerationRequest, parent: bytes | None) -> FakeDream:
        time.sleep(0.3)
        return super().begin(request, parent)


def ignore(update: ProgressUpdate) -> None:
    """Ignore all events."""


async def generated(executor: ThreadWorker, item: Work) -> GeneratedPicture:
    outcome = await executor.generate(item, ignore)
    assert isinstance(outcome, GeneratedPicture)
    return outcome


async def begun(engine: FakeDreamer, count: int = 1) -> None:
    """Wait until as many pictures were begun, and where steps wait, until one does."""
    while len(engine.begun) < count or (not engine.open.is_set() and engine.steps_begun == engine.steps_made):
        await asyncio.sleep(0.002)


async def test_a_picture_takes_from_its_beginning_to_its_end_and_a_step_no_more_than_a_step() -> None:
    executor = ThreadWorker(SlowToBegin(step_s=0.02))
    outcome = await generated(executor, work())
    await executor.close()
    assert outcome.paint_s >= 0.3 + 5 * 0.02
    assert 0.02 <= outcome.step_s <= outcome.paint_s - 0.3


async def test_a_picture_is_generated_with_progress_updates(executor: ThreadWorker) -> None:
    updates: list[ProgressUpdate] = []
    outcome = await executor.generate(work(), updates.append)
    assert isinstance(outcome, GeneratedPicture)
    assert outcome.picture.progress.step == 5
    assert len(outcome.timelapse.frames) == 6
    assert outcome.picture.image.size == (64, 64)
    steps = [update.progress.step for update in updates]
    assert steps == sorted(steps)
    assert steps
    assert all(update.preview is not None and update.snapshot is not None for update in updates)
    assert executor.describe() == "a fake"


async def test_a_composed_start_is_shown_before_the_first_step(executor: ThreadWorker) -> None:
    updates: list[ProgressUpdate] = []
    settings = Settings(size="64x64", steps=2, composition="posed")
    outcome = await executor.generate(
        Work(job_id=1, request=GenerationRequest(prompt="a red apple", settings=settings)), updates.append
    )
    assert isinstance(outcome, GeneratedPicture)
    assert len(outcome.timelapse.frames) == 4
    before = len((await generated(executor, work(steps=2))).timelapse.frames)
    assert before == 3
    assert all(update.preview is not None for update in updates)


async def test_a_busy_loop_gets_only_the_newest_update(engine: FakeDreamer, executor: ThreadWorker) -> None:
    updates: list[ProgressUpdate] = []
    task = asyncio.create_task(executor.generate(work(steps=50), updates.append))
    await begun(engine)
    earlier = len(updates)
    while engine.steps_made < 50:
        time.sleep(0.01)  # The loop is busy.
    await task
    # All reports so far are merged into one; the last step may have come after it.
    assert len(updates) <= earlier + 2
    assert updates[-1].progress.step == 50


async def test_all_pictures_are_generated_on_the_same_thread(engine: FakeDreamer, executor: ThreadWorker) -> None:
    for job_id in range(3):
        await generated(executor, work(job_id))
    assert len(set(engine.threads)) == 1


async def test_the_loop_stays_free_during_a_picture(engine: FakeDreamer, executor: ThreadWorker) -> None:
    engine.open.clear()
    task = asyncio.create_task(executor.generate(work(), ignore))
    await begun(engine)
    for _ in range(100):
        await asyncio.sleep(0)
    assert not task.done()
    assert set(engine.threads).isdisjoint({threading.get_ident()})


@pytest.mark.parametrize("order", [StopMode.CANCEL, StopMode.PAUSE])
async def test_an_order_is_obeyed_within_one_step(engine: FakeDreamer, executor: ThreadWorker, order: StopMode) -> None:
    engine.open.clear()
    task = asyncio.create_task(executor.generate(work(steps=1000), ignore))
    await begun(engine)
    assert executor.send(1, order)
    engine.open.set()
    outcome = await task
    assert isinstance(outcome, Interrupted)
    assert outcome.order is order
    assert (outcome.snapshot is not None) == (order is StopMode.PAUSE)


async def test_finishing_now_keeps_the_picture_so_far(engine: FakeDreamer, executor: ThreadWorker) -> None:
    engine.open.clear()
    task = asyncio.create_task(executor.generate(work(steps=1000), ignore))
    await begun(engine)
    executor.send(1, StopMode.FINISH)
    executor.send(1, StopMode.PAUSE)
    engine.open.set()
    outcome = await task
    assert isinstance(outcome, GeneratedPicture)
    assert outcome.picture.request.stopped_at == 1


async def test_a_stop_for_a_job_that_is_not_running_has_no_effect(executor: ThreadWorker) -> None:
    assert not executor.send(1, StopMode.CANCEL)


async def test_a_paused_picture_ends_the_same(engine: FakeDreamer, executor: ThreadWorker) -> None:
    whole = await generated(executor, work(steps=30))
    engine.open.clear()
    task = asyncio.create_task(executor.generate(work(steps=30), ignore))
    await begun(engine, 2)
    executor.send(1, StopMode.PAUSE)
    engine.open.set()
    interrupted = await task
    assert isinstance(interrupted, Interrupted)
    resumed = await generated(executor, work(steps=30, snapshot=interrupted.snapshot))
    assert resumed.picture.image.tobytes() == whole.picture.image.tobytes()
    assert engine.resumed == [1]


async def test_an_unusable_snapshot_starts_the_picture_again(engine: FakeDreamer, executor: ThreadWorker) -> None:
    outcome = await generated(executor, work(snapshot=b"rubbish"))
    assert outcome.picture.progress.step == 5
    assert engine.resumed == []


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (GeneratorError("no"), GeneratorError),
        (MemoryError(), OutOfMemory),
        (OutOfMemory("no"), OutOfMemory),
        (ZeroDivisionError(), ZeroDivisionError),
    ],
)
async def test_an_error_of_a_dream_reaches_the_caller_and_the_thread_lives(
    engine: FakeDreamer, executor: ThreadWorker, fault: Exception, kind: type[Exception]
) -> None:
    engine.faults = [fault]
    with pytest.raises(kind):
        await executor.generate(work(), ignore)
    await generated(executor, work(2))
    assert len(set(engine.threads)) == 1
    assert executor.deaths == 0


async def test_a_thread_that_dies_is_replaced(engine: FakeDreamer, executor: ThreadWorker) -> None:
    engine.faults = [SystemExit()]
    with pytest.raises(WorkerDied):
        await executor.generate(work(), ignore)
    await generated(executor, work(2))
    assert len(set(engine.threads)) == 2 or executor.deaths == 1
    assert executor.deaths == 1


async def test_a_failed_gpu_ends_its_thread_and_reloads_the_models(engine: FakeDreamer, executor: ThreadWorker) -> None:
    engine.faults = [DeviceFailed("The GPU failed.")]
    with pytest.raises(WorkerDied) as caught:
        await executor.generate(work(), ignore)
    assert isinstance(caught.value.__cause__, DeviceFailed)
    assert (executor.deaths, engine.renewed) == (1, 1)
    await generated(executor, work(2))
    assert (executor.deaths, engine.renewed) == (1, 1)


async def test_a_thread_that_stands_still_is_replaced(engine: FakeDreamer) -> None:
    executor = ThreadWorker(engine, stall_s=0.2)
    engine.open.clear()
    with pytest.raises(WorkerDied):
        await executor.generate(work(), ignore)
    executor._stall_s = 60.0  # or a slow machine counts as a second hang
    engine.open.set()
    await generated(executor, work(2))
    assert executor.deaths == 1
    await executor.close()


class Slow(FakeDreamer):
    """Each step takes nearly as long as a step may, by a clock of its own."""

    now = 0.0

    def before_step(self, request: GenerationRequest, step: int) -> None:
        self.now += 0.04
        super().before_step(request, step)


async def test_a_slow_dream_that_moves_is_not_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Slow(0.04)
    monkeypatch.setattr("bot.worker.thread.time", SimpleNamespace(monotonic=lambda: engine.now))
    executor = ThreadWorker(engine, stall_s=0.05)
    await generated(executor, work(steps=8))
    assert executor.deaths == 0
    await executor.close()


async def test_closing_ends_the_running_picture(engine: FakeDreamer, executor: ThreadWorker) -> None:
    engine.step_s = 0.01
    task = asyncio.create_task(executor.generate(work(steps=5000), ignore))
    await begun(engine)
    await executor.close()
    assert isinstance(await task, Interrupted)


async def test_cancelling_the_caller_stops_the_picture(engine: FakeDreamer, executor: ThreadWorker) -> None:
    engine.step_s = 0.01
    task = asyncio.create_task(executor.generate(work(steps=5000), ignore))
    await begun(engine)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.wait_for(generated(executor, work(2)), 120)


async def test_a_finished_picture_is_examined_only_where_asked_for(engine: FakeDreamer, executor: ThreadWorker) -> None:
    engine.unsafe = True
    assert (await generated(executor, work())).unsafe_share == 0.0
    assert (await generated(executor, work(2, examine=True))).unsafe_share == 1.0


class Heavy:
    """The object that a step holds."""


class Breaks(FakeDreamer):
    """Steps that fail while they hold an object, and record it."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error, self.held = error, list[weakref.ref[Heavy]]()

    def before_step(self, request: GenerationRequest, step: int) -> None:
        heavy = Heavy()
        self.held.append(weakref.ref(heavy))
        try:
            raise self.error
        except MemoryError as exc:
            raise OutOfMemory("It does not fit.") from exc


@pytest.mark.parametrize("error", [MemoryError(), GeneratorError("no"), ValueError("no")], ids=repr)
async def test_a_kept_error_does_not_keep_the_dreams_tensors(error: Exception) -> None:
    engine = Breaks(error)
    executor = ThreadWorker(engine)
    with pytest.raises(type(error) if not isinstance(error, MemoryError) else OutOfMemory) as kept:
        await executor.generate(work(), ignore)
    assert kept.value.__traceback__ is not None and len(engine.held) == 1
    assert engine.held[0]() is None
    await executor.close()
