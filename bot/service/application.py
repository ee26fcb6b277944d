"""The service: submit, watch, cancel, finish, deliver; recover after a crash and drain before a stop. Event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from bot.config import Config
from bot.errors import NotFound, NotOwner, WrongState
from bot.files import DataFolder
from bot.jobs import Job, JobState
from bot.log import about
from bot.monitoring.metrics import Metrics
from bot.service.archive import Archive
from bot.service.delivery import DeliveryService
from bot.service.dispatcher import Dispatcher
from bot.service.estimates import Estimates
from bot.service.facts import FactCache
from bot.service.guild_settings import GuildSettings
from bot.service.job_log import JobLog
from bot.service.job_runner import JobRunner
from bot.service.maintenance import Maintenance
from bot.service.operator import Operator
from bot.service.privacy import PersonalData
from bot.service.prompt_rules import PromptRules
from bot.service.queue import JobQueue
from bot.service.retry import retry_io
from bot.service.submission import Submissions
from bot.service.values import FollowUp, JobSpec, JobView, Place, Requester, SubmittedJob
from bot.store import Store
from bot.texts import Sentence
from bot.waiting import ExternalWait, identity
from bot.worker.protocol import Executor, StopMode
from generator import GenerationRequest, Provenance, Settings

Listener = Callable[[int], None]
_log = logging.getLogger(__name__)


class Service:
    """The bot without Discord.

    Attributes:
        archive: what was painted: galleries, recipes, files, deletion, reports.
        people: a person's own data: export and deletion.
        guilds: what the admins of a server decide: limits, channels, pause, safety, retention; statistics.
        words: styles and blocklists.
        host: what the host of the bot sees and does.
        housekeeping: what goes by itself: old pictures, posts that find no way.
        post: from saved pictures to a confirmed message; only the frontend's poster uses it.
        store: the database; the frontend uses only its notes (`store.figures.note`).
        metrics: what was counted and timed since the start.
    """

    def __init__(
        self,
        config: Config,
        files: DataFolder,
        executor: Executor,
        *,
        settings: Settings | None = None,
        starts: Mapping[str, Mapping[str, object]] | None = None,
        request_warnings: Callable[[GenerationRequest, Provenance | None], tuple[str, ...]] | None = None,
        gpu_bytes: Callable[[], Mapping[str, int]] = dict,
        external_wait: ExternalWait = identity,
    ) -> None:
        """Nothing is opened or started yet.

        `settings` are what every picture begins with where config.yaml says nothing; by default the generator's own.
        `starts` says by start what is otherwise.
        `foresee` says what can be said about a request before it is painted; it is called on a thread, and so is
        `gpu_bytes`, which tells the memory of the GPU as `bot.worker.protocol.Engine` does.
        `external_wait` is explained in bot.waiting.
        """
        self._files, self._executor, self._wait = files, executor, external_wait
        self._listeners: list[Listener] = []
        self._started = self._draining = False
        self.store = store = Store(files.database)
        self.metrics = metrics = Metrics()
        store.jobs.on_event = JobLog(metrics).on_event
        self._queue = queue = JobQueue(store, self._notify, executor.workers)
        facts = FactCache(store)
        self.guilds = guilds = GuildSettings(config, store, facts, queue)
        self.words = PromptRules(config, store, facts)
        self.archive = Archive(store, files, guilds, self._stop, self._notify)
        self.personal_data = PersonalData(store, files, self.archive)
        self.post = DeliveryService(store, files, guilds, self._notify)
        worker = JobRunner(store, files, executor, queue, metrics, self._notify, external_wait)
        self._dispatcher = Dispatcher(store, queue, worker, executor, guilds, external_wait)
        base, otherwise = config.settings_over(settings or Settings()), config.starts_over(starts or {})
        enqueue = self._dispatcher.enqueue
        self._submissions = Submissions(
            config, store, guilds, self.words, self.archive, queue, enqueue, base, otherwise, request_warnings
        )
        self.maintenance = Maintenance(
            store, files, guilds, self.archive, config.timing, self._notify, self.post.failed, external_wait
        )
        self.host = Operator(config, store, files, executor, queue, self.words, self._submissions, metrics, gpu_bytes)

    # Life

    async def start(self) -> None:
        """Open the data folder and the database, take up what a crash or a stop left behind, begin to paint.

        Queued jobs are still queued, the one that was painted goes on from its snapshot, those being posted wait in
        `post.unsettled` for the frontend. Call `watch` before it.

        Raises:
            StoreError: if the database is damaged, from a newer version or in use; the sentence says what to do.
            FilesError: if the data folder cannot be written to.
        """
        await asyncio.to_thread(self._files.prepare)
        await self.store.open()
        self._started = True
        self._queue.speeds = Estimates(await self.store.figures.speeds())
        await self.guilds.load()
        await self.maintenance.start()
        await self._dispatcher.start()

    async def drain(self) -> None:
        """Before a stop: take nothing new, snapshot the running dream, put it back into the queue, tell listeners.

        Afterwards the views of jobs that have not ended are `paused`. Repeated calls do nothing.
        """
        if self._draining or not self._started:
            return
        self._draining = self._submissions.closed = True
        interrupted = list(self._queue.running)
        await self._dispatcher.drain()
        _log.info("drained", extra=about(interrupted=len(interrupted)))
        for job_id in interrupted:
            self._notify(job_id)

    async def close(self) -> None:
        """Drain, then close the thread and the database. Nothing of the service may be used afterwards."""
        await self.drain()
        await self.maintenance.close()
        await self._dispatcher.close()
        await self._executor.close()
        await self.store.close()

    # Asking for pictures

    async def submit(self, requester: Requester, spec: JobSpec) -> SubmittedJob:
        """Check a wish and put it into the queue; its row is written when this returns.

        Raises:
            Refused: one of its kinds, with the sentence for the person. Nothing was queued.
        """
        return await self._submissions.submit(requester, spec)

    async def go_on(self, requester: Requester, job_id: int, number: int, change: FollowUp) -> SubmittedJob:
        """A new job that goes on from picture `number` (from 1): again, vary, continue, remix, upscale.

        Anyone in the same server may, except with a private job of somebody else.

        Raises:
            Refused: as `submit`; NotFound for a job of another server or one that was deleted.
        """
        return await self._submissions.go_on(requester, job_id, number, change)

    async def again_from_file(self, requester: Requester, data: bytes, *, new_seed: bool = False) -> SubmittedJob:
        """A new job by the recipe inside a picture that Reverie wrote (PNG, JPEG, WebP) or in its JSON file.

        Raises:
            Refused: as `submit`; InvalidWish where there is no recipe in the file, or a broken one.
        """
        return await self._submissions.again_from_file(requester, data, new_seed=new_seed)

    async def set_message(self, job_id: int, channel_id: int, message_id: int | None) -> bool:
        """Note which message shows the job, None after it was deleted; whether the job itself is still there."""
        change = partial(self.store.jobs.change, job_id, channel_id=channel_id, message_id=message_id)
        job = await retry_io(change, self._wait, job=job_id)
        self._notify(job_id)
        return job is not None

    # Watching

    def watch(self, listener: Listener) -> Callable[[], None]:
        """Have `listener(job_id)` called on the event loop whenever `view(job_id)` changed; returns what ends it.

        It is called often and must return at once. Places in the queue shift without a call: see `places`.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def view(self, job_id: int) -> JobView | None:
        """What a message about the job shows now; None if it was deleted."""
        job = await self.store.jobs.get(job_id)
        return None if job is None else await self._view(job)

    async def places(self) -> dict[int, Place]:
        """The place of every queued job of all servers, by job id, in order."""
        return await self._queue.places()

    async def queue(self, requester: Requester) -> list[JobView]:
        """What runs, waits or waits for access in the asker's server, in order.

        Private jobs of others have no prompt.
        """
        views = [await self._view(job) for job in await self.store.jobs.under_way(guild_id=requester.guild_id)]
        views = [
            _veiled(view) if view.job.private and view.job.user_id != requester.user_id else view for view in views
        ]
        return sorted(views, key=lambda view: (view.place.place if view.place is not None else 0, view.job.id))

    async def mine(self, requester: Requester) -> list[Job]:
        """The asker's own jobs in this server that have not ended, oldest first."""
        return await self.store.jobs.under_way(guild_id=requester.guild_id, user_id=requester.user_id)

    # While it is under way

    async def cancel(self, requester: Requester, job_id: int) -> Job:
        """End a job that is queued, painted, or waits for access; returns it as cancelled.

        Raises:
            NotFound, NotOwner, WrongState
        """
        job = await self._own(requester, job_id)
        if job.state.ended or (job.state is JobState.POSTING and not job.waiting_for_access):
            raise WrongState("too_late_to_cancel")
        key = "cancelled_by_owner" if job.user_id == requester.user_id else "cancelled_by_admin"
        moved = await self.store.jobs.move_all([job_id], JobState.CANCELLED, Sentence.of(key))
        if not moved:
            raise WrongState("too_late_to_cancel")
        await self._stop(job)
        if job.state is JobState.POSTING:
            await asyncio.to_thread(self._files.remove_job, job_id)
        self._notify(job_id)
        return moved[0]

    async def finish_early(self, requester: Requester, job_id: int) -> Job:
        """Have the running job end after its current step and keep the picture so far.

        Raises:
            NotFound, NotOwner, WrongState
        """
        job = await self._own(requester, job_id)
        running = self._queue.running.get(job_id)
        if job.state is not JobState.RUNNING or running is None:
            raise WrongState("not_painted_now")
        # Written down first: should the process end in this very step, the next one still knows.
        running.job = await self.store.jobs.change(job_id, finish_after=running.steps_done) or running.job
        running.order = running.order or StopMode.FINISH
        self._executor.send(job_id, StopMode.FINISH)
        self._notify(job_id)
        return job

    async def guild_gone(self, guild_id: int) -> None:
        """The bot was removed from a server: end what is under way there and delete all that is kept of it."""
        jobs = await retry_io(lambda: self.archive.purge_guild(guild_id), self._wait, guild=guild_id)
        await retry_io(lambda: self.guilds.forget(guild_id), self._wait, guild=guild_id)
        _log.info("server forgotten", extra=about(guild=guild_id, jobs=jobs))

    async def _own(self, requester: Requester, job_id: int) -> Job:
        job = await self.store.jobs.get(job_id)
        if job is None or job.guild_id != requester.guild_id:
            raise NotFound("job_unknown", job=job_id)
        if job.user_id != requester.user_id and not requester.manages:
            raise NotOwner("not_owner")
        return job

    async def _stop(self, job: Job) -> None:
        """Take a job from the queue or the painter; its row is the caller's."""
        self._queue.remove(job.id)
        running = self._queue.running.get(job.id)
        if running is not None:
            running.order = StopMode.CANCEL
            self._executor.send(job.id, StopMode.CANCEL)

    async def _view(self, job: Job) -> JobView:
        view = JobView(job=job, paused=self._draining or job.guild_id in self._queue.paused)
        if job.state is JobState.QUEUED:
            return replace(view, place=await self._queue.place(job.id))
        running = self._queue.running.get(job.id)
        if job.state is not JobState.RUNNING or running is None:
            return replace(view, pictures=await self.store.jobs.pictures(job.id))
        return replace(
            view,
            paused=self._draining,
            progress=running.progress,
            number=running.number,
            due_at=time.time() + running.left_s(self._queue.speeds),
            preview=running.preview,
            warnings=tuple(map(Sentence.of_generator, running.warnings)),
            finishing=running.finishing,
        )

    def _notify(self, job_id: int) -> None:
        for listener in list(self._listeners):
            try:
                listener(job_id)
            except Exception:  # One listener's fault is not another's, nor the painter's.
                _log.exception("a listener broke", extra=about(job=job_id))


def _veiled(view: JobView) -> JobView:
    return replace(view, job=replace(view.job, prompt=""), preview=None, progress=None)
