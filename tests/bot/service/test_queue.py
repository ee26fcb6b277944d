"""Places in the queue, asked for by many at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bot.jobs import Job
from bot.service.estimates import Estimates
from bot.service.queue import JobQueue
from bot.store import Store
from generator import Settings

JOBS = 200


class CountingSpeeds(Estimates):
    """Counts how often it is asked for the time of a picture: once for each waiting job in each forecast."""

    asked = 0

    def picture_s(self, models: str, settings: Settings) -> float:
        self.asked += 1
        return super().picture_s(models, settings)


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
