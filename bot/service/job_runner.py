"""Run one job from its turn to saved pictures: generate, follow, save; or requeue, cancel, fail. Event loop.

Everything that blocks runs on threads: files, encoding, and generation.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from PIL import Image

from bot import imaging
from bot.errors import BotError, FilesError, IllegalTransition, NotFound, StoreError
from bot.files import DataFolder, Kind
from bot.jobs import Job, JobState, Origin, StoredPicture
from bot.log import about, new_error_id
from bot.monitoring.metrics import Metrics
from bot.retry import retry_io
from bot.service.files import films, sources
from bot.service.queue import JobQueue, Running
from bot.service.requests import picture_request, unknown_options
from bot.service.values import Preview
from bot.store import Store
from bot.texts import Sentence
from bot.waiting import FOR_A_TIME, FOR_PROGRESS, ExternalWait
from bot.worker.protocol import (
    Check,
    Executor,
    GeneratedPicture,
    Interrupted,
    Outcome,
    ProgressUpdate,
    StopMode,
    Work,
    WorkerDied,
    WorkerLost,
)
from generator import (
    CheckpointError,
    DeviceFailed,
    GenerationRequest,
    GeneratorError,
    OutOfMemory,
    Recipe,
    encode,
    recipe_to_json,
    request_from_json,
)

GRID = 0
"""Number of the file that shows all pictures of a job."""
MAX_CRASHES = 5
"""Maximum number of crashes of the process during a job, without one snapshot in between."""
MAX_LOSSES = 5
"""Maximum number of workers whose process or machine went away during a job, without a snapshot in between."""
RETRY_S = 5.0
"""Pause of the queue when the database cannot be written to."""
SAVING_S = 900.0
"""Maximum time that a finished picture waits for a disk that cannot take it."""
_log = logging.getLogger(__name__)


class JobRunner:
    """Run jobs whose turn has come."""

    def __init__(
        self,
        store: Store,
        files: DataFolder,
        executor: Executor,
        queue: JobQueue,
        metrics: Metrics,
        notify: Callable[[int], None],
        external_wait: ExternalWait,
        upload_bytes: Callable[[int], int],
        check: Check | None = None,
    ) -> None:
        """`upload_bytes` returns the size of the largest file that can be posted in a server.

        `check` looks at finished pictures on a thread; without one the perceptors do, on the worker thread.
        """
        self._store, self._files, self._executor, self._queue = store, files, executor, queue
        self._metrics, self._notify, self._wait = metrics, notify, external_wait
        self._check, self._upload_bytes = check, upload_bytes
        self._deaths, self._losses = dict[int, int](), dict[int, int]()

    async def run(self, running: Running, *, unsafe_from: float | None, refuse: bool) -> Job | None:
        """Run a job from its turn to `posting`, or to another end.

        Returns the job if it went back into the queue. `unsafe_from`: certainty of the safety check from which it flags
        a picture, None to run none; `refuse`: reject flagged pictures.
        """
        job_id = running.job.id
        try:
            if not await self._begin(running):
                return running.job
            try:
                return await self._generate_all(running, unsafe_from, refuse)
            except WorkerDied as exc:
                return await self._died(running, exc)
        except (NotFound, IllegalTransition):
            # It was cancelled or deleted meanwhile; that row is authoritative.
            await asyncio.to_thread(self._files.remove_job, job_id)
        except Exception as exc:  # Any error ends the job with a reason.
            await self._fail(running.job, exc)
        finally:
            self._queue.release(job_id)
            self._notify(job_id)
        return None

    async def _begin(self, running: Running) -> bool:
        """Write down that the job runs; if the database cannot take it now, wait a little and return False."""
        job = running.job
        try:
            running.job = await self._store.jobs.move(job.id, JobState.RUNNING, attempts=job.attempts + 1)
        except StoreError as exc:
            _log.error("the queue is waiting for the database: %s", exc, extra=about(job=job.id, guild=job.guild_id))
            await self._wait(asyncio.sleep(RETRY_S), FOR_A_TIME)
            return False
        self._notify(job.id)
        return True

    async def _generate_all(self, running: Running, unsafe_from: float | None, refuse: bool) -> Job | None:
        job = running.job
        examine = unsafe_from is not None and self._check is None
        recipe = await self._store.jobs.recipe(job.id)
        request = await asyncio.to_thread(request_from_json, recipe or "")
        saved = {picture.number for picture in await self._store.jobs.pictures(job.id)}
        follower = asyncio.create_task(self._follow(running))
        saving: list[asyncio.Task[None]] = []
        try:
            for number in range(1, job.count + 1):
                running.begin(number)
                if number in saved:
                    running.images.append(await asyncio.to_thread(self._saved_image, job.id, number))
                    continue
                if running.enough:
                    break
                work = await self._work(job, request, number, examine)
                outcome, ended = await self._outcome(running, work)
                if isinstance(outcome, Interrupted):
                    return await self._interrupted(running, outcome)
                flagged = asyncio.create_task(self._is_flagged(outcome, unsafe_from))
                if refuse and await flagged:
                    raise Unsafe("refused_by_check")
                running.images.append(outcome.picture.image)
                checked = unsafe_from is not None
                saving.append(asyncio.create_task(self._save(job, number, outcome, flagged, ended, checked=checked)))
            self._queue.release(job.id)
        finally:
            running.over = True
            running.fresh.set()
            results = await asyncio.gather(follower, *saving, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        await self._finish(running)
        return None

    async def _outcome(self, running: Running, work: Work) -> tuple[Outcome, tuple[Sentence, ...]]:
        """The worker's result; of a film that ends with an error, the frames so far and a note about it.

        Raises:
            GeneratorError, WorkerDied: as the worker, for a picture, or if the frames make no film.
        """
        job = running.job
        if running.order in (StopMode.PAUSE, StopMode.CANCEL):  # It came before there was a worker to tell.
            return Interrupted(order=running.order, snapshot=work.snapshot), ()
        try:
            if job.film_s and job.attempts > MAX_CRASHES:
                raise BotError("crashed_often")
            return await self._executor.generate(work, partial(self._on_progress, running)), ()
        except Exception as exc:
            if isinstance(exc, WorkerDied) and not self._gives_up(job, exc):
                raise
            count = await asyncio.to_thread(films.frames_so_far, work.folder)
            if not count:
                raise
            reason = self._logged(job, exc)
            rest = replace(work, request=replace(work.request, stopped_at=count))
            try:
                # Its frames are there: the worker only looks at them.
                outcome = await self._executor.generate(rest, lambda update: None)
            except Exception:
                raise exc from None
            return outcome, (Sentence.of("film_ended", frames=count, of=job.settings.steps, reason=reason),)

    async def _work(self, job: Job, request: GenerationRequest, number: int, examine: bool) -> Work:
        snapshot = await asyncio.to_thread(self._files.read, Kind.SNAPSHOT, job.id, number)
        parent = None
        if job.parent_id is not None and job.parent_number is not None:
            parent = await asyncio.to_thread(self._files.read, Kind.LATENT, job.parent_id, job.parent_number)
        enlarged = job.origin is Origin.ENLARGE
        if enlarged and snapshot is None and job.source_id is not None and job.source_number is not None:
            # The end of the picture to be enlarged; without it, it is painted again.
            snapshot = await asyncio.to_thread(self._files.read, Kind.LATENT, job.source_id, job.source_number)
        request = picture_request(request, number, request.stopped_at if enlarged else None)
        folder = self._files.frames(job.id) if job.film_s else None
        if folder is not None and job.origin is Origin.CONTINUE and job.source_id is not None:
            await asyncio.to_thread(self._files.take_frames, job.id, job.source_id)
        if folder is not None:
            await asyncio.to_thread(sources.lay_out, self._files, job.id, request)
        return Work(job_id=job.id, request=request, parent=parent, snapshot=snapshot, folder=folder, examine=examine)

    async def _is_flagged(self, result: GeneratedPicture, unsafe_from: float | None) -> bool:
        """Judge a finished picture; the next one is generated meanwhile."""
        if unsafe_from is None:
            return False
        if self._check is None:
            return result.unsafe_share >= unsafe_from
        check = self._check

        def most() -> float:
            return max(check(image) for image in (result.picture.image, *imaging.some_frames(result.frames)))

        return await asyncio.to_thread(most) >= unsafe_from

    def _on_progress(self, running: Running, update: ProgressUpdate) -> None:
        running.on_event(update)
        job, progress = running.job, update.progress
        if progress.seconds_left > 0:
            step_s = progress.seconds_left / (progress.steps - progress.step)
            self._queue.speeds.note_unfinished(job.speed_name, job.settings, step_s, update.device)
        if running.order is not None:
            self._executor.send(job.id, running.order)

    async def _follow(self, running: Running) -> None:
        """Keep the newest snapshot on disk and the newest preview at hand while the worker thread runs."""
        while not running.over:
            await self._wait(running.fresh.wait(), FOR_PROGRESS)
            update = running.take_update()
            if update is None:
                continue
            try:
                await self._apply(running, running.number, update)
            except Exception:  # Without a preview or snapshot the picture is still generated.
                _log.exception("progress of a job was lost", extra=about(job=running.job.id))
            self._notify(running.job.id)

    async def _apply(self, running: Running, number: int, update: ProgressUpdate) -> None:
        job = running.job
        if update.snapshot is not None and await self._keep_snapshot(job, number, update.snapshot):
            if update.snapshot:  # A film has an empty one, whether it came on or not.
                self._losses.pop(job.id, None)
            if job.attempts:
                running.job = await self._store.jobs.change(job.id, attempts=0) or job
        if update.preview is not None and not running.over:
            images = [*running.images[: number - 1], update.preview]
            step = update.progress.step
            if job.film_s and step > 1:
                first = self._files.frames(job.id)
                shown = await asyncio.to_thread(
                    imaging.loop, films.newest_frames(first, step), job.settings.steps / job.film_s
                )
            else:
                shown = await asyncio.to_thread(imaging.preview, images, job.count)
            running.preview = Preview(
                data=shown.data, step=step, width=shown.width, height=shown.height, ending=shown.ending
            )

    async def _keep_snapshot(self, job: Job, number: int, snapshot: bytes) -> bool:
        """Write a snapshot; a failure is no end, since without one a crash only restarts the picture."""
        try:
            await asyncio.to_thread(self._files.write, Kind.SNAPSHOT, job.id, number, snapshot)
        except FilesError as exc:
            _log.warning("no snapshot: %s", exc, extra=about(job=job.id, guild=job.guild_id))
            return False
        return True

    async def _save(
        self,
        job: Job,
        number: int,
        result: GeneratedPicture,
        flagged: asyncio.Task[bool],
        notes: tuple[Sentence, ...] = (),
        *,
        checked: bool,
    ) -> None:
        """Write a finished picture and its recipe to disk, then into the database."""
        request, image = result.picture.request, result.picture.image
        saving = partial(retry_io, wait=self._wait, within_s=SAVING_S, job=job.id, guild=job.guild_id)
        if job.film_s:
            notes += films.notes()
        most_bytes = self._upload_bytes(job.guild_id)
        timelapse = await saving(lambda: asyncio.to_thread(self._write, job.id, number, result, most_bytes))
        progress = result.picture.progress
        picture = StoredPicture(
            job_id=job.id,
            number=number,
            seed=request.settings.seed,
            width=image.width,
            height=image.height,
            similarity=progress.similarity,
            steps=progress.step,
            stopped_at=request.stopped_at,
            flagged=await flagged,
            checked=checked,
            has_timelapse=timelapse,
            warnings=(*notes, *unknown_options(job.prompt), *map(Sentence.of_generator, result.picture.warnings)),
        )
        await saving(lambda: self._store.jobs.save_picture(picture, result.paint_s))
        self._metrics.picture_saved(result.paint_s, result.step_s)
        facts = about(
            job=job.id, guild=job.guild_id, number=number, steps=progress.step, paint_s=round(result.paint_s, 1)
        )
        _log.info("picture saved", extra=facts)
        await asyncio.to_thread(self._files.remove, Kind.SNAPSHOT, job.id, number)
        if result.step_s:
            speed = self._queue.speeds.note(job.speed_name, job.settings, result.step_s, result.device)
            await saving(lambda: self._store.figures.put_speed(*speed))

    def _write(self, job_id: int, number: int, result: GeneratedPicture, most_bytes: int) -> bool:
        """Write the files of one picture; return True if there is a timelapse. Runs on a thread.

        Files of a film have at most `most_bytes`; pictures are fitted when they are posted.
        """
        picture = result.picture
        recipe = Recipe(request=picture.request, made_with=picture.made_with)
        png = encode(picture.image, "png", recipe_to_json(recipe))
        if result.frames:
            films.write(self._files, job_id, recipe, result.frames, most_bytes)
            self._files.write(Kind.PICTURE, job_id, number, png)
            return False
        self._files.write(Kind.LATENT, job_id, number, result.snapshot)
        moving = len(result.timelapse.frames) > 1
        if moving:
            # Attached pictures would be most of a timelapse's bytes.
            lean = recipe_to_json(recipe, pictures=False)
            self._files.write(Kind.TIMELAPSE, job_id, number, result.timelapse.encode("webp", lean))
        self._files.write(Kind.PICTURE, job_id, number, png)
        return moving

    def _saved_image(self, job_id: int, number: int) -> Image.Image:
        data = self._files.read(Kind.PICTURE, job_id, number)
        if data is None:
            raise FilesError("files_unusable", file=f"picture {job_id}-{number}", why="missing")
        return imaging.open_ours(data)

    async def _finish(self, running: Running) -> None:
        """Move the job to posting after all its pictures are saved."""
        job = running.job
        saving = partial(retry_io, wait=self._wait, within_s=SAVING_S, job=job.id, guild=job.guild_id)
        if job.count > 1:
            sheet = await asyncio.to_thread(lambda: imaging.png(imaging.grid(running.images, job.count)))
            await saving(lambda: asyncio.to_thread(self._files.write, Kind.PICTURE, job.id, GRID, sheet))
        # The follower may have written one after its picture was saved. A film that ended early can be continued.
        ended_early = any(picture.stopped_at is not None for picture in await self._store.jobs.pictures(job.id))
        await asyncio.to_thread(self._remove_snapshots, job, frames=not ended_early)
        self._forget_deaths(job.id)
        await saving(lambda: self._store.jobs.move(job.id, JobState.POSTING))
        self._notify(job.id)

    async def _interrupted(self, running: Running, outcome: Interrupted) -> Job | None:
        job = running.job
        if outcome.order is StopMode.CANCEL:
            raise IllegalTransition(JobState.CANCELLED, JobState.POSTING)
        if outcome.snapshot is not None:
            await self._keep_snapshot(job, running.number, outcome.snapshot)
        return await self._requeue(job, attempts=0)

    async def _died(self, running: Running, exc: WorkerDied) -> Job | None:
        """Retry the job after the worker died under it: once, or more often if only the worker can be at fault."""
        job = running.job
        if self._gives_up(job, exc):
            raise exc
        counts, _ = self._counts(exc)
        counts[job.id] = counts.get(job.id, 0) + 1
        _log.warning("worker died; trying again", extra=about(job=job.id, guild=job.guild_id))
        return await self._requeue(job, attempts=job.attempts)

    def _gives_up(self, job: Job, exc: WorkerDied) -> bool:
        """True if the worker died under a job too often to try it again."""
        counts, most = self._counts(exc)
        return counts.get(job.id, 0) >= most

    def _counts(self, exc: WorkerDied) -> tuple[dict[int, int], int]:
        """Deaths of this kind by job, and how many a job survives."""
        return (self._losses, MAX_LOSSES) if isinstance(exc, WorkerLost) else (self._deaths, 1)

    def _forget_deaths(self, job_id: int) -> None:
        self._deaths.pop(job_id, None)
        self._losses.pop(job_id, None)

    async def _requeue(self, job: Job, *, attempts: int) -> Job:
        move = partial(self._store.jobs.move, job.id, JobState.QUEUED, attempts=attempts)
        back = await retry_io(move, self._wait, job=job.id, guild=job.guild_id)
        self._notify(job.id)
        return back

    async def _fail(self, job: Job, exc: Exception) -> None:
        """End a job with a reason for the requester."""
        reason = self._logged(job, exc)
        self._forget_deaths(job.id)
        self._queue.release(job.id)
        failed = await self._note_failure(job, reason)
        self._notify(job.id)
        if failed is None or isinstance(exc, Unsafe):
            await asyncio.to_thread(self._files.remove_job, job.id)
        else:
            await asyncio.to_thread(self._remove_snapshots, job)

    def _logged(self, job: Job, exc: Exception) -> Sentence:
        """The reason for the requester why a job ended with an error; the log has the details for the host."""
        error_id = new_error_id()
        reason = reason_for(exc, error_id)
        # A reason that the requester gets in full needs no trace; an error id must lead to one.
        numbered = "error_id" in dict(reason.values)
        facts = about(job=job.id, guild=job.guild_id, error_id=error_id if numbered else None)
        _log.error("the job failed: %s", exc, exc_info=exc if numbered else None, extra=facts)
        return reason

    def _remove_snapshots(self, job: Job, *, frames: bool = True) -> None:
        """Remove what only an unfinished picture or film needs."""
        if frames:
            self._files.remove_frames(job.id)
        for number in range(1, job.count + 1):
            self._files.remove(Kind.SNAPSHOT, job.id, number)

    async def _note_failure(self, job: Job, reason: Sentence) -> Job | None:
        """Write the failure once the database can take it; None for a job that was ended or deleted."""
        move = partial(self._store.jobs.move, job.id, JobState.FAILED, reason=reason)
        try:
            return await retry_io(move, self._wait, job=job.id, guild=job.guild_id)
        except (NotFound, IllegalTransition):
            return None


class Unsafe(BotError):
    """The safety check found something, and the server wants such pictures refused."""


def reason_for(exc: Exception, error_id: str) -> Sentence:
    """Reason why a job failed, in words for the requester."""
    if isinstance(exc, OutOfMemory):
        return Sentence.of("out_of_memory")
    if isinstance(exc, CheckpointError):
        return Sentence.of("models_broken", error_id=error_id)
    if isinstance(exc, GeneratorError):
        return Sentence.of("generator_says", message=Sentence.of_generator(exc.message))
    if isinstance(exc, FilesError | StoreError):
        return Sentence.of("not_saved", error_id=error_id)
    if isinstance(exc, WorkerDied):
        failed = isinstance(exc.__cause__, DeviceFailed)
        return Sentence.of("gpu_failed" if failed else "painter_died", error_id=error_id)
    if isinstance(exc, BotError):
        return exc.sentence
    return Sentence.of("unexpected", error_id=error_id)
