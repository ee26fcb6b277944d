"""Status and actions for the host. Event loop; every method but `exposition` checks the requester."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.config import Config
from bot.environment import load_config
from bot.errors import NotFound
from bot.files import DataFolder
from bot.monitoring.metrics import Metrics, Totals
from bot.service.prompt_rules import PromptRules
from bot.service.queue import JobQueue
from bot.service.submission.single import Submissions
from bot.service.values import Requester
from bot.store import Store
from bot.texts import Sentence
from bot.worker.protocol import Executor, WorkerStatus
from generator import __version__


@dataclass(frozen=True, kw_only=True)
class HostStatus:
    """Current status of the bot."""

    version: str
    up_s: float
    worker: str
    """Device and models in words; empty before the first picture."""
    models: str
    draining: bool
    running: int
    queued: int
    posting: int
    waiting_for_access: int
    guilds_waiting: int
    step_s: float
    """Seconds per step of a picture with the host's default settings, measured or estimated."""
    data_bytes: int
    free_bytes: int
    worker_deaths: int
    workers: Sequence[WorkerStatus]
    faults: Sequence[Sentence]
    """Sentences about the cluster and painters that cannot be used."""
    gpu_bytes: Mapping[str, int]
    """`used` by this process, `free` to all, `total`; empty without a GPU."""
    totals: Totals
    """Totals since the start, from the same counters as Prometheus."""


class Operator:
    """Actions of the host alone."""

    def __init__(
        self,
        config: Config,
        store: Store,
        files: DataFolder,
        executor: Executor,
        queue: JobQueue,
        words: PromptRules,
        submissions: Submissions,
        metrics: Metrics,
        gpu_bytes: Callable[[], Mapping[str, int]],
    ) -> None:
        self._config, self._store, self._files, self._executor = config, store, files, executor
        self._queue, self._words, self._submissions = queue, words, submissions
        self._metrics, self._gpu_bytes = metrics, gpu_bytes
        self._began = time.monotonic()

    async def status(self, requester: Requester) -> HostStatus:
        """Current status of the bot.

        Raises:
            NotOwner
        """
        requester.must_host()
        states = await self._store.figures.states()
        used, free, gpu_bytes = await asyncio.to_thread(
            lambda: (self._files.used_bytes(), self._files.free_bytes(), self._gpu_bytes())
        )
        return HostStatus(
            version=__version__,
            up_s=time.monotonic() - self._began,
            worker=self._executor.describe(),
            models=self._config.model_name,
            draining=self._submissions.closed,
            running=states.get("running", 0),
            queued=states.get("queued", 0),
            posting=states.get("posting", 0),
            waiting_for_access=states.get("waiting", 0),
            guilds_waiting=self._queue.guilds_waiting(),
            step_s=self._queue.speeds.step_s(self._config.model_name, self._submissions.settings),
            data_bytes=used,
            free_bytes=free,
            worker_deaths=self._executor.deaths,
            workers=self._executor.workers(),
            faults=self._executor.faults(),
            gpu_bytes=gpu_bytes,
            totals=self._metrics.totals(),
        )

    async def exposition(self) -> bytes:
        """Metrics in Prometheus' format; open to everyone who reaches the endpoint, without names or ids.

        Raises:
            StoreError: if the database cannot be read.
        """
        states = await self._store.figures.states()
        gpu_bytes = await asyncio.to_thread(self._gpu_bytes)
        painters = {worker.name: _gauges(worker) for worker in self._executor.workers()}
        return self._metrics.exposition(states, self._executor.deaths, gpu_bytes, painters)

    def workers(self, requester: Requester) -> tuple[Sequence[WorkerStatus], Sequence[Sentence]]:
        """All workers as they are now, and sentences about what cannot be used.

        Raises:
            NotOwner
        """
        requester.must_host()
        return self._executor.workers(), self._executor.faults()

    def set_worker(self, requester: Requester, name: str, *, draining: bool) -> None:
        """Give a worker no more pictures, its current one ends there; or give it pictures again.

        Raises:
            NotOwner
            NotFound: if no worker has this name.
        """
        requester.must_host()
        known = self._executor.drain(name) if draining else self._executor.resume(name)
        if not known:
            names = ", ".join(worker.name for worker in self._executor.workers())
            raise NotFound("painter_unknown", name=name[:80], known=names or "–")

    async def drain(self, requester: Requester, *, on: bool = True) -> None:
        """Accept no new jobs (or accept them again); queued and running ones continue.

        Raises:
            NotOwner
        """
        requester.must_host()
        self._submissions.closed = on

    async def reload_styles(self, requester: Requester, path: Path) -> int:
        """Reload the host's styles from a config file; return their number.

        Raises:
            NotOwner
            ConfigError: if the file is broken; the styles stay as they were.
        """
        requester.must_host()
        config = await asyncio.to_thread(load_config, path)
        self._words.host_styles = dict(config.styles)
        return len(config.styles)


def _gauges(worker: WorkerStatus) -> dict[str, float]:
    return {
        "busy": float(worker.job_id is not None),
        "draining": float(worker.draining),
        "step_seconds": worker.step_s or 0.0,
        "silent_seconds": worker.silent_s,
        "resident_sets": float(len(worker.engine.resident)),
    }
