"""The process of a worker: one Ray actor for each GPU, which generates one picture at a time.

Its methods run on four threads: `paint`, `news`, `look` and the short ones on one each. Everything is
synchronous: a coroutine would block Ray's event loop during a step.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

import ray
from PIL import Image

from bot.worker.cluster.films import FilmCopy, SentFile, remove_abandoned
from bot.worker.cluster.wire import SentError, SentNews, SentOutcome, SentPicture, SentWork, decoded
from bot.worker.generation import RANKS, Generation
from bot.worker.mailbox import Mailbox
from bot.worker.protocol import Engine, EngineStatus, Interrupted, ProgressUpdate, StopMode
from generator import Description, GeneratorError, __version__

GROUPS = {"news": 1, "control": 1, "looks": 1}
"""Ray's concurrency groups beside the usual one, which has one thread as well."""
IDLE_S = 0.1
"""Time between two tries of a look to find the device idle."""
LEAST_FREE_BYTES = 200 * 2**20
"""Space on the machine's temporary folder below which it is full: Ray keeps what it sends there."""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The facts of a worker that has started; `fault` is a sentence if it cannot generate."""

    reverie: str
    python: str
    engine: EngineStatus
    fault: str = ""


@dataclass(eq=False)
class _Look:
    """One picture to describe."""

    image: Image.Image
    done: threading.Event = field(default_factory=threading.Event)
    result: Description | SentError | None = None


@dataclass(eq=False)
class _Run:
    """One generation: a `bot.worker.generation.Control`."""

    attempt: int
    order: StopMode | None = None
    alive_at: float = field(default_factory=time.monotonic)
    updates: Mailbox[ProgressUpdate] = field(default_factory=lambda: Mailbox(ProgressUpdate.over))
    fresh: threading.Event = field(default_factory=threading.Event)
    between_steps: Callable[[], None] = lambda: None
    over: bool = False
    held: ProgressUpdate | None = None
    """An update that waits until the files of its film are sent."""
    film: FilmCopy = field(init=False)

    def __post_init__(self) -> None:
        self.film = FilmCopy(self.attempt)

    def has_order(self, order: StopMode) -> bool:
        """Return True if it has this stop mode by now."""
        return self.order is order

    def report(self, update: ProgressUpdate) -> None:
        """Leave an update for the bot's next question."""
        self.updates.put(update)
        self.fresh.set()

    def take(self, have: int) -> tuple[ProgressUpdate | None, tuple[SentFile, ...]]:
        """The newest update, and the files of a film after the first `have` ones; without all of these no update."""
        update, held = self.updates.take(), self.held
        self.held = update.over(held) if update is not None and held is not None else update or held
        files, complete = self.film.since(have)
        if not complete:
            self.fresh.set()
            return None, files
        update, self.held = self.held, None
        return update, files


class Painter:
    """Generates pictures in a process of its own; values as in `bot.worker.cluster.wire`."""

    def __init__(self, make_engine: Callable[[], Engine], preview_s: float, snapshot_s: float, gpu: bool) -> None:
        """Start without models. Without a GPU of its own, the process sees none."""
        if not gpu:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        self._make_engine, self._times = make_engine, (preview_s, snapshot_s)
        self._engine: Engine | None = None
        self._generation: Generation | None = None
        self._run, self._beginning = _Run(attempt=0), threading.Lock()
        self._looks: SimpleQueue[_Look] = SimpleQueue()
        self._device = threading.Lock()
        """Held by whatever uses the device; a dream describes pictures itself between its steps."""

    def ready(self) -> Ready:
        """Check the machine and its model files, and load the usual models."""
        fault = ""
        remove_abandoned()
        try:
            if self._engine is None:
                engine = self._make_engine()
                engine.prepare()
                self._engine, self._generation = engine, Generation(engine, *self._times)
            _check_disk()
        except (GeneratorError, OSError) as exc:
            fault = str(exc)
        status = EngineStatus() if self._engine is None else self._engine.status()
        return Ready(reverie=__version__, python=platform.python_version(), engine=status, fault=fault)

    def paint(self, sent: SentWork) -> SentOutcome:
        """Generate one picture. Errors are returned."""
        if self._generation is None:
            return SentError(kind="RuntimeError", text="the worker is not ready", lost=True)
        run = self._run_of(sent.attempt)
        run.between_steps = self._look_at_all
        folder = run.film.folder if sent.film else None
        try:
            with self._device:
                outcome = self._generation.attempt(sent.work(folder), run)
            if isinstance(outcome, Interrupted):
                return outcome
            return SentError.of(outcome) if isinstance(outcome, Exception) else SentPicture.of(outcome)
        except Exception as exc:  # The bot decides what becomes of the job.
            return SentError.of(exc)
        finally:
            run.over = True
            run.fresh.set()  # A question that waits would hold up those of the next generation.

    @ray.method(concurrency_group="looks")
    def look(self, image: bytes) -> Description | SentError:
        """Describe a picture in words, after the current step of a dream if there is one. Errors are returned."""
        look = _Look(decoded(image))
        self._looks.put(look)
        while self._engine is not None and not look.done.is_set():
            if self._device.acquire(timeout=IDLE_S):
                try:
                    self._look_at_all()
                finally:
                    self._device.release()
        return look.result or SentError(kind="RuntimeError", text="the worker is not ready", lost=True)

    @ray.method(concurrency_group="news")
    def news(self, attempt: int, wait_s: float, have: int = 0) -> SentNews:
        """The newest progress of a generation since the last call; waits for some, at most `wait_s`.

        `have` is the number of files of a film that the bot has; it gets those after them.
        """
        run = self._run
        update, files = None, tuple[SentFile, ...]()
        if run.attempt == attempt and not run.over:
            run.fresh.wait(wait_s)
            run.fresh.clear()
        else:  # It has not begun, or is over.
            time.sleep(min(wait_s, 0.05))
        if run.attempt == attempt:
            update, files = run.take(have)
        news = SentNews(
            attempt=attempt,
            engine=EngineStatus() if self._engine is None else self._engine.status(),
            description="" if self._generation is None else self._generation.description,
            idle_s=time.monotonic() - run.alive_at if run.attempt == attempt else 0.0,
            have=have,
            files=files,
        )
        return news if update is None else news.with_update(update)

    @ray.method(concurrency_group="control")
    def stop(self, attempt: int, order: StopMode) -> None:
        """Stop a generation after its current step; one that has not begun stops at once."""
        run = self._run_of(attempt)
        if run.attempt == attempt and (run.order is None or RANKS[order] > RANKS[run.order]):
            run.order = order

    @ray.method(concurrency_group="control")
    def take_file(self, attempt: int, name: str, data: bytes) -> None:
        """Take a file of a film that a generation is to go on with."""
        run = self._run_of(attempt)
        if run.attempt == attempt:
            run.film.put(name, data)

    @ray.method(concurrency_group="control")
    def remove_film(self, attempt: int) -> None:
        """Remove the files of a film; the bot has them."""
        FilmCopy(attempt).remove()

    def _run_of(self, attempt: int) -> _Run:
        """The run of a generation, or a later one."""
        with self._beginning:
            if self._run.attempt < attempt:
                self._run.film.remove()
                self._run = _Run(attempt=attempt)
            return self._run

    def _look_at_all(self) -> None:
        """Describe the pictures that wait for it; the device is ours."""
        while self._engine is not None:
            try:
                look = self._looks.get_nowait()
            except Empty:
                return
            try:
                look.result = self._engine.look(look.image)
            except Exception as exc:  # Raised to the caller that waits for the description.
                look.result = SentError.of(exc)
            look.done.set()

    @ray.method(concurrency_group="control")
    def ping(self) -> EngineStatus:
        """Show that the process lives."""
        return EngineStatus() if self._engine is None else self._engine.status()


def _check_disk() -> None:
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < LEAST_FREE_BYTES:
        raise OSError(f"The disk of this machine is full: {free // 2**20} MiB are left for temporary files.")
