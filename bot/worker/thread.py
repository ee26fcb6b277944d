"""A worker that is a thread of this process, which owns the models of one device and generates.

It reaches the event loop only by `loop.call_soon_threadsafe`. Everything public runs on the event loop; `_Thread`
holds the code of the thread. A thread that dies, stalls, or whose GPU fails is replaced.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from PIL import Image

from bot.errors import without_locals
from bot.log import about
from bot.waiting import FOR_THE_WORKER, ExternalWait, identity
from bot.worker.generation import RANKS, Generation
from bot.worker.mailbox import Mailbox
from bot.worker.protocol import Engine, Outcome, ProgressUpdate, StopMode, Work, WorkerDied, WorkerStatus
from generator import Description

JOIN_S = 30.0
"""Maximum time that `close` waits for the thread to end its step."""

_WAKE = object()
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Look:
    """One picture to describe, between two steps of a dream or two dreams."""

    image: Image.Image
    done: asyncio.Future[Description]


@dataclass(eq=False)
class _Task:
    """One dream in the worker thread: a `bot.worker.generation.Control`."""

    work: Work
    on_progress: Callable[[ProgressUpdate], None]
    done: asyncio.Future[Outcome]
    wake: Callable[[_Task], None]
    """Makes the event loop deliver the updates. Any thread."""
    between_steps: Callable[[], None]
    """Does what waits for the end of a step. Worker thread."""
    order: StopMode | None = None
    alive_at: float = field(default_factory=time.monotonic)
    updates: Mailbox[ProgressUpdate] = field(default_factory=lambda: Mailbox(ProgressUpdate.over))

    def has_order(self, order: StopMode) -> bool:
        """Return True if it has this stop mode by now."""
        return self.order is order

    def report(self, update: ProgressUpdate) -> None:
        """Leave an update for the event loop. Worker thread."""
        if self.updates.put(update):
            self.wake(self)


class ThreadWorker:
    """One worker thread on this machine. Call it from one event loop; see `bot.worker.protocol.Worker`."""

    def __init__(
        self,
        engine: Engine,
        name: str = "local",
        *,
        preview_s: float = 1.5,
        snapshot_s: float = 5.0,
        stall_s: float = 900.0,
        external_wait: ExternalWait = identity,
    ) -> None:
        """The thread starts with the first picture.

        The times are the seconds between two previews, between two snapshots, and until a thread without a step
        counts as dead.
        """
        self.name, self._engine, self._external_wait = name, engine, external_wait
        self._preview_s, self._snapshot_s, self._stall_s = preview_s, snapshot_s, stall_s
        self._thread: _Thread | None = None
        self._tasks: dict[int, _Task] = {}
        self._looks = set[_Look]()
        self._deaths = 0

    @property
    def deaths(self) -> int:
        """Number of worker threads that were replaced."""
        return self._deaths

    def describe(self) -> str:
        """Device and models in words; empty before the first picture."""
        return "" if self._thread is None else self._thread.generation.description

    def status(self) -> WorkerStatus:
        """Device and models of the engine, signs of life and deaths."""
        alive_at = max((task.alive_at for task in self._tasks.values()), default=time.monotonic())
        return WorkerStatus(
            name=self.name,
            engine=self._engine.status(),
            silent_s=time.monotonic() - alive_at,
            deaths=self._deaths,
            description=self.describe(),
        )

    async def generate(self, work: Work, on_progress: Callable[[ProgressUpdate], None]) -> Outcome:
        """Generate one picture; `on_progress` is called on the event loop.

        Raises:
            GeneratorError: raised by the dream.
            WorkerDied: the worker thread ended or stalled; the same work can be tried again.
        """
        loop = asyncio.get_running_loop()
        thread = self._started()
        task = _Task(work, on_progress, loop.create_future(), partial(thread.call, _deliver), thread.look_at_all)
        self._tasks[work.job_id] = task
        thread.tasks.put(task)
        timer = loop.call_later(self._stall_s, self._check, task)
        try:
            return await self._external_wait(task.done, FOR_THE_WORKER)
        finally:
            # Only matters if the caller stopped waiting: then the picture is not needed.
            task.order = StopMode.CANCEL
            self._tasks.pop(work.job_id, None)
            timer.cancel()

    async def look(self, image: Image.Image) -> Description:
        """Describe a picture in words; a picture in progress waits meanwhile, after its current step.

        Raises:
            GeneratorError: if the models cannot do it.
            WorkerDied: the worker thread ended or stalled.
        """
        loop = asyncio.get_running_loop()
        look = _Look(image, loop.create_future())
        thread = self._started()
        thread.looks.put(look)
        thread.tasks.put(_WAKE)
        self._looks.add(look)
        timer = loop.call_later(self._stall_s, _give_up, look)
        try:
            return await self._external_wait(look.done, FOR_THE_WORKER)
        finally:
            self._looks.discard(look)
            timer.cancel()

    def _started(self) -> _Thread:
        """The thread; a new one if there is none."""
        if self._thread is None:
            generation = Generation(self._engine, self._preview_s, self._snapshot_s)
            self._thread = _Thread(generation, self._engine, asyncio.get_running_loop(), self._lost)
        return self._thread

    def send(self, job_id: int, order: StopMode) -> bool:
        """Stop the dream of a job after its current step; return True if it was running."""
        task = self._tasks.get(job_id)
        if task is not None and (task.order is None or RANKS[order] > RANKS[task.order]):
            task.order = order
        return task is not None

    async def close(self) -> None:
        """Cancel the running dream, and wait for the thread to end."""
        for job_id in list(self._tasks):
            self.send(job_id, StopMode.CANCEL)
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.tasks.put(None)
            await asyncio.to_thread(thread.thread.join, JOIN_S)

    def _check(self, task: _Task) -> None:
        """Count the thread as dead if it made no step for too long."""
        left = task.alive_at + self._stall_s - time.monotonic()
        if task.done.done():
            return
        if left > 0:
            asyncio.get_running_loop().call_later(left, self._check, task)
        else:
            _log.error("the worker stalled", extra=about(job=task.work.job_id))
            self._lost(task)

    def _lost(self, task: _Task, cause: BaseException | None = None) -> None:
        """Give up the thread of this task; the next picture starts a new one."""
        if task.done.done():
            return
        self._deaths += 1
        task.order = StopMode.CANCEL  # If the old thread resumes, it ends.
        if self._thread is not None:
            self._thread.tasks.put(None)
            self._thread = None
        for look in self._looks:
            _give_up(look)
        died = WorkerDied("painter_lost")
        died.__cause__ = cause
        task.done.set_exception(died)


class _Thread:
    """The worker thread, and everything that runs on it."""

    def __init__(
        self,
        generation: Generation,
        engine: Engine,
        loop: asyncio.AbstractEventLoop,
        lost: Callable[[_Task, BaseException | None], None],
    ) -> None:
        self.tasks: SimpleQueue[_Task | object | None] = SimpleQueue()
        """Dreams; `_WAKE` for a look at an idle time, None at the end."""
        self.looks: SimpleQueue[_Look] = SimpleQueue()
        self.generation, self._engine, self._loop, self._lost = generation, engine, loop, lost
        # A daemon, so that an endless step cannot keep the process alive.
        self.thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        task: _Task | None = None
        try:
            while (item := self.tasks.get()) is not None:
                self.look_at_all()
                if isinstance(item, _Task):
                    task = item
                    self.call(_settle, task, self.generation.attempt(task.work, task))
                item = task = None  # The next task may take long to come, and this one's picture is large.
        except BaseException as exc:  # The task must not wait forever, whatever ends the thread.
            _log.exception("the worker ended", extra=about(job=None if task is None else task.work.job_id))
            if task is not None:
                self.call(self._lost, task, exc)

    def look_at_all(self) -> None:
        """Describe the pictures that wait for it."""
        while True:
            try:
                look = self.looks.get_nowait()
            except Empty:
                return
            try:
                self.call(_settle, look, self._engine.look(look.image))
            except Exception as exc:  # Raised to the caller that waits for the description.
                self.call(_settle, look, without_locals(exc))

    def call(self, function: Callable[..., None], *values: object) -> None:
        """Call a function on the event loop. Any thread."""
        try:
            self._loop.call_soon_threadsafe(function, *values)
        except RuntimeError:
            # The loop is closed: no caller is left to notify.
            _log.debug("the event loop is gone")


def _give_up(look: _Look) -> None:
    if not look.done.done():
        look.done.set_exception(WorkerDied("painter_lost"))


def _settle(task: _Task | _Look, outcome: Any) -> None:  # noqa: ANN401 - of the kind that the task waits for
    if task.done.done():
        return
    if isinstance(outcome, Exception):
        task.done.set_exception(outcome)
    else:
        task.done.set_result(outcome)


def _deliver(task: _Task) -> None:
    update = task.updates.take()
    if update is not None and not task.done.done():
        task.on_progress(update)
