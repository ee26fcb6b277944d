"""The queue: concurrent requests for places, and updates of a running job."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from bot.jobs import Job
from bot.service.estimates import BEGIN_S, Estimates
from bot.service.queue import JobQueue, Running
from bot.service.scheduler import Entry
from bot.store import Store
from bot.worker.protocol import ProgressUpdate, StopMode, WorkerStatus
from generator import Progress, Settings

JOBS = 200


class CountingSpeeds(Estimates):
    """Counts its calls for the time of a picture: one for each waiting job in each forecast."""

    asked = 0

    def picture_s(self, models: str, settings: Settings, device: str = "") -> float:
        self.asked += 1
        return super().picture_s(models, settings, device)


async def test_a_crowd_shares_a_forecast_although_the_queue_never_stands_still(tmp_path: Path) -> None:
    queue = JobQueue(Store(tmp_path / "reverie.db"), notify=lambda job_id: None)
    queue.speeds = speeds = CountingSpeeds()
    for number in range(1, JOBS + 1):
        job = Job(
            id=number, guild_id=number, channel_id=1, user_id=1, prompt="x", settings=Settings(), models="tiny",
            created_at=0.0,
        )  # fmt: skip
        queue.add(job)

    async def ask(job_id: int) -> int:
        queue.changed()
        place = await queue.place(job_id)
        queue.changed()
        assert place is not None
        return place.place

    places = await asyncio.gather(*(ask(number) for number in range(1, JOBS + 1)))
    assert places == list(range(1, JOBS + 1))
    assert speeds.asked <= 3 * JOBS


async def test_a_new_job_in_a_long_queue_does_not_wait_for_a_forecast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = JobQueue(Store(tmp_path / "reverie.db"), notify=lambda job_id: None)
    queue.speeds = speeds = CountingSpeeds()
    for number in range(1, JOBS + 2):
        queue.add(
            Job(id=number, guild_id=number % 7, channel_id=1, user_id=1, prompt="x", settings=Settings(), models="tiny")
        )
        if number == JOBS:
            await queue.place(1)
    asked = speeds.asked
    estimated = await queue.place(JOBS + 1)
    assert estimated is not None and estimated.due_at is not None and estimated.of == JOBS + 1
    assert speeds.asked == asked + 1
    monkeypatch.setattr("bot.service.queue.FRESH_S", -1.0)
    await queue.place(1)
    exact = await queue.place(JOBS + 1)
    assert speeds.asked > asked + JOBS and exact is not None and exact.due_at is not None
    assert estimated.place == exact.place
    assert estimated.due_at == pytest.approx(exact.due_at, abs=speeds.picture_s("tiny", Settings()))
    queue.set_pause((JOBS + 1) % 7, True)
    await queue.place(1)
    paused = await queue.place(JOBS + 1)
    assert paused is not None and paused.due_at is None


def test_a_worker_that_takes_no_more_pictures_keeps_no_other_from_working(tmp_path: Path) -> None:
    statuses = [WorkerStatus(name="one"), WorkerStatus(name="two")]
    queue = JobQueue(Store(tmp_path / "reverie.db"), lambda job_id: None, lambda: statuses)
    for number in range(1, 5):
        job = Job(id=number, guild_id=number, channel_id=1, user_id=1, prompt="x", settings=Settings(), models="tiny")
        queue.add(job)
    assert queue.take() is not None
    statuses[0] = replace(statuses[0], job_id=1, draining=True)
    assert queue.take() is not None
    assert queue.take() is None
    queue.release(1)
    statuses[0] = replace(statuses[0], job_id=None)
    assert queue.take() is None


def test_people_without_a_server_share_the_turns_of_one(tmp_path: Path) -> None:
    queue, taken = JobQueue(Store(tmp_path / "reverie.db"), notify=lambda job_id: None), list[int]()
    for number, guild_id in enumerate((-11, -12, -13, 5, 5), 1):
        job = Job(
            id=number, guild_id=guild_id, channel_id=1, user_id=abs(guild_id), prompt="x", settings=Settings(),
            models="tiny", created_at=0.0,
        )  # fmt: skip
        queue.add(job)
    while (running := queue.take()) is not None:
        taken.append(running.job.guild_id)
        queue.release(running.job.id)
    assert taken == [-11, 5, -12, 5, -13]


@pytest.fixture
def running() -> Running:
    settings = Settings(size="64x64", steps=10)
    job = Job(
        id=1, guild_id=1, channel_id=1, user_id=1, prompt="x", settings=settings, models="tiny", count=3, created_at=0.0
    )
    return Running(job, Entry(job_id=1, guild_id=1, user_id=1))


def update(step: int, **values: object) -> ProgressUpdate:
    progress = Progress(
        step=step, steps=10, loss=1, similarity=0, prompts=(), seconds_per_step=2, seconds_left=2 * (10 - step)
    )
    return ProgressUpdate(**{"progress": progress, **values})


def test_the_newest_snapshot_is_kept_until_it_is_taken(running: Running) -> None:
    running.on_event(update(1, snapshot=b"one"))
    running.on_event(update(2))
    taken = running.take_update()
    assert taken is not None
    assert (taken.progress.step, taken.snapshot) == (2, b"one")
    assert running.take_update() is None
    assert not running.fresh.is_set()


def test_late_news_of_a_picture_are_not_taken_for_those_of_the_next(running: Running) -> None:
    running.on_event(update(9, snapshot=b"of the first"))
    running.begin(2)
    assert running.take_update() is None
    assert running.progress is None
    running.on_event(update(1))
    taken = running.take_update()
    assert taken is not None
    assert taken.snapshot is None


def test_the_remaining_time_covers_this_picture_and_the_others(running: Running) -> None:
    speeds = Estimates()
    speeds.note("tiny", running.job.settings, 2.0)
    assert running.left_s(speeds) == pytest.approx(3 * (BEGIN_S + 20))
    begun = update(0)
    running.on_event(replace(begun, progress=replace(begun.progress, seconds_left=0)))
    assert running.left_s(speeds) == pytest.approx(20 + 2 * (BEGIN_S + 20)), "nothing was measured yet"
    running.on_event(update(5))
    assert running.left_s(speeds) == pytest.approx(10 + 2 * (BEGIN_S + 20))
    running.job = replace(running.job, finish_after=running.steps_done)
    assert running.left_s(speeds) == pytest.approx(10)


def test_finish_is_requested_again_once_a_restarted_picture_reaches_the_same_step(running: Running) -> None:
    running.job = replace(running.job, finish_after=14)
    running.on_event(update(10))
    running.images.append(Image.new("RGB", (1, 1)))
    running.begin(2)
    assert not running.enough
    running.on_event(update(3))
    assert running.order is None
    running.on_event(update(4))
    assert running.order is StopMode.FINISH
    running.begin(3)
    assert running.enough
