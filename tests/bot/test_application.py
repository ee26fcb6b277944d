"""The service as a whole: real database, real thread, fake dream."""

from __future__ import annotations

from bot.jobs import JobState
from tests.bot.bench import Bench


async def test_a_wish_is_queued_painted_saved_and_posted(bench: Bench) -> None:
    job = await bench.imagine()
    assert job.state is JobState.QUEUED
    done = await bench.post(job.id)
    assert done.state is JobState.DONE
    assert done.message_id == 9
