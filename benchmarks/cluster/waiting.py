"""The service with workers of a cluster that wait in each step instead of computing.

So several of them run on one machine as on several GPUs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bot.config import LOCAL, Caps, Config, Limits, Painters, Timing
from bot.files import Kind
from bot.jobs import Event, JobState
from bot.service import JobSpec
from bot.worker.cluster.environment import prepare_environment
from bot.worker.protocol import Executor
from generator import request_from_json
from tests.bot.fake_dream import FakeDream, FakeDreamer
from tests.bot.real_service import RealService, requester, until

SERVERS = 5
SNAPSHOT_S = 0.2


def waiting(step_s: float, gpu: bool, threads: int) -> FakeDreamer:
    """The engine of a worker that waits."""
    return FakeDreamer(step_s)


class OnRay(RealService):
    """The service with workers of a cluster: one of this machine's own, or the one at an address."""

    def __init__(self, root: Path, painters: int, step_s: float, address: str = LOCAL) -> None:
        limits = Limits(queue_server=2_000, queue_user=1_000, running=16, daily=0)
        caps = Caps(queue_server=10_000, queue_user=1_000, queue_bot=100_000, running=16)
        super().__init__(root, Config(limits=limits, caps=caps, timing=Timing(snapshot_s=SNAPSHOT_S)))
        self._painters, self._step_s, self._address = painters, step_s, address

    def make_executor(self) -> Executor:
        """As many workers as asked for."""
        prepare_environment(os.environ, self._address, Path.home())
        from bot.worker.cluster.pool import RayCluster

        painters = Painters(kind="ray", count=self._painters, address=self._address)
        return RayCluster(painters, partial(waiting, self._step_s), preview_s=1.5, snapshot_s=SNAPSHOT_S)

    async def begin(self) -> None:
        """Start, and wait for all workers."""
        await self.start()

        async def complete() -> bool | None:
            return True if self.executor.capacity == self._painters else None

        await until(complete, 600)

    async def ask(self, count: int, steps: int) -> list[int]:
        """Queue jobs of several servers and people, most of them of the first server."""
        made = []
        for number in range(count):
            who = requester(number % 7, guild_id=guild_of(number))
            settings = {"size": "64x64", "steps": steps, "cutouts": 4, "seed": number}
            made.append((await self.service.submissions.submit(who, JobSpec(prompt="waits", settings=settings))).job.id)
        return made

    async def done(self, jobs: Sequence[int], timeout_s: float) -> None:
        """Wait until all jobs have their pictures, or failed."""

        async def finished() -> bool | None:
            states = await self.service.store.figures.states()
            return True if states.get("posting", 0) + states.get("failed", 0) >= len(jobs) else None

        await until(finished, timeout_s)

    def watch(self, call: Callable[[Event], None]) -> None:
        """Call a function with each change of a job, beside the service's own listener."""
        own = self.service.store.jobs.on_event

        def both(event: Event) -> None:
            own(event)
            call(event)

        self.service.store.jobs.on_event = both

    async def differing(self, jobs: Sequence[int]) -> list[int]:
        """Jobs whose picture differs from one that is generated here without a break."""
        wrong = []
        for job_id in jobs:
            recipe = await self.service.store.jobs.recipe(job_id)
            dream = FakeDream(request_from_json(recipe or ""), FakeDreamer())
            while not dream.finished:
                dream.step()
            if self.files.read(Kind.LATENT, job_id, 1) != dream.snapshot():
                wrong.append(job_id)
        return wrong


def guild_of(number: int) -> int:
    """The server of a job: a third of all are of the first one."""
    return 1 + (number % SERVERS if number % 3 else 0)


def is_end(event: Event) -> bool:
    """True if a job has its picture now."""
    return event.before is not None and (event.before.state, event.job.state) == (JobState.RUNNING, JobState.POSTING)


def is_return(event: Event) -> bool:
    """True if a job goes back into the queue."""
    return event.before is not None and (event.before.state, event.job.state) == (JobState.RUNNING, JobState.QUEUED)


def rss_mb() -> int:
    """Memory of this process, which is the bot's."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) // 1024
