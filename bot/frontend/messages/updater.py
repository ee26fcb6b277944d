"""Message updater: keeps the messages of jobs up to date, with one coalescing editor per channel. Event loop.

The newest state wins: an editor reads it just before writing, so updates are never queued. The event loop never waits
for Discord. Progress that cannot be sent is dropped; the end of a job is retried until Discord has it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import discord

from bot.errors import BotError, FilesError
from bot.frontend.app import App, Interaction
from bot.frontend.messages import render as message
from bot.frontend.messages.discord_errors import TROUBLE, Fault, fault_of, wait_s
from bot.frontend.messages.pace import Pace
from bot.frontend.messages.pings import ping
from bot.frontend.messages.sender import MessageSender
from bot.jobs import Job, JobState
from bot.log import about, new_error_id
from bot.service import JobView
from bot.texts import Sentence
from bot.waiting import FOR_A_TIME, ExternalWait

LOOK_S = 0.5
"""Minimum time between two checks of a job for its end."""
LEAST_PAUSE_S = 0.05
QUEUE_S = 15.0
"""Minimum time between two edits for a waiting job."""
PROGRESS_PER_S = 40.0
"""Progress edits a second without an interaction's token, of all messages together; the rest of Discord's 50 calls is
for finished pictures."""
PACE_S = 1.0
"""Minimum time between two edits in a channel, except for ended jobs."""
SHIFT_S, SHIFT = 10.0, 0.25
"""Waiting jobs are updated if a job's end moves by this many seconds and this share of the remaining time."""
GRACE_S = 5.0
"""Minimum age of a job without a message before it gets one: its first answer may still be in flight."""
TOKEN_S = 14 * 60.0
"""Maximum age of an interaction's token in use; Discord expires it after 15 minutes."""
MAX_TRIES = 6
"""Attempts to report a cancelled or failed job, and to ping an owner."""
_NEVER = float("inf")
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class TrackedMessage:
    """The updater's state of one message; times are `time.monotonic`'s."""

    job_id: int
    channel_id: int
    interaction: Interaction | None = None
    notes: tuple[Sentence, ...] = ()
    since: float = field(default_factory=time.monotonic)
    looked_at: float = -_NEVER
    edited_at: float = -_NEVER
    touched: bool = False
    """The job may have changed since the last check."""
    turn_at: float | None = None
    """Its turn for an edit without a token, once it has one."""
    again_at: float = _NEVER
    """Due time of a postponed update."""
    tries: int = 0
    silent: bool = False
    """The message was deleted: no updates until the job ends."""
    waits: bool = True
    """The job was queued at the last check."""
    answers: frozenset[object] = frozenset()
    """Answers to its owner that were in flight when it was found: one of them may become its message."""
    marks: tuple[object, ...] | None = None
    wrong: bool = False
    """While waiting: the time shown is known to be wrong and will be corrected soon."""
    shown_end_at: float = _NEVER
    """While running: the expected end (`time.time`) last shown to the waiting jobs."""

    @property
    def due_at(self) -> float:
        """Time of the next check."""
        return min(self.looked_at + LOOK_S if self.touched else _NEVER, self.again_at)


class MessageUpdater:
    """The messages of all jobs that have not ended."""

    def __init__(self, app: App, external_wait: ExternalWait) -> None:
        self._app, self._wait = app, external_wait
        self._sender, self._pace = MessageSender(app), Pace(PROGRESS_PER_S)
        self._tracks: dict[int, TrackedMessage] = {}
        self._channels: dict[int, dict[int, TrackedMessage]] = {}
        """The same messages by channel."""
        self._editors: dict[int, asyncio.Task[None]] = {}
        self._stirred: dict[int, asyncio.Event] = {}
        self._finders: set[asyncio.Task[None]] = set()
        self._answers: dict[object, int] = {}
        """The answers in flight, with the person who gets each."""
        self._closed = False
        self._unwatch = app.service.watch(self.touch)

    async def recover(self) -> None:
        """Resume all jobs whose message is not final, after a start."""
        for job in await self._app.service.post.unsettled():
            self.follow(job)

    def follow(
        self,
        job: Job,
        interaction: Interaction | None = None,
        notes: tuple[Sentence, ...] = (),
        answer: object | None = None,
    ) -> None:
        """Keep a job's message up to date from now on; its message answers `interaction`, within `answering`."""
        track = self._tracks.get(job.id)
        if track is None:
            answers = frozenset(answer for answer, user_id in self._answers.items() if user_id == job.user_id)
            track = self._tracks[job.id] = TrackedMessage(job.id, job.channel_id, answers=answers)
            self._channels.setdefault(job.channel_id, {})[job.id] = track
        if answer is not None:
            track.answers = frozenset({answer})
        if interaction is not None:
            track.interaction, track.notes, track.edited_at = interaction, notes or track.notes, time.monotonic()
            track.marks = None
        self.touch(job.id)

    @contextmanager
    def answering(self, user_id: int) -> Iterator[object]:
        """Send no separate message for a job that a person orders within, however long its first answer takes.

        Yields the answer, for `follow`: until it is known which job it belongs to, all that this person's orders have
        queued meanwhile wait for it.
        """
        answer = object()
        self._answers[answer] = user_id
        try:
            yield answer
        finally:
            del self._answers[answer]

    def touch(self, job_id: int) -> None:
        """Mark a job's message as out of date. Returns at once."""
        track = self._tracks.get(job_id)
        if self._closed:
            return
        if track is None:
            finder = asyncio.create_task(self._find(job_id), name=f"find {job_id}")
            self._finders.add(finder)
            finder.add_done_callback(self._finders.discard)
            return
        track.touched = True
        self._wake_editor(track.channel_id)

    async def flush(self, timeout_s: float) -> None:
        """Show the current state of interrupted jobs before a stop."""
        tracks = [track for track in self._tracks.values() if not track.waits]
        shows = [asyncio.create_task(self._show_soon(track)) for track in tracks]
        if shows:
            await asyncio.wait(shows, timeout=timeout_s)

    async def close(self) -> None:
        """Stop all editors."""
        self._closed = True
        self._unwatch()
        tasks = [*self._editors.values(), *self._finders]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _find(self, job_id: int) -> None:
        view = await self._app.service.view(job_id)
        if view is not None and (view.job.ping_due or not (view.job.state.ended and view.job.told)):
            self.follow(view.job)

    def _wake_editor(self, channel_id: int) -> None:
        """Wake the channel's editor, or start one."""
        self._stirred.setdefault(channel_id, asyncio.Event()).set()
        if channel_id not in self._editors:
            self._editors[channel_id] = asyncio.create_task(self._edit(channel_id), name=f"editor {channel_id}")

    async def _edit(self, channel_id: int) -> None:
        """Edit one channel's messages in turn until nothing is left to show."""
        try:
            while tracks := self._channels.get(channel_id):
                track = min(tracks.values(), key=lambda item: item.due_at)
                if track.due_at == _NEVER:
                    break
                pause_s = track.due_at - time.monotonic()
                if pause_s > 0:
                    await self._pause(channel_id, max(pause_s, LEAST_PAUSE_S))
                else:
                    await self._show(track)
        finally:
            self._editors.pop(channel_id, None)
            self._stirred.pop(channel_id, None)

    async def _pause(self, channel_id: int, pause_s: float) -> None:
        """Sleep for `pause_s`, or until something in the channel changes."""
        stirred = self._stirred[channel_id]
        stirred.clear()
        await self._wait(_wait_for(stirred, pause_s), FOR_A_TIME)

    async def _show_soon(self, track: TrackedMessage) -> None:
        """Update a message at the next turn, without regard to its last edit."""
        if self._token(track) is None:
            now = time.monotonic()
            await asyncio.sleep(self._pace.turn(now) - now)
        await self._show(track, hurry=True)

    async def _show(self, track: TrackedMessage, *, hurry: bool = False) -> None:
        """Check a job and update its message if it is due; an error does not affect other messages."""
        track.touched, track.again_at, track.looked_at = False, _NEVER, time.monotonic()
        if track.answers & self._answers.keys():
            track.again_at = track.looked_at + LOOK_S
            return
        next_at = track.edited_at + self._interval_s(track, waits=True)
        if not hurry and next_at > track.looked_at and track.waits and self._app.service.waits(track.job_id):
            # A crowd queues its jobs at once, and reading each of them again would take the database's time.
            track.again_at = next_at
            return
        try:
            view = await self._app.service.view(track.job_id)
            if view is None or view.job.state is JobState.DONE:
                await self._settle(track, view, repeated=True)
            elif view.job.state is JobState.POSTING:
                await self._deliver(track, view.job)
            elif view.job.state.ended:
                await self._show_end(track, view)
            else:
                await self._progress(track, view, hurry)
        except Exception as exc:  # An editor must survive any error of one message.
            error_id = new_error_id()
            _log.exception("a message could not be edited", extra=about(job=track.job_id, error_id=error_id))
            self._later(track, exc)

    async def _progress(self, track: TrackedMessage, view: JobView, hurry: bool) -> None:
        begun = track.waits and view.job.state is not JobState.QUEUED
        if begun or (view.due_at is not None and _shifted(track.shown_end_at, view.due_at)):
            track.waits, track.shown_end_at = False, view.due_at or _NEVER
            self._touch_waiting(wrong=not begun)
        if not hurry and not self._is_time(track, view):
            return
        track.turn_at = None
        shown = message.shown(view, track.notes)
        if shown.marks == track.marks:
            return
        try:
            there = await self._sender.progress(view.job, shown, self._token(track))
            if not there and self._app.forgetful_discord:
                track.touched = True  # Nobody deleted it: it gets a new one.
                return
            track.silent, track.marks, track.tries = not there, shown.marks, 0
        except TROUBLE as exc:
            _log.info("progress dropped: %r", exc, extra=about(job=track.job_id))
            if fault_of(exc) is Fault.PASSING:
                self._later(track, exc)
        finally:
            track.edited_at, track.wrong = time.monotonic(), False

    def _is_time(self, track: TrackedMessage, view: JobView) -> bool:
        """True if progress may be shown now; otherwise postpone it."""
        job, now = view.job, time.monotonic()
        if track.silent or (job.batch_id is not None and job.message_id is None and job.state is JobState.QUEUED):
            # The message of the batch stands for those of its jobs that wait.
            return False
        waits = job.state is JobState.QUEUED
        same_channel = [other.edited_at for other in self._channels.get(track.channel_id, {}).values()]
        at = max(track.edited_at + self._interval_s(track, waits=waits), max(same_channel, default=-_NEVER) + PACE_S)
        if job.message_id is None:
            # A clock that was set back does not prolong the wait.
            at = max(at, min(track.since + GRACE_S, now + job.created_at + GRACE_S - time.time()))
        if at <= now and self._token(track) is None:
            # With many messages each is edited less often.
            at = track.turn_at = self._pace.turn(now) if track.turn_at is None else track.turn_at
        if at > now:
            track.again_at = at
        return at <= now

    def _interval_s(self, track: TrackedMessage, *, waits: bool) -> float:
        """Least time between two edits of a message, whose job waits or runs."""
        return QUEUE_S if waits and not track.wrong else self._app.config.discord.edit_interval_s

    async def _deliver(self, track: TrackedMessage, job: Job) -> None:
        """Post the finished pictures, retrying until Discord has them or the channel is gone."""
        try:
            done = await self._sender.deliver(job, self._token(track))
        except FilesError as exc:
            self._later(track, exc)
        except TROUBLE as exc:
            _log.warning("post failed, later again: %r", exc, extra=about(job=job.id, tries=track.tries))
            self._later(track, exc)
        else:
            track.tries = 0
            if done:
                await self._settle(track, await self._app.service.view(job.id), repeated=False)

    async def _settle(self, track: TrackedMessage, view: JobView | None, *, repeated: bool) -> None:
        """Ping the owner of a finished job if that is due, then forget it."""
        if view is not None and view.job.ping_due:
            try:
                await ping(self._app, view.job, self._token(track), repeated=repeated)
            except TROUBLE as exc:
                if fault_of(exc) is Fault.PASSING and track.tries < MAX_TRIES:
                    self._later(track, exc)
                    return
                _log.info("the owner cannot be pinged: %r", exc, extra=about(job=track.job_id))
                await self._app.service.post.pinged(track.job_id, None)
        self._forget(track)

    async def _show_end(self, track: TrackedMessage, view: JobView) -> None:
        """Show in the job's message that it ended without a picture, and why."""
        job = view.job
        if not job.told:
            try:
                await self._sender.send(job, message.shown(view), self._token(track))
            except TROUBLE as exc:
                if fault_of(exc) is Fault.PASSING and track.tries < MAX_TRIES:
                    self._later(track, exc)
                    return
                _log.info("the end of a job could not be shown: %r", exc, extra=about(job=job.id))
            await self._app.service.post.mark_told(job.id)
        self._forget(track)

    def _touch_waiting(self, *, wrong: bool = False) -> None:
        """Mark waiting jobs for an update: their places or times changed as a job left the queue or its end moved."""
        now = time.monotonic()
        for track in self._tracks.values():
            if track.waits:
                track.wrong = track.wrong or wrong
                # Not looked at before it may be edited: thousands may wait, and a job begins every few seconds.
                track.again_at = min(track.again_at, max(now, track.edited_at + self._interval_s(track, waits=True)))
                self._wake_editor(track.channel_id)

    def _later(self, track: TrackedMessage, error: BaseException) -> None:
        pause_s = 5.0 if isinstance(error, BotError) else wait_s(error, track.tries)
        track.tries += 1
        track.again_at = time.monotonic() + pause_s

    def _forget(self, track: TrackedMessage) -> None:
        self._tracks.pop(track.job_id, None)
        tracks = self._channels.get(track.channel_id, {})
        tracks.pop(track.job_id, None)
        if not tracks:
            self._channels.pop(track.channel_id, None)
        if track.waits:
            self._touch_waiting()

    def _token(self, track: TrackedMessage) -> Interaction | None:
        """The interaction that the message answers, while its token is valid."""
        interaction = track.interaction
        if interaction is None:
            return None
        age_s = (discord.utils.utcnow() - interaction.created_at).total_seconds()
        if age_s > TOKEN_S:
            track.interaction = None
        return track.interaction


def _shifted(shown_at: float, end_at: float) -> bool:
    """True if a job's end moved far enough from the time shown to update the waiting jobs."""
    return abs(end_at - shown_at) > max(SHIFT_S, SHIFT * (end_at - time.time()))


async def _wait_for(event: asyncio.Event, within_s: float) -> bool:
    """Wait for an event; False if it is not set within `within_s` seconds."""
    try:
        async with asyncio.timeout(within_s):
            return await event.wait()
    except TimeoutError:
        return False
