"""Queue in memory: waiting and running jobs, paused servers, and places in the queue. Event loop.

The rows of the database are authoritative; this is derived from them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image

from bot.jobs import EVERYBODY, Job
from bot.service.estimates import Estimates
from bot.service.scheduler import Entry, Forecast, Lane, Scheduler
from bot.service.values import Place, Preview
from bot.store import Store
from bot.worker.mailbox import Mailbox
from bot.worker.protocol import ProgressUpdate, StopMode, WorkerStatus
from generator import Progress

FRESH_S = 2.0
"""Maximum age of a forecast."""
OLD_S = 60.0
"""Maximum age of a forecast from which a new job's time is estimated."""
LONG = 100
"""Number of waiting jobs from which a new one gets an estimate, until the next forecast."""
REST = 4
"""Minimum pause between forecasts as a multiple of a forecast's own time: at most a fifth of the time is used."""
_AT_ONCE = 100
_ONE_WORKER = (WorkerStatus(name="the only one"),)


@dataclass(eq=False)
class Running:
    """A job with a worker, from its start until its pictures are saved."""

    job: Job
    entry: Entry
    number: int = 1
    """Number of the current picture."""
    progress: Progress | None = None
    warnings: tuple[str, ...] = ()
    preview: Preview | None = None
    order: StopMode | None = None
    """Stop mode of the job; sent again with each update, in case the worker had no dream of it at that moment."""
    images: list[Image.Image] = field(default_factory=list)
    """Finished pictures of the job, for the grid."""
    fresh: asyncio.Event = field(default_factory=asyncio.Event)
    over: bool = False
    """The worker sends nothing more."""
    _updates: Mailbox[ProgressUpdate] = field(default_factory=lambda: Mailbox(ProgressUpdate.over))

    @property
    def finishing(self) -> bool:
        """True if someone asked to finish the job early."""
        return self.job.finish_after is not None

    @property
    def steps_done(self) -> int:
        """Steps so far, over all of its pictures."""
        return (self.number - 1) * self.job.settings.steps + (0 if self.progress is None else self.progress.step)

    @property
    def enough(self) -> bool:
        """True if the job was to be finished before this picture, and has one already."""
        wanted = self.job.finish_after
        return wanted is not None and bool(self.images) and (self.number - 1) * self.job.settings.steps >= wanted

    def begin(self, number: int) -> None:
        """Start the next picture; drop updates left from the one before."""
        self.number, self.progress = number, None
        self._updates.take()

    def on_event(self, update: ProgressUpdate) -> None:
        """Record an update of the current picture; keep the newest preview and snapshot until they are taken."""
        self._updates.put(update)
        self.progress, self.warnings = update.progress, update.warnings
        wanted = self.job.finish_after
        if self.order is None and wanted is not None and self.steps_done >= wanted:
            # The stop was requested before this process started: the picture has come to where it was then.
            self.order = StopMode.FINISH
        self.fresh.set()

    def take_update(self) -> ProgressUpdate | None:
        """Updates of the current picture since the last call."""
        self.fresh.clear()
        return self._updates.take()

    def left_s(self, speeds: Estimates) -> float:
        """Estimated seconds until all of its pictures are generated."""
        job, progress = self.job, self.progress
        whole = speeds.picture_s(job.speed_name, job.settings)
        current = whole if progress is None else progress.seconds_left
        if progress is not None and not current:  # No step was measured yet.
            current = speeds.step_s(job.speed_name, job.settings) * (progress.steps - progress.step)
        return current + (0.0 if self.finishing else (job.count - self.number) * whole)


class JobQueue:
    """Waiting and running jobs.

    Attributes:
        paused: servers that start nothing.
        running: jobs with a worker.
        speeds: measured seconds per step.
        wake: set when a job may have become startable.
    """

    def __init__(
        self,
        store: Store,
        notify: Callable[[int], None],
        workers: Callable[[], Sequence[WorkerStatus]] = lambda: _ONE_WORKER,
    ) -> None:
        """`notify(job_id)` notifies the listeners that a job's view changed; `workers` returns those of the moment."""
        self._store, self._notify, self._workers = store, notify, workers
        self._scheduler = Scheduler()
        self._waiting: dict[int, Job] = {}
        self.paused: set[int] = set()
        self.running: dict[int, Running] = {}
        self.speeds = Estimates()
        self.wake = asyncio.Event()
        self._places: dict[int, Place] = {}
        self._ends: list[float] = []
        """Expected ends of the jobs in `_places`, in order."""
        self._forecast_lock = asyncio.Lock()
        self._made_at, self._cost_s = 0.0, 0.0

    def add(self, job: Job, *, resumed: bool = False) -> None:
        """Add a queued job."""
        self._waiting[job.id] = job
        self._scheduler.add(
            Entry(
                job_id=job.id,
                guild_id=max(job.guild_id, EVERYBODY),
                user_id=job.user_id,
                priority=job.priority,
                running_limit=job.running_limit,
                resumed=resumed,
            )
        )
        self.changed()

    def remove(self, job_id: int) -> bool:
        """Remove a waiting job; return True if it waited."""
        self.changed()
        self._waiting.pop(job_id, None)
        return self._scheduler.remove(job_id) is not None

    def take(self) -> Running | None:
        """Start the next job and return it as running; None if nothing may start."""
        # A worker that takes no more pictures still has the place of its last one.
        if len(self.running) >= sum(not worker.draining or worker.job_id is not None for worker in self._workers()):
            return None
        entry = self._scheduler.take([running.entry for running in self.running.values()], self.paused)
        if entry is None:
            return None
        running = Running(self._waiting.pop(entry.job_id), entry)
        self.running[entry.job_id] = running
        self.changed()
        return running

    def release(self, job_id: int) -> None:
        """Remove a running job, so that another one may start."""
        self.running.pop(job_id, None)
        self.changed()

    def changed(self) -> None:
        """Signal that the order, or the set of startable jobs, changed."""
        self.wake.set()

    def set_pause(self, guild_id: int, on: bool) -> None:
        """Pause or resume a server; notify the listeners of its waiting jobs."""
        (self.paused.add if on else self.paused.discard)(guild_id)
        self._places = {}
        self.changed()
        for job in list(self._waiting.values()):
            if job.guild_id == guild_id:
                self._notify(job.id)

    def length(self, guild_id: int | None = None) -> int:
        """Number of waiting jobs, of one server or of all."""
        if guild_id is None:
            return len(self._waiting)
        return sum(job.guild_id == guild_id for job in self._waiting.values())

    def guilds_waiting(self) -> int:
        """Number of servers with waiting jobs."""
        return len({job.guild_id for job in self._waiting.values()})

    def __contains__(self, job_id: object) -> bool:
        """True if this job waits."""
        return job_id in self._waiting

    async def place(self, job_id: int) -> Place | None:
        """Place of one waiting job, at most FRESH_S old. Simultaneous calls share a forecast.

        In a long queue a job that is newer than the last forecast gets an estimate: a crowd does not wait for one.
        """
        if job_id not in self._waiting:
            return None
        is_new = bool(self._places) and job_id not in self._places
        if is_new and len(self._waiting) > LONG and time.monotonic() - self._made_at < OLD_S:
            return self._estimated(job_id)
        if not self._knows(job_id):
            async with self._forecast_lock:
                # The previous holder of the lock may have found it.
                if not self._knows(job_id):
                    await self._make_places()
        return self._places.get(job_id)

    def _knows(self, job_id: int) -> bool:
        return job_id in self._places and time.monotonic() - self._made_at < FRESH_S

    def _estimated(self, job_id: int) -> Place:
        """Place by turns alone, and the own time after the job that is before it in the last forecast."""
        place, job, due_at = self._scheduler.place_in_turn(job_id), self._waiting[job_id], None
        if self._ends and job.guild_id not in self.paused:
            begins_at = self._ends[min(place - 1, len(self._ends)) - 1] if place > 1 else time.time()
            device = next((worker.engine.device for worker in self._workers()), "")
            due_at = begins_at + job.count * self.speeds.picture_s(job.speed_name, job.settings, device)
        return Place(place=place, of=len(self._waiting), due_at=due_at)

    async def _make_places(self) -> None:
        """Forecast all places, with a pause before it and yields to other tasks in between."""
        rest_s = self._made_at + REST * self._cost_s - time.monotonic()
        if rest_s > 0:
            await asyncio.sleep(rest_s)
        now, spent_s, began = time.time(), 0.0, time.thread_time()
        running = {item.entry: item.left_s(self.speeds) for item in self.running.values()}
        workers = self._workers()
        lanes, costs = list(map(_lane, workers)), _Costs(self._waiting, self.speeds, workers)
        total, places = len(self._waiting), dict[int, Place]()
        for forecast in self._scheduler.forecast(costs, running, lanes=lanes, paused=self.paused):
            places[forecast.job_id] = _place(forecast, now, total)
            if forecast.place % _AT_ONCE == 0:
                spent_s += time.thread_time() - began
                await asyncio.sleep(0)
                began = time.thread_time()
        self._cost_s = spent_s + time.thread_time() - began
        self._places, self._made_at = places, time.monotonic()
        self._ends = sorted(place.due_at for place in places.values() if place.due_at is not None)


class _Costs:
    """Times of the waiting jobs, from what was measured; those waiting when it is made."""

    def __init__(self, waiting: Mapping[int, Job], speeds: Estimates, workers: Sequence[WorkerStatus]) -> None:
        self._waiting, self._speeds = dict(waiting), speeds
        for worker in workers:
            for models, load_s in worker.engine.load_s.items():
                speeds.note_load(models, load_s, worker.engine.device)

    def models(self, job_id: int) -> str:
        """Model set of a job."""
        return self._waiting[job_id].models

    def job_s(self, job_id: int, device: str) -> float:
        """Seconds of a job on a device."""
        job = self._waiting[job_id]
        return job.count * self._speeds.picture_s(job.speed_name, job.settings, device)

    def load_s(self, models: str, device: str) -> float:
        """Seconds to load a model set."""
        return self._speeds.load_s(models, device)


def _lane(worker: WorkerStatus) -> Lane:
    engine = worker.engine
    return Lane(
        device=engine.device,
        resident=list(engine.resident),
        room=engine.room,
        job_id=worker.job_id,
        leaving=worker.draining,
    )


def _place(forecast: Forecast, now: float, total: int) -> Place:
    return Place(
        place=forecast.place,
        of=total,
        due_at=None if forecast.end_s is None else now + forecast.end_s,
    )
