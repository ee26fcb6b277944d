"""Jobs whose workers go away again and again: they end as failed only if they do not come on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.config import Config
from bot.jobs import JobState
from bot.service.job_runner import MAX_LOSSES
from bot.worker.pool import WorkerPool
from bot.worker.protocol import Executor, Outcome, ProgressUpdate, StopMode, Work, WorkerLost
from bot.worker.thread import ThreadWorker
from tests.bot.real_service import RealService


class Leaving(ThreadWorker):
    """A worker that is lost with each of its first pictures, either at once or after a snapshot."""

    losses = 0
    saving = False

    async def generate(self, work: Work, on_progress: Callable[[ProgressUpdate], None]) -> Outcome:
        if not self.losses:
            return await super().generate(work, on_progress)
        self.losses -= 1
        if self.saving:
            saved = asyncio.Event()

            def note(update: ProgressUpdate) -> None:
                on_progress(update)
                if update.snapshot is not None:
                    saved.set()

            running = asyncio.create_task(super().generate(work, note))
            await saved.wait()
            self.send(work.job_id, StopMode.CANCEL)
            await running
        raise WorkerLost("painter_lost")


class LeavingService(RealService):
    """The service with one such worker."""

    losses = 0
    saving = False

    def make_executor(self) -> Executor:
        worker = Leaving(self.engine, snapshot_s=0.01)
        worker.losses, worker.saving = self.losses, self.saving
        return WorkerPool([worker])


@pytest.mark.parametrize(
    ("losses", "saving", "end"),
    [
        (MAX_LOSSES, False, JobState.POSTING),
        (MAX_LOSSES + 1, False, JobState.FAILED),
        (MAX_LOSSES + 3, True, JobState.POSTING),
    ],
)
async def test_a_job_fails_after_many_losses_without_a_snapshot_in_between(
    losses: int, saving: bool, end: JobState, tmp_path: Path, config: Config
) -> None:
    bench = LeavingService(tmp_path / "data", config)
    bench.losses, bench.saving, bench.engine.step_s = losses, saving, 0.01
    await bench.start()
    job = await bench.imagine(steps=60)
    ended = await bench.reaches(job.id, JobState.POSTING, JobState.FAILED)
    await bench.service.close()
    assert ended.state is end
