"""The thread that paints, with dreams that do what a test wants: obey, break, stand still, die."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bot.worker.protocol import Halted, News, Order, Painted, PainterDied, Work
from bot.worker.thread import LocalExecutor
from generator import GenerationRequest, GeneratorError, OutOfMemory, Settings
from tests.bot.fake_dream import FakeDream, FakeDreamer


@pytest.fixture
def dreamer() -> FakeDreamer:
    return FakeDreamer()


@pytest_asyncio.fixture
async def executor(dreamer: FakeDreamer) -> AsyncIterator[LocalExecutor]:
    executor = LocalExecutor(dreamer, preview_s=0.0, snapshot_s=0.0, stall_s=60.0)
    yield executor
    dreamer.open.set()
    await executor.close()


def work(job_id: int = 1, steps: int = 5, **values: object) -> Work:
    request = GenerationRequest(prompt="a red apple", settings=Settings(size="64x64", steps=steps, seed=3))
    return Work(**{"job_id": job_id, "request": request, **values})


class SlowToBegin(FakeDreamer):
    """Proposes and measures for a while before the first step, as the real one does."""

    def begin(self, request: GenerationRequest, parent: bytes | None) -> FakeDream:
        time.sleep(0.3)
        return super().begin(request, parent)


def ignore(news: News) -> None:
    """Hear nothing."""


async def painted(executor: LocalExecutor, item: Work) -> Painted:
    outcome = await executor.paint(item, ignore)
    assert isinstance(outcome, Painted)
    return outcome


async def begun(dreamer: FakeDreamer, count: int = 1) -> None:
    while len(dreamer.begun) < count:
        await asyncio.sleep(0.002)


async def test_a_picture_takes_from_its_beginning_to_its_end_and_a_step_no_more_than_a_step() -> None:
    executor = LocalExecutor(SlowToBegin(step_s=0.02))
    outcome = await painted(executor, work())
    await executor.close()
    assert outcome.step_s >= 0.02
    assert outcome.paint_s >= 0.3 + 5 * outcome.step_s


async def test_a_picture_is_painted_and_its_growth_is_told(executor: LocalExecutor) -> None:
    heard: list[News] = []
    outcome = await executor.paint(work(), heard.append)
    assert isinstance(outcome, Painted)
    assert outcome.picture.progress.step == 5
    assert len(outcome.film.frames) == 6
    assert outcome.picture.image.size == (64, 64)
    steps = [news.progress.step for news in heard]
    assert steps == sorted(steps)
    assert steps
    assert all(news.preview is not None and news.snapshot is not None for news in heard)
    assert executor.describe() == "a fake"


async def test_only_the_newest_is_told_where_the_loop_is_busy(dreamer: FakeDreamer, executor: LocalExecutor) -> None:
    heard: list[News] = []
    task = asyncio.create_task(executor.paint(work(steps=50), heard.append))
    await begun(dreamer)
    earlier = len(heard)
    while dreamer.steps_made < 50:
        time.sleep(0.01)  # The loop is busy.
    await task
    # All that came meanwhile is one report; the last step may have come after it.
    assert len(heard) <= earlier + 2
    assert heard[-1].progress.step == 50


async def test_all_pictures_are_painted_by_the_same_thread(dreamer: FakeDreamer, executor: LocalExecutor) -> None:
    for job_id in range(3):
        await painted(executor, work(job_id))
    assert len(set(dreamer.threads)) == 1


async def test_the_loop_is_free_while_it_paints(dreamer: FakeDreamer, executor: LocalExecutor) -> None:
    dreamer.open.clear()
    task = asyncio.create_task(executor.paint(work(), ignore))
    await begun(dreamer)
    for _ in range(100):
        await asyncio.sleep(0)
    assert not task.done()
    assert set(dreamer.threads).isdisjoint({threading.get_ident()})


@pytest.mark.parametrize("order", [Order.CANCEL, Order.PAUSE])
async def test_an_order_is_obeyed_within_one_step(dreamer: FakeDreamer, executor: LocalExecutor, order: Order) -> None:
    dreamer.open.clear()
    task = asyncio.create_task(executor.paint(work(steps=1000), ignore))
    await begun(dreamer)
    assert executor.tell(1, order)
    dreamer.open.set()
    outcome = await task
    assert isinstance(outcome, Halted)
    assert outcome.order is order
    assert (outcome.snapshot is not None) == (order is Order.PAUSE)


async def test_finishing_now_keeps_the_picture_so_far(dreamer: FakeDreamer, executor: LocalExecutor) -> None:
    dreamer.open.clear()
    task = asyncio.create_task(executor.paint(work(steps=1000), ignore))
    await begun(dreamer)
    executor.tell(1, Order.FINISH)
    executor.tell(1, Order.PAUSE)
    dreamer.open.set()
    outcome = await task
    assert isinstance(outcome, Painted)
    assert outcome.picture.request.stopped_at == 1


async def test_nobody_is_told_who_is_not_painted(executor: LocalExecutor) -> None:
    assert not executor.tell(1, Order.CANCEL)


async def test_what_was_paused_goes_on_to_the_same_picture(dreamer: FakeDreamer, executor: LocalExecutor) -> None:
    whole = await painted(executor, work(steps=30))
    dreamer.open.clear()
    task = asyncio.create_task(executor.paint(work(steps=30), ignore))
    await begun(dreamer, 2)
    executor.tell(1, Order.PAUSE)
    dreamer.open.set()
    halted = await task
    assert isinstance(halted, Halted)
    resumed = await painted(executor, work(steps=30, snapshot=halted.snapshot))
    assert resumed.picture.image.tobytes() == whole.picture.image.tobytes()
    assert dreamer.resumed == [1]


async def test_a_snapshot_that_cannot_be_used_means_beginning_anew(
    dreamer: FakeDreamer, executor: LocalExecutor
) -> None:
    outcome = await painted(executor, work(snapshot=b"rubbish"))
    assert outcome.picture.progress.step == 5
    assert dreamer.resumed == []


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (GeneratorError("no"), GeneratorError),
        (MemoryError(), OutOfMemory),
        (OutOfMemory("no"), OutOfMemory),
        (ZeroDivisionError(), ZeroDivisionError),
    ],
)
async def test_what_a_dream_raises_reaches_who_waits_and_the_thread_lives(
    dreamer: FakeDreamer, executor: LocalExecutor, fault: Exception, kind: type[Exception]
) -> None:
    dreamer.faults = [fault]
    with pytest.raises(kind):
        await executor.paint(work(), ignore)
    await painted(executor, work(2))
    assert len(set(dreamer.threads)) == 1
    assert executor.deaths == 0


async def test_a_thread_that_dies_is_replaced(dreamer: FakeDreamer, executor: LocalExecutor) -> None:
    dreamer.faults = [SystemExit()]
    with pytest.raises(PainterDied):
        await executor.paint(work(), ignore)
    await painted(executor, work(2))
    assert len(set(dreamer.threads)) == 2 or executor.deaths == 1
    assert executor.deaths == 1


async def test_a_thread_that_stands_still_is_replaced(dreamer: FakeDreamer) -> None:
    executor = LocalExecutor(dreamer, stall_s=0.2)
    dreamer.open.clear()
    with pytest.raises(PainterDied):
        await executor.paint(work(), ignore)
    dreamer.open.set()
    await painted(executor, work(2))
    assert executor.deaths == 1
    await executor.close()


async def test_a_slow_dream_that_moves_is_not_taken_for_dead(dreamer: FakeDreamer) -> None:
    executor = LocalExecutor(dreamer, stall_s=0.5)
    dreamer.step_s = 0.15
    await painted(executor, work(steps=6))
    assert executor.deaths == 0
    await executor.close()


async def test_closing_ends_what_is_painted(dreamer: FakeDreamer, executor: LocalExecutor) -> None:
    dreamer.step_s = 0.01
    task = asyncio.create_task(executor.paint(work(steps=5000), ignore))
    await begun(dreamer)
    await executor.close()
    assert isinstance(await task, Halted)


async def test_who_stops_waiting_stops_the_painting(dreamer: FakeDreamer, executor: LocalExecutor) -> None:
    dreamer.step_s = 0.01
    task = asyncio.create_task(executor.paint(work(steps=5000), ignore))
    await begun(dreamer)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.wait_for(painted(executor, work(2)), 10)


async def test_a_finished_picture_is_examined_only_where_asked_for(
    dreamer: FakeDreamer, executor: LocalExecutor
) -> None:
    dreamer.unsafe = True
    assert not (await painted(executor, work())).unsafe
    assert (await painted(executor, work(2, examine=True))).unsafe


class Heavy:
    """What a step works on."""


class Breaks(FakeDreamer):
    """Steps that break while they hold something, and note what it was."""

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
async def test_an_error_that_somebody_keeps_does_not_keep_what_the_dream_held(error: Exception) -> None:
    dreamer = Breaks(error)
    executor = LocalExecutor(dreamer)
    with pytest.raises(type(error) if not isinstance(error, MemoryError) else OutOfMemory) as kept:
        await executor.paint(work(), ignore)
    assert kept.value.__traceback__ is not None and len(dreamer.held) == 1
    assert dreamer.held[0]() is None
    await executor.close()
