"""Local executor: one worker thread that owns the models and generates.

It reaches the event loop only by `loop.call_soon_threadsafe`. Everything public runs on the event loop; `_Worker`
holds the code of the thread. A thread that dies, stalls, or whose GPU fails is replaced.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, cast

from PIL import Image

from bot import imaging
from bot.errors import without_locals
from bot.log import about
from bot.waiting import FOR_THE_WORKER, ExternalWait, identity
from bot.worker.mailbox import Mailbox
from bot.worker.protocol import (
    Dream,
    Engine,
    FilmInProgress,
    GeneratedPicture,
    Interrupted,
    Outcome,
    ProgressUpdate,
    StopMode,
    Work,
    WorkerDied,
)
from generator import CheckpointError, Description, DeviceFailed, OutOfMemory, Progress, Timelapse

FRAMES = 40
"""Maximum number of frames in a timelapse."""
FRAME_SIDE_PX = 384
PROGRESS_S = 0.1
"""Minimum time between two reports of progress alone."""
JOIN_S = 30.0
"""Maximum time that `close` waits for the thread to end its step."""

_WAKE = object()
_RANKS = {StopMode.PAUSE: 0, StopMode.FINISH: 1, StopMode.CANCEL: 2}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Look:
    """One picture to describe, between two steps of a dream or two dreams."""

    image: Image.Image
    done: asyncio.Future[Description]


@dataclass(eq=False)
class _Task:
    """One dream in the worker thread. `order` and `alive_at` are written on one side, read on the other."""

    work: Work
    on_progress: Callable[[ProgressUpdate], None]
    done: asyncio.Future[Outcome]
    order: StopMode | None = None
    alive_at: float = field(default_factory=time.monotonic)
    updates: Mailbox[ProgressUpdate] = field(default_factory=lambda: Mailbox(ProgressUpdate.over))

    def has_order(self, order: StopMode) -> bool:
        """Return True if the task has this stop mode by now."""
        return self.order is order


class LocalExecutor:
    """One worker thread on this machine. Call it from one event loop; see `bot.worker.protocol.Executor`."""

    workers = 1

    def __init__(
        self,
        engine: Engine,
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
        self._engine, self._external_wait = engine, external_wait
        self._preview_s, self._snapshot_s, self._stall_s = preview_s, snapshot_s, stall_s
        self._worker: _Worker | None = None
        self._tasks: dict[int, _Task] = {}
        self._looks = set[_Look]()
        self._deaths = 0

    @property
    def deaths(self) -> int:
        """Number of worker threads that were replaced."""
        return self._deaths

    def describe(self) -> str:
        """Device and models in words; empty before the first picture."""
        return "" if self._worker is None else self._worker.description

    async def generate(self, work: Work, on_progress: Callable[[ProgressUpdate], None]) -> Outcome:
        """Generate one picture; `on_progress` is called on the event loop.

        Raises:
            GeneratorError: raised by the dream.
            WorkerDied: the worker thread ended or stalled; the same work can be tried again.
        """
        loop = asyncio.get_running_loop()
        task = _Task(work, on_progress, loop.create_future())
        if self._worker is None:
            self._worker = _Worker(self._engine, loop, self._preview_s, self._snapshot_s, self._lost)
        self._tasks[work.job_id] = task
        self._worker.tasks.put(task)
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
        if self._worker is None:
            self._worker = _Worker(self._engine, loop, self._preview_s, self._snapshot_s, self._lost)
        self._worker.looks.put(look)
        self._worker.tasks.put(_WAKE)
        self._looks.add(look)
        timer = loop.call_later(self._stall_s, _give_up, look)
        try:
            return await self._external_wait(look.done, FOR_THE_WORKER)
        finally:
            self._looks.discard(look)
            timer.cancel()

    def send(self, job_id: int, order: StopMode) -> bool:
        """Stop the dream of a job after its current step; return True if it was running."""
        task = self._tasks.get(job_id)
        if task is not None and (task.order is None or _RANKS[order] > _RANKS[task.order]):
            task.order = order
        return task is not None

    async def close(self) -> None:
        """Cancel the running dream, and wait for the thread to end."""
        for job_id in list(self._tasks):
            self.send(job_id, StopMode.CANCEL)
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.tasks.put(None)
            await asyncio.to_thread(worker.thread.join, JOIN_S)

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
        if self._worker is not None:
            self._worker.tasks.put(None)
            self._worker = None
        for look in self._looks:
            _give_up(look)
        died = WorkerDied("painter_lost")
        died.__cause__ = cause
        task.done.set_exception(died)


class _Worker:
    """The worker thread, and everything that runs on it."""

    def __init__(
        self,
        engine: Engine,
        loop: asyncio.AbstractEventLoop,
        preview_s: float,
        snapshot_s: float,
        lost: Callable[[_Task, BaseException | None], None],
    ) -> None:
        self.tasks: SimpleQueue[_Task | object | None] = SimpleQueue()
        """Dreams; `_WAKE` for a look at an idle time, None at the end."""
        self.looks: SimpleQueue[_Look] = SimpleQueue()
        self.description = ""
        self._engine, self._loop, self._lost = engine, loop, lost
        self._preview_s, self._snapshot_s = preview_s, snapshot_s
        # A daemon, so that an endless step cannot keep the process alive.
        self.thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        task: _Task | None = None
        try:
            while (item := self.tasks.get()) is not None:
                self._look_at_all()
                if isinstance(item, _Task):
                    task = item
                    self._call(_settle, task, self._attempt(task))
                item = task = None  # The next task may take long to come, and this one's picture is large.
        except BaseException as exc:  # The task must not wait forever, whatever ends the thread.
            _log.exception("the worker ended", extra=about(job=None if task is None else task.work.job_id))
            if task is not None:
                self._call(self._lost, task, exc)

    def _attempt(self, task: _Task) -> Outcome | Exception:
        try:
            return self._generate(task)
        except MemoryError as exc:
            error = OutOfMemory("The memory of this machine is used up.")
            error.__cause__ = exc
            return without_locals(error)
        except DeviceFailed as exc:  # The device is unusable on this thread: a new thread takes over.
            self._engine.renew()
            without_locals(exc)
            raise
        except Exception as exc:  # Raised to the caller that waits for the picture.
            return without_locals(exc)

    def _generate(self, task: _Task) -> Outcome:
        if task.has_order(StopMode.CANCEL):
            return Interrupted(order=StopMode.CANCEL)
        began = time.monotonic()
        dream = self._begin(task)
        self.description = self._engine.describe()
        progress, timelapse = dream.progress, Timelapse(FRAMES, FRAME_SIDE_PX)
        first, first_at = progress.step, began
        reports = _Reports(began, self._preview_s, self._snapshot_s)
        film = task.work.request.film is not None
        composed = first == 0 and not film and task.work.request.settings.composition == "posed"
        if composed and task.updates.put(reports.of_start(dream, progress, timelapse)):
            self._call(_deliver, task)
        while not dream.finished:
            if task.has_order(StopMode.CANCEL):
                return Interrupted(order=StopMode.CANCEL)
            if task.has_order(StopMode.PAUSE):
                return Interrupted(order=StopMode.PAUSE, snapshot=dream.snapshot())
            if task.has_order(StopMode.FINISH) and progress.step > (1 if film else 0):  # a film has two frames
                break
            self._look_at_all()
            progress = dream.step()
            task.alive_at = now = time.monotonic()
            if progress.step == first + 1:
                first_at = now
            update = reports.after_step(dream, progress, now, timelapse)
            if update is not None and task.updates.put(update):
                self._call(_deliver, task)
        steps = max(1, progress.step - first - 1)
        step_s = (time.monotonic() - first_at) / steps if progress.step > first + 1 else progress.seconds_per_step
        return self._finished(task, dream, timelapse, began, step_s)

    def _look_at_all(self) -> None:
        """Describe the pictures that wait for it."""
        while True:
            try:
                look = self.looks.get_nowait()
            except Empty:
                return
            try:
                self._call(_settle, look, self._engine.look(look.image))
            except Exception as exc:  # Raised to the caller that waits for the description.
                self._call(_settle, look, without_locals(exc))

    def _begin(self, task: _Task) -> Dream | FilmInProgress:
        work = task.work
        if work.request.film is not None and work.folder is not None:
            return self._engine.film(work.request, work.parent, work.folder)
        if work.snapshot is not None:
            try:
                return self._engine.resume(work.request, work.snapshot)
            except CheckpointError as exc:
                _log.warning("the snapshot cannot be used: %s", exc, extra=about(job=work.job_id))
        return self._engine.begin(work.request, work.parent)

    def _finished(
        self, task: _Task, dream: Dream | FilmInProgress, timelapse: Timelapse, began: float, step_s: float
    ) -> GeneratedPicture:
        picture = dream.picture()
        timelapse.add(picture.image)
        frames = tuple(cast("FilmInProgress", dream).frames) if task.work.request.film is not None else ()
        return GeneratedPicture(
            picture=picture,
            snapshot=dream.snapshot(),
            timelapse=timelapse,
            paint_s=time.monotonic() - began,
            step_s=step_s,
            unsafe_share=self._unsafe_share(picture.image, frames) if task.work.examine else 0.0,
            frames=frames,
        )

    def _unsafe_share(self, image: Image.Image, frames: Sequence[Path]) -> float:
        """Certainty of the perceptors about a picture, or the largest about some frames of a film, evenly spread."""
        return max(self._engine.unsafe_share(one) for one in (image, *imaging.some_frames(frames)))

    def _call(self, function: Callable[..., None], *values: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *values)
        except RuntimeError:
            # The loop is closed: no caller is left to notify.
            _log.debug("the event loop is gone")


class _Reports:
    """Schedule of progress reports and timelapse frames."""

    def __init__(self, now: float, preview_s: float, snapshot_s: float) -> None:
        self._preview_s, self._snapshot_s = preview_s, snapshot_s
        self._progress_at = self._preview_at = now
        self._snapshot_at = now + snapshot_s

    def of_start(self, dream: Dream, progress: Progress, timelapse: Timelapse) -> ProgressUpdate:
        """The update for a start that is worth showing; its picture is the timelapse's first frame."""
        image = dream.preview()
        timelapse.add(image)
        self._preview_at = time.monotonic() + self._preview_s
        return ProgressUpdate(progress=progress, warnings=dream.warnings, preview=image, snapshot=None)

    def after_step(self, dream: Dream, progress: Progress, now: float, timelapse: Timelapse) -> ProgressUpdate | None:
        """Return the update due after a step, if any; add a frame if one is due."""
        wants_frame = progress.step % max(1, progress.steps // (FRAMES - 1)) == 0
        wants_preview, wants_snapshot = now >= self._preview_at, now >= self._snapshot_at
        image = dream.preview() if wants_frame or wants_preview else None
        if image is not None and wants_frame:
            timelapse.add(image)
        if not wants_preview and not wants_snapshot and now < self._progress_at:
            return None
        self._progress_at = now + PROGRESS_S
        if wants_preview:
            self._preview_at = now + self._preview_s
        snapshot = None
        if wants_snapshot:
            snapshot = dream.snapshot()
            self._snapshot_at = time.monotonic() + self._snapshot_s
        preview = image if wants_preview else None
        return ProgressUpdate(progress=progress, warnings=dream.warnings, preview=preview, snapshot=snapshot)


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
