"""The pool of workers: choice by models, workers that come, go and drain, and results that come too late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from bot.worker.pool import WorkerPool
from bot.worker.protocol import (
    EngineStatus,
    GeneratedPicture,
    Interrupted,
    Outcome,
    ProgressUpdate,
    StopMode,
    Work,
    WorkerDied,
    WorkerStatus,
)
from bot.worker.thread import ThreadWorker
from generator import GenerationRequest, Settings
from tests.bot.fake_dream import FakeDream, FakeDreamer


class WithModels(FakeDreamer):
    """Has room for one model set."""

    resident: tuple[str, ...] = ()

    def status(self) -> EngineStatus:
        return EngineStatus(device="a fake", resident=self.resident, load_s={"tiny": 100.0, "big": 100.0})

    def begin(self, request: GenerationRequest, parent: bytes | None) -> FakeDream:
        self.resident = (request.models,)
        return super().begin(request, parent)


def work(job_id: int, models: str = "tiny", steps: int = 3, **values: object) -> Work:
    settings = Settings(size="64x64", steps=steps, seed=job_id)
    request = GenerationRequest(prompt="a red apple", settings=settings, models=models)
    return Work(**{"job_id": job_id, "request": request, **values})


def ignore(update: ProgressUpdate) -> None:
    """Ignore all events."""


@pytest.fixture
def engines() -> dict[str, WithModels]:
    return {name: WithModels() for name in ("one", "two")}


@pytest_asyncio.fixture
async def pool(engines: dict[str, WithModels]) -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(ThreadWorker(engine, name) for name, engine in engines.items())
    yield pool
    for engine in engines.values():
        engine.open.set()
    await pool.close()


async def begun(engine: FakeDreamer, count: int = 1) -> None:
    while len(engine.begun) < count:
        await asyncio.sleep(0.002)


async def test_a_picture_goes_to_a_worker_that_has_its_models(pool: WorkerPool, engines: dict[str, WithModels]) -> None:
    await asyncio.gather(pool.generate(work(1, "tiny"), ignore), pool.generate(work(2, "big"), ignore))
    for job_id in range(3, 9):
        await pool.generate(work(job_id, ("tiny", "big")[job_id % 3 == 0]), ignore)
    assert sorted({*(request.models for request in engine.begun)} == {"big"} for engine in engines.values()) == [
        False,
        True,
    ]
    assert all(len({request.models for request in engine.begun}) == 1 for engine in engines.values())
    assert pool.capacity == 2


async def test_a_picture_waits_for_models_that_are_soon_free_rather_than_load_them_again(
    pool: WorkerPool, engines: dict[str, WithModels]
) -> None:
    engines["one"].resident, engines["two"].resident = ("tiny",), ("big",)
    engines["one"].step_s = 0.02
    first = asyncio.create_task(pool.generate(work(1, steps=20), ignore))
    while pool.workers()[0].step_s is None:
        await asyncio.sleep(0.002)
    await asyncio.gather(first, pool.generate(work(2), ignore))
    assert [len(engine.begun) for engine in engines.values()] == [2, 0]
    engines["one"].open.clear()
    third = asyncio.create_task(pool.generate(work(3, steps=5_000), ignore))
    await begun(engines["one"], 3)
    await pool.generate(work(4), ignore)
    assert len(engines["two"].begun) == 1, "it waited for a picture that takes longer than loading"
    third.cancel()
    await asyncio.gather(third, return_exceptions=True)


async def test_a_drained_worker_ends_its_picture_and_gets_no_other(
    pool: WorkerPool, engines: dict[str, WithModels]
) -> None:
    changes: list[int] = []
    pool.watch(lambda: changes.append(pool.capacity))
    engines["one"].open.clear()
    first = asyncio.create_task(pool.generate(work(1), ignore))
    await begun(engines["one"])
    assert pool.drain("one") and not pool.drain("three")
    for job_id in (2, 3):
        await pool.generate(work(job_id), ignore)
    engines["one"].open.set()
    assert isinstance(await first, GeneratedPicture)
    assert [len(engine.begun) for engine in engines.values()] == [1, 2]
    assert [worker.draining for worker in pool.workers()] == [True, False]
    assert pool.resume("one") and set(changes) == {1, 2}


async def test_a_picture_waits_until_a_worker_comes(engines: dict[str, WithModels]) -> None:
    pool = WorkerPool()
    assert pool.capacity == 0
    task = asyncio.create_task(pool.generate(work(1), ignore))
    await asyncio.sleep(0)
    pool.add(ThreadWorker(engines["one"], "one"))
    assert isinstance(await task, GeneratedPicture)
    await pool.close()


@pytest.mark.parametrize("order", [StopMode.CANCEL, StopMode.PAUSE])
async def test_a_picture_without_a_worker_stops_at_once_and_keeps_its_snapshot(order: StopMode) -> None:
    pool = WorkerPool()
    task = asyncio.create_task(pool.generate(work(1, snapshot=b"so far"), ignore))
    await asyncio.sleep(0)
    assert pool.send(1, order)
    assert await task == Interrupted(order=order, snapshot=b"so far")
    assert not pool.send(1, order)


class Vanishing:
    """A worker that is lost in the middle of a picture, while something of it works on."""

    name = "vanishing"

    def __init__(self) -> None:
        self.attempts: list[int] = []
        self.report: Callable[[ProgressUpdate], None] = ignore

    async def generate(self, work: Work, on_progress: Callable[[ProgressUpdate], None]) -> Outcome:
        self.attempts.append(work.attempt)
        self.report = on_progress
        raise WorkerDied("painter_lost")

    def send(self, job_id: int, order: StopMode) -> bool:
        return True

    def status(self) -> WorkerStatus:
        return WorkerStatus(name=self.name, deaths=len(self.attempts))

    async def close(self) -> None:
        """It has nothing to close."""


async def test_what_a_lost_worker_still_reports_is_dropped() -> None:
    worker, taken = Vanishing(), list[ProgressUpdate]()
    pool = WorkerPool([worker])
    for _ in range(2):
        with pytest.raises(WorkerDied):
            await pool.generate(work(1), taken.append)
        request = work(1).request
        worker.report(ProgressUpdate(progress=FakeDream(request, FakeDreamer()).progress))
    assert taken == []
    assert worker.attempts == [1, 2]
    pool.remove("vanishing")
    assert (pool.capacity, pool.deaths) == (0, 2)
