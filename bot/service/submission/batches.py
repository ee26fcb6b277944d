"""Batches: many jobs asked for at once, counted and confirmed before they are queued, and summed up. Event loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace

from bot import imaging
from bot.errors import InvalidJobSpec, NotFound, NotOwner, OverLimit, WrongChannel, WrongState
from bot.files import DataFolder, Kind
from bot.jobs import Batch, Job, JobState
from bot.service.job_runner import GRID
from bot.service.submission.expansion import Expansion, expanded
from bot.service.submission.single import Submissions
from bot.service.submission.wildcards import Wildcards
from bot.service.values import JobSpec, PictureFile, Requester
from bot.store import Store
from bot.texts import Sentence

MAX_EXPANDED = 1_000
"""Maximum number of prompts in one, before the limit of a server is known."""
MAX_TITLE = 1_000
_KEPT = tuple(
    item.name
    for item in fields(JobSpec)
    if item.name not in ("init_image", "mask", "image_prompts", "origin", "source")
)
"""Fields of a spec that are kept until it is confirmed: those that are no files."""
Place = Callable[[Batch], Awaitable[int]]
"""Makes the message of a batch; returns the channel for the messages of its jobs."""


@dataclass(frozen=True, kw_only=True)
class BatchView:
    """A batch and those of its jobs that still exist."""

    batch: Batch
    jobs: tuple[Job, ...]


class Batches:
    """Jobs that were asked for together."""

    def __init__(
        self,
        store: Store,
        files: DataFolder,
        submissions: Submissions,
        wildcards: Wildcards,
        stop: Callable[[Job], Awaitable[None]],
        notify: Callable[[int], None],
    ) -> None:
        """`stop` takes a job from the queue or its worker; `notify` notifies the listeners."""
        self._store, self._files, self._submissions, self._wildcards = store, files, submissions, wildcards
        self._stop, self._notify = stop, notify
        self._beginning = set[int]()

    async def expand(self, guild_id: int, prompt: str) -> Expansion:
        """The prompts that a prompt stands for.

        Raises:
            NotFound, InvalidJobSpec, OverLimit
        """
        return expanded(prompt, await self._wildcards.of(guild_id), MAX_EXPANDED)

    async def ask(
        self,
        requester: Requester,
        specs: Sequence[JobSpec],
        title: str,
        columns: Sequence[str] = (),
        rows: Sequence[str] = (),
    ) -> Batch:
        """Check all specs and the limits, and keep them until the requester confirms. Nothing is queued.

        Raises:
            Refused: one of its kinds, with the sentence for the requester.
        """
        if requester.alone:
            raise WrongChannel("batch_in_servers")
        limits = await self._submissions.admit(requester)
        if len(specs) > limits.batch:
            raise OverLimit("over_batch", count=len(specs), most=limits.batch)
        if any(spec.init_image or spec.mask or spec.image_prompts for spec in specs):
            raise InvalidJobSpec("batch_no_files", field="prompt")
        jobs = [(await self._submissions.prepare(requester, spec, limits)).job for spec in specs]
        pictures = sum(job.count for job in jobs)
        if pictures > limits.batch:
            raise OverLimit("over_batch", count=pictures, most=limits.batch)
        await self._submissions.check_room(requester, jobs, limits)
        kept = [{name: value for name, value in asdict(spec).items() if name in _KEPT} for spec in specs]
        return await self._store.batches.add(
            Batch(
                guild_id=requester.guild_id,
                channel_id=requester.channel_id,
                user_id=requester.user_id,
                title=" ".join(title.split())[:MAX_TITLE],
                columns=tuple(columns),
                rows=tuple(rows),
                specs=json.dumps(kept, ensure_ascii=False),
                length=len(specs),
                pictures=pictures,
                private=any(job.private for job in jobs),
                age_restricted=requester.age_restricted,
                locale=requester.locale,
            )
        )

    async def begin(self, requester: Requester, batch_id: int, place: Place) -> list[Job]:
        """Queue all jobs of a batch that its requester confirms, or none; `place` is awaited after every check.

        Raises:
            Refused: as `ask`. Nothing was queued.
        """
        batch = await self._asked(requester, batch_id)
        if batch_id in self._beginning:
            raise WrongState("batch_begun")
        self._beginning.add(batch_id)
        try:
            limits = await self._submissions.admit(requester)
            specs = [JobSpec(**values) for values in json.loads(batch.specs)]
            prepared = [await self._submissions.prepare(requester, spec, limits) for spec in specs]
            await self._submissions.check_room(requester, [item.job for item in prepared], limits)
            channel_id, placed = await place(batch), []
            for number, item in enumerate(prepared):
                job = replace(item.job, channel_id=channel_id, batch_id=batch.id, batch_place=number)
                placed.append(replace(item, job=job))
            jobs = await self._submissions.add_all(placed, limits)
            await self._store.batches.change(batch.id, begun=True, specs="")
        finally:
            self._beginning.discard(batch_id)
        return jobs

    async def drop(self, requester: Requester, batch_id: int) -> None:
        """Forget a batch that its requester does not confirm.

        Raises:
            NotFound, NotOwner, WrongState
        """
        await self._asked(requester, batch_id)
        await self._store.batches.delete(batch_id)

    async def cancel(self, requester: Requester, batch_id: int) -> int:
        """Cancel the jobs of a batch that wait or run; return their number.

        Raises:
            NotFound
            NotOwner: unless it is the requester's or the requester manages the server.
        """
        batch = await self._of_server(requester, batch_id)
        own = batch.user_id == requester.user_id
        if not own and not requester.manages:
            raise NotOwner("not_owner")
        reason = Sentence.of("cancelled_by_owner" if own else "cancelled_by_admin")
        jobs, cancelled = await self._store.batches.jobs(batch_id), 0
        for state in (JobState.QUEUED, JobState.RUNNING):
            ids = [job.id for job in jobs if job.state is state]
            moved = await self._store.jobs.move_all(ids, JobState.CANCELLED, reason, only=state)
            for job in moved:
                await self._stop(job)
                self._notify(job.id)
            cancelled += len(moved)
        return cancelled

    async def untold(self) -> list[Batch]:
        """Batches with a message that does not show their end yet."""
        return await self._store.batches.untold()

    async def get(self, batch_id: int) -> Batch | None:
        """A batch; None if it was deleted."""
        return await self._store.batches.get(batch_id)

    async def view(self, batch: Batch) -> BatchView:
        """A batch with its jobs."""
        return BatchView(batch=batch, jobs=tuple(await self._store.batches.jobs(batch.id)))

    async def counts(self, batch_id: int) -> Mapping[JobState, int]:
        """Number of the jobs of a batch in each state."""
        return await self._store.batches.counts(batch_id)

    async def change(self, batch_id: int, **changes: object) -> None:
        """Record the message or the thread of a batch, or that its message shows its end."""
        await self._store.batches.change(batch_id, **changes)

    async def shown(self, requester: Requester, batch_id: int) -> BatchView:
        """A batch whose pictures the requester may see.

        Raises:
            NotFound: also for a private one of another person.
        """
        batch = await self._of_server(requester, batch_id)
        if batch.private and batch.user_id != requester.user_id:
            raise NotFound("batch_unknown")
        return await self.view(batch)

    async def sheet(self, view: BatchView) -> PictureFile | None:
        """The pictures of a batch in one file, labelled or numbered; None if there is none.

        Flagged pictures are blurred outside age-restricted channels.
        """
        batch, places = view.batch, {job.batch_place: job for job in view.jobs}
        jobs = [places.get(number) for number in range(batch.length)]
        flagged = [job is not None and await self._is_flagged(job) for job in jobs]
        blurred = [item and not batch.age_restricted for item in flagged]

        def compose() -> PictureFile | None:
            data = [None if job is None else self._read(job) for job in jobs]
            if not any(data):
                return None
            made = imaging.chart(data, blurred, batch.columns, batch.rows)
            name = f"reverie-batch-{batch.id}.jpg"
            return PictureFile(name=name, data=made.data, width=made.width, height=made.height)

        return await asyncio.to_thread(compose)

    def _read(self, job: Job) -> bytes | None:
        return self._files.read(Kind.PICTURE, job.id, GRID if job.count > 1 else 1)

    async def _is_flagged(self, job: Job) -> bool:
        return any(picture.flagged for picture in await self._store.jobs.pictures(job.id))

    async def _asked(self, requester: Requester, batch_id: int) -> Batch:
        """A batch of the requester that was not confirmed yet."""
        batch = await self._of_server(requester, batch_id)
        if batch.user_id != requester.user_id:
            raise NotOwner("not_owner")
        if batch.begun or await self._store.batches.jobs(batch_id):
            raise WrongState("batch_begun")
        return batch

    async def _of_server(self, requester: Requester, batch_id: int) -> Batch:
        batch = await self._store.batches.get(batch_id)
        if batch is None or batch.guild_id != requester.guild_id:
            raise NotFound("batch_unknown")
        return batch
