"""The workers of this bot: each picture goes to a free one that has its models, if possible. Event loop.

Workers come and go at any time. Each generation of a picture has a number of its own, and whatever arrives of an
earlier one is dropped: a worker that was given up may still be at work somewhere.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from PIL import Image

from bot.log import about
from bot.texts import Sentence
from bot.waiting import FOR_THE_WORKER, ExternalWait, identity
from bot.worker.generation import RANKS
from bot.worker.protocol import Interrupted, Outcome, ProgressUpdate, StopMode, Work, Worker, WorkerStatus
from generator import Description, Progress

LOAD_S = 10.0
"""Estimated time to load a model set that was never loaded."""
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Run:
    """One picture with the pool, from the call to its outcome."""

    work: Work
    on_progress: Callable[[ProgressUpdate], None]
    came_at: float = field(default_factory=time.monotonic)
    slot: _Slot | None = None
    order: StopMode | None = None
    progress: Progress | None = None
    over: bool = False

    def report(self, update: ProgressUpdate) -> None:
        """Pass an update on, unless it comes after the outcome."""
        if not self.over:
            self.progress = update.progress
            self.on_progress(update)


@dataclass(eq=False)
class _Slot:
    """A worker, and what it does now."""

    worker: Worker
    run: _Run | None = None
    draining: bool = False
    used: int = 0
    """Number of the last picture that it was given; the least recently used worker takes another model set first."""


class WorkerPool:
    """Any number of workers, of any kind; see `bot.worker.protocol.Executor`."""

    def __init__(self, workers: Iterable[Worker] = (), *, external_wait: ExternalWait = identity) -> None:
        self._slots = {worker.name: _Slot(worker) for worker in workers}
        self._runs: dict[int, _Run] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._listeners: list[Callable[[], None]] = []
        self._external_wait = external_wait
        self._numbers = itertools.count(1)
        self._deaths = 0
        self._drained: set[str] = set()

    @property
    def capacity(self) -> int:
        """Number of pictures that may be generated at once now."""
        return sum(not slot.draining for slot in self._slots.values())

    @property
    def deaths(self) -> int:
        """Number of workers that were replaced, or went away during a picture."""
        return self._deaths + sum(slot.worker.status().deaths for slot in self._slots.values())

    def workers(self) -> Sequence[WorkerStatus]:
        """All workers, in order of arrival."""
        return [_status(slot) for slot in self._slots.values()]

    def describe(self) -> str:
        """Devices and models in words, each once; empty before the first picture."""
        described = (slot.worker.status().description for slot in self._slots.values())
        return "; ".join(dict.fromkeys(filter(None, described)))

    def watch(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever a worker comes, goes or becomes free."""
        self._listeners.append(listener)

    def add(self, worker: Worker) -> None:
        """Add a worker; it gets pictures at once."""
        self._slots[worker.name] = _Slot(worker, draining=worker.name in self._drained)
        _log.info("worker added", extra=about(worker=worker.name))
        self._changed()

    def remove(self, name: str) -> None:
        """Forget a worker that is gone; its picture, if any, ends by the worker's own error."""
        slot = self._slots.pop(name, None)
        if slot is not None:
            self._deaths += slot.worker.status().deaths
            _log.info("worker removed", extra=about(worker=name))
            self._changed()

    def drain(self, name: str) -> bool:
        """Give a worker no more pictures; its current one ends there. Return True if there is such a worker."""
        return self._set_draining(name, True)

    def resume(self, name: str) -> bool:
        """Give a drained worker pictures again; return True if there is such a worker."""
        return self._set_draining(name, False)

    def faults(self) -> Sequence[Sentence]:
        """Sentences for the host about workers that cannot be used, if any."""
        return ()

    async def start(self) -> None:
        """Workers start with their first picture."""

    async def close(self) -> None:
        """End all workers after their current step."""
        for job_id in list(self._runs):
            self.send(job_id, StopMode.CANCEL)
        await asyncio.gather(*(slot.worker.close() for slot in self._slots.values()))

    async def generate(self, work: Work, on_progress: Callable[[ProgressUpdate], None]) -> Outcome:
        """Generate one picture with a free worker, or the next that becomes free; see Worker.generate."""
        run = _Run(replace(work, attempt=next(self._numbers)), on_progress)
        self._runs[work.job_id] = run
        try:
            slot = await self._acquire(run)
            if slot is None:
                return Interrupted(order=run.order or StopMode.CANCEL, snapshot=work.snapshot)
            try:
                return await slot.worker.generate(run.work, run.report)
            finally:
                slot.run = None
                self._changed()
        finally:
            run.over = True
            if self._runs.get(work.job_id) is run:
                del self._runs[work.job_id]

    async def look(self, image: Image.Image) -> Description:
        """Describe a picture in words, with a free worker if there is one; see Worker.look."""
        while not self._slots:
            await self._woken(None)
        slot = min(self._slots.values(), key=lambda each: (each.run is not None, each.draining, each.used))
        return await slot.worker.look(image)

    def send(self, job_id: int, order: StopMode) -> bool:
        """Stop the dream of a job after its current step; return True if it was running."""
        run = self._runs.get(job_id)
        if run is None:
            return False
        if run.order is None or RANKS[order] > RANKS[run.order]:
            run.order = order
        if run.slot is not None:
            return run.slot.worker.send(job_id, order)
        self._wake()
        return True

    async def _acquire(self, run: _Run) -> _Slot | None:
        """Take the best worker for a picture; None if the picture was stopped before there was one."""
        while run.order in (None, StopMode.FINISH):
            slot, patience_s = self._choose(run)
            if slot is not None:
                slot.run, slot.used, run.slot = run, run.work.attempt, slot
                if run.order is not None:
                    asyncio.get_running_loop().call_soon(self.send, run.work.job_id, run.order)
                return slot
            await self._woken(patience_s)
        return None

    async def _woken(self, patience_s: float | None) -> None:
        """Wait until something changed, at most for this time."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(woken)
        timer = None if patience_s is None else asyncio.get_running_loop().call_later(patience_s, _set, woken)
        try:
            await self._external_wait(woken, FOR_THE_WORKER)
        finally:
            if timer is not None:
                timer.cancel()
            with suppress(ValueError):
                self._waiting.remove(woken)

    def _choose(self, run: _Run) -> tuple[_Slot | None, float | None]:
        """The worker to take now; or None, with the time to wait at most for a busy one that has the models."""
        models = run.work.request.models
        free = [slot for slot in self._slots.values() if slot.run is None and not slot.draining]
        if not free:
            return None, None
        status = {slot: slot.worker.status().engine for slot in free}
        has = [slot for slot in free if models in status[slot].resident]
        if has:
            return max(has, key=lambda slot: slot.used), None
        # Waiting for a busy worker is worth as much time as loading the models takes on a free one.
        load_s = min((status[slot].load_s.get(models, LOAD_S) for slot in free), default=LOAD_S)
        left_s = run.came_at + load_s - time.monotonic()
        if left_s > 0 and any(self._ends_within(slot, models, left_s) for slot in self._slots.values()):
            return None, left_s
        return min(free, key=lambda slot: (bool(status[slot].resident), slot.used)), None

    def _ends_within(self, slot: _Slot, models: str, left_s: float) -> bool:
        run = slot.run
        if run is None or slot.draining or run.progress is None or not 0 < run.progress.seconds_left < left_s:
            return False
        return models in slot.worker.status().engine.resident

    def _set_draining(self, name: str, on: bool) -> bool:
        slot = self._slots.get(name)
        if slot is None:
            return False
        slot.draining = on
        (self._drained.add if on else self._drained.discard)(name)
        self._changed()
        return True

    def _changed(self) -> None:
        self._wake()
        for listener in self._listeners:
            listener()

    def _wake(self) -> None:
        """Let those that wait look again, in order of arrival."""
        for woken in self._waiting:
            _set(woken)


def _set(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


def _status(slot: _Slot) -> WorkerStatus:
    run = slot.run
    progress = None if run is None else run.progress
    return replace(
        slot.worker.status(),
        job_id=None if run is None else run.work.job_id,
        step_s=None if progress is None or not progress.seconds_per_step else progress.seconds_per_step,
        draining=slot.draining,
    )
