"""The service: submit, watch, cancel, finish, deliver; recover after a crash and drain before a stop. Event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial

from bot import imaging
from bot.config import Config
from bot.errors import InvalidJobSpec, WrongState
from bot.files import DataFolder
from bot.jobs import Job, JobState, Layout
from bot.log import about
from bot.monitoring.metrics import Metrics
from bot.retry import retry_io
from bot.service.archive import Archive
from bot.service.delivery import DeliveryService
from bot.service.dispatcher import Dispatcher
from bot.service.estimates import Estimates
from bot.service.files.uploads import FILE_BYTES, prompt_in
from bot.service.guild_settings import GuildRecords, GuildSettings
from bot.service.job_log import JobLog
from bot.service.job_runner import JobRunner
from bot.service.maintenance import Maintenance
from bot.service.moderation.reports import Reports
from bot.service.moderation.waiting_jobs import WaitingJobs, reason_of
from bot.service.moderation.web_gallery import WebGallery
from bot.service.operator import Operator
from bot.service.people.presets import Presets
from bot.service.people.privacy import PersonalData
from bot.service.people.settings import PersonalSettings
from bot.service.prompt_rules import PromptRules
from bot.service.queue import JobQueue
from bot.service.submission.batches import Batches
from bot.service.submission.single import Submissions
from bot.service.submission.votes import Votes
from bot.service.submission.wildcards import Wildcards
from bot.service.values import JobView, Requester, SetDefaults
from bot.store import Store
from bot.texts import Sentence
from bot.waiting import ExternalWait, identity
from bot.worker.protocol import Check, Executor, StopMode
from generator import (
    Description,
    GenerationRequest,
    GeneratorError,
    InvalidRequest,
    Provenance,
    Settings,
    normalise_apart,
)

LOOKS_AT_ONCE = 2
"""Maximum number of pictures described at the same time."""
Listener = Callable[[int], None]
_log = logging.getLogger(__name__)


class Service:
    """The bot without Discord.

    Attributes:
        submissions: creates jobs from job specs.
        batches: many jobs asked for at once.
        wildcards: lists of words of each server.
        votes: pictures that a channel steers.
        archive: finished pictures: galleries, recipes, files, deletion.
        reports: reports of pictures.
        waiting: waiting jobs, counted and cancelled by a server's admins.
        web_gallery: links to the web galleries of servers, and the pictures behind them.
        checked_by: returns the perceptors that know the words of the safety check, by name; without one it finds
            nothing. Any thread but the event loop's.
        has_trained_check: true if a model that was trained for it checks pictures, instead of the perceptors.
        personal_settings: what people chose for themselves.
        presets: options under a name, of people and servers.
        personal_data: export and deletion of a person's own data.
        guilds: settings of each server: limits, channels, pause, safety, retention; statistics.
        words: styles and blocklists.
        host: status and actions for the host of the bot.
        maintenance: deletes expired pictures, retries blocked posts.
        post: delivery from saved pictures to a confirmed message; only the frontend's sender uses it.
        store: the database; the frontend uses only its notes (`store.figures.note`).
        metrics: counters and times since the start.
        upload_bytes: returns the size of the largest file that can be posted in a server; the frontend knows it.
        files: the data folder; besides the service only the web gallery reads in it.
    """

    def __init__(
        self,
        config: Config,
        files: DataFolder,
        executor: Executor,
        *,
        settings: Settings | None = None,
        starts: Mapping[str, Mapping[str, object]] | None = None,
        other_sets: Mapping[str, SetDefaults] | None = None,
        request_warnings: Callable[[GenerationRequest, Provenance | None], tuple[str, ...]] | None = None,
        gpu_bytes: Callable[[], Mapping[str, int]] = dict,
        checked_by: Callable[[], Sequence[str]] = tuple,
        check: Check | None = None,
        external_wait: ExternalWait = identity,
    ) -> None:
        """Create the parts; nothing is opened or started yet.

        `settings` are the defaults where config.yaml says nothing; without it, the generator's own. `starts` overrides
        them by start. `other_sets` are the same for the model sets beside the usual one, with what config.yaml says.
        `request_warnings` checks a request before it is queued and returns warnings; it is called on a
        thread, and so are `gpu_bytes` and `checked_by`, which return what `bot.worker.protocol.Engine` does.
        `check` is a trained safety check; without one the perceptors guess.
        `external_wait` is explained in bot.waiting.
        """
        self.files, self._executor, self._wait = files, executor, external_wait
        self._listeners: list[Listener] = []
        self._started = self._draining = False
        self._looking = asyncio.Semaphore(LOOKS_AT_ONCE)
        self.store = store = Store(files.database)
        self.metrics = metrics = Metrics()
        store.jobs.on_event = JobLog(metrics).on_event
        self._queue = queue = JobQueue(store, self._notify, executor.workers)
        executor.watch(queue.changed)
        records = GuildRecords(store.guilds)
        self.guilds = guilds = GuildSettings(config, store, records, queue)
        self.words = PromptRules(config, records)
        self.archive = Archive(store, files, self._stop, self._notify)
        self.reports = Reports(store, files, guilds, self.archive)
        self.waiting = WaitingJobs(store, self._stop, self._notify)
        self.web_gallery = WebGallery(store, records)
        self.checked_by, self.has_trained_check = checked_by, check is not None
        self.personal_settings = PersonalSettings(store)
        self.personal_data = PersonalData(store, files, self.archive, self.personal_settings)
        self.post = DeliveryService(store, files, guilds, self.personal_settings, self._notify)
        self.upload_bytes: Callable[[int], int] = lambda guild_id: FILE_BYTES
        worker = JobRunner(
            store,
            files,
            executor,
            queue,
            metrics,
            self._notify,
            external_wait,
            lambda guild_id: self.upload_bytes(guild_id),
            check,
        )
        self._dispatcher = Dispatcher(store, queue, worker, executor, guilds, external_wait)
        usual = SetDefaults(
            settings=config.settings_over(settings or Settings()), starts=config.starts_over(starts or {})
        )
        sets = {config.model_name: usual, **(other_sets or dict.fromkeys(config.model_names[1:], usual))}
        enqueue = self._dispatcher.enqueue
        self.presets = Presets(store, records, self.words, config.limits, usual.settings, usual.starts)
        self.submissions = submissions = Submissions(
            config,
            store,
            guilds,
            self.words,
            self.personal_settings,
            self.presets,
            self.archive,
            files,
            enqueue,
            sets,
            request_warnings,
        )
        self.wildcards = Wildcards(records)
        self.batches = Batches(store, files, submissions, self.wildcards, self._stop, self._notify)
        self.votes = Votes(store, submissions)
        self.maintenance = Maintenance(
            store,
            files,
            guilds,
            self.archive,
            self.reports,
            config.timing,
            self._notify,
            self.post.failed,
            external_wait,
        )
        self.host = Operator(config, store, files, executor, queue, self.words, submissions, metrics, gpu_bytes)

    # Start and stop

    async def start(self) -> None:
        """Open the data folder and the database, recover from a crash or a stop, and start generating.

        Queued jobs are still queued, the one that was running continues from its snapshot, those being posted wait in
        `post.unsettled` for the frontend. Call `watch` before it.

        Raises:
            StoreError: if the database is damaged, from a newer version or in use; the sentence says what to do.
            FilesError: if the data folder cannot be written to.
        """
        await asyncio.to_thread(self.files.prepare)
        await self.store.open()
        self._started = True
        self._queue.speeds = Estimates(await self.store.figures.speeds())
        await self.guilds.load()
        await self.personal_settings.load()
        await self.maintenance.start()
        await self._executor.start()
        await self._dispatcher.start()

    async def drain(self) -> None:
        """Before a stop: accept no new jobs, snapshot and requeue the running dream, notify listeners.

        Afterwards the views of jobs that have not ended are `paused`. Repeated calls do nothing.
        """
        if self._draining or not self._started:
            return
        self._draining = self.submissions.closed = True
        _log.info("draining")
        interrupted = list(self._queue.running)
        await self._dispatcher.drain()
        _log.info("drained", extra=about(interrupted=len(interrupted)))
        for job_id in interrupted:
            self._notify(job_id)

    async def close(self) -> None:
        """Drain, then close the workers and the database. Nothing of the service may be used afterwards."""
        await self.drain()
        await self.maintenance.close()
        await self._dispatcher.close()
        await self._executor.close()
        await self.store.close()

    # Watching

    def watch(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(job_id)` on the event loop whenever `view(job_id)` changes; return a function that stops it.

        It is called often and must return at once. Places in the queue shift without a call.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def set_message(
        self, job_id: int, channel_id: int, message_id: int | None, layout: Layout | None = None
    ) -> bool:
        """Record the message that shows the job, None after its deletion; return True if the job still exists.

        `layout` is the form of that message, if it can differ from that of the job.
        """
        changes = {"channel_id": channel_id, "message_id": message_id} | ({} if layout is None else {"layout": layout})
        change = partial(self.store.jobs.change, job_id, **changes)
        job = await retry_io(change, self._wait, job=job_id)
        self._notify(job_id)
        return job is not None

    async def view(self, job_id: int) -> JobView | None:
        """Current state of a job for its message; None if the job was deleted."""
        job = await self.store.jobs.get(job_id)
        return None if job is None else await self._view(job)

    def waits(self, job_id: int) -> bool:
        """True if a job is queued, as the queue in memory has it."""
        return job_id in self._queue

    async def view_of_new(self, job: Job) -> JobView:
        """State of a job that was just queued; it is read from the database only if it waits no more."""
        return await self._view(job) if self.waits(job.id) else await self.view(job.id) or JobView(job=job)

    async def queue(self, requester: Requester) -> list[JobView]:
        """Jobs that run, wait or wait for access in the requester's server, in order.

        Private jobs of others have no prompt.
        """
        views = [await self._view(job) for job in await self.store.jobs.under_way(guild_id=requester.guild_id)]
        views = [
            _without_content(view) if view.job.private and view.job.user_id != requester.user_id else view
            for view in views
        ]
        return sorted(views, key=lambda view: (view.place.place if view.place is not None else 0, view.job.id))

    async def mine(self, requester: Requester) -> list[Job]:
        """The requester's own jobs in this server that have not ended, oldest first."""
        return await self.store.jobs.under_way(guild_id=requester.guild_id, user_id=requester.user_id)

    async def look(self, requester: Requester, picture: bytes) -> tuple[Description, str]:
        """Describe a picture file in words, as the models see it; with the prompt of the recipe in it, or "".

        Raises:
            Refused: if the requester may not ask for pictures here, the file is no picture, or the models cannot do it.
            WorkerDied: the worker thread ended or stalled.
        """
        await self.submissions.admit(requester)
        async with self._looking:
            try:
                data = await asyncio.to_thread(normalise_apart, picture)
            except InvalidRequest as exc:
                message = Sentence.of_generator(exc.message)
                raise InvalidJobSpec("picture_says", field="picture", message=message) from exc
            image = await asyncio.to_thread(imaging.open_ours, data)
            try:
                return await self._executor.look(image), await asyncio.to_thread(prompt_in, picture)
            except GeneratorError as exc:
                raise WrongState("generator_says", message=Sentence.of_generator(exc.message)) from exc

    # Jobs under way

    async def cancel(self, requester: Requester, job_id: int, why: str = "") -> Job:
        """Cancel a job that is queued, running, or waiting for access; return it as cancelled.

        `why` is the reason that its owner is told, if somebody else cancels it.

        Raises:
            NotFound, NotOwner, WrongState
        """
        job = await self.archive.own(requester, job_id)
        if job.state.ended or (job.state is JobState.POSTING and not job.waiting_for_access):
            raise WrongState("too_late_to_cancel")
        own = job.user_id == requester.user_id
        reason = Sentence.of("cancelled_by_owner") if own else reason_of("cancelled_by_admin", why)
        moved = await self.store.jobs.move_all([job_id], JobState.CANCELLED, reason)
        if not moved:
            raise WrongState("too_late_to_cancel")
        await self._stop(job)
        if job.state is JobState.POSTING:
            await asyncio.to_thread(self.files.remove_job, job_id)
        self._notify(job_id)
        return moved[0]

    async def finish_early(self, requester: Requester, job_id: int) -> Job:
        """End the running job after its current step and keep the picture so far.

        Raises:
            NotFound, NotOwner, WrongState
        """
        job = await self.archive.own(requester, job_id)
        running = self._queue.running.get(job_id)
        if job.state is not JobState.RUNNING or running is None:
            raise WrongState("not_painted_now")
        # Written first: if the process ends in this very step, the next one still knows.
        running.job = await self.store.jobs.change(job_id, finish_after=running.steps_done) or running.job
        running.order = running.order or StopMode.FINISH
        self._executor.send(job_id, StopMode.FINISH)
        self._notify(job_id)
        return job

    async def messages_gone(self, guild_id: int, message_ids: Collection[int]) -> None:
        """Handle messages that people deleted in Discord: no web gallery shows their pictures any more."""
        forget = partial(self.store.web.forget_messages, guild_id, message_ids)
        await retry_io(forget, self._wait, guild=guild_id)

    async def thread_gone(self, guild_id: int, thread_id: int) -> None:
        """Handle the deletion of a thread: no web gallery shows the pictures in it any more."""
        await retry_io(partial(self.store.web.forget_thread, guild_id, thread_id), self._wait, guild=guild_id)

    async def guild_gone(self, guild_id: int) -> None:
        """Handle removal of the bot from a server: end its jobs and delete all its data."""
        jobs = await retry_io(lambda: self.archive.purge_guild(guild_id), self._wait, guild=guild_id)
        await retry_io(lambda: self.guilds.forget(guild_id), self._wait, guild=guild_id)
        _log.info("server forgotten", extra=about(guild=guild_id, jobs=jobs))

    async def _stop(self, job: Job) -> None:
        """Remove a job from the queue or stop its dream; the caller changes its row."""
        self._queue.remove(job.id)
        running = self._queue.running.get(job.id)
        if running is not None:
            running.order = StopMode.CANCEL
            self._executor.send(job.id, StopMode.CANCEL)

    async def _view(self, job: Job) -> JobView:
        source = None if job.source_id is None else await self.store.jobs.get(job.source_id)
        view = JobView(job=job, source=source, paused=self._draining or job.guild_id in self._queue.paused)
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
            except Exception:  # One listener's error must not stop the others, nor the worker.
                _log.exception("a listener broke", extra=about(job=job_id))


def _without_content(view: JobView) -> JobView:
    return replace(view, job=replace(view.job, prompt=""), source=None, preview=None, progress=None)
