"""A job: a request with an owner, a place in the queue and a state; reports of pictures. Frozen values; any thread.

Only this module defines the allowed transitions between states.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from bot.errors import IllegalTransition
from bot.texts import Sentence
from generator import Settings

MAX_COUNT = 4
"""Maximum pictures of a job; they fit a grid of two by two."""


EVERYBODY = -1
"""Stands for the server of all people together who use the bot without one, where they share its turns."""


def own_place(user_id: int) -> int:
    """Stands for the server of a person who uses the bot without one; nobody else sees what is in it."""
    return -user_id


class JobState(StrEnum):
    """The state of a job. `posting`: its pictures are saved and Discord has not confirmed them yet."""

    QUEUED = "queued"
    RUNNING = "running"
    POSTING = "posting"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """True if the state is final."""
        return not TRANSITIONS[self]


TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED, JobState.FAILED}),
    # Back to the queue with a snapshot: the process or its worker thread ended during the job.
    JobState.RUNNING: frozenset({JobState.QUEUED, JobState.POSTING, JobState.CANCELLED, JobState.FAILED}),
    JobState.POSTING: frozenset({JobState.DONE, JobState.CANCELLED, JobState.FAILED}),
    JobState.DONE: frozenset(),
    JobState.CANCELLED: frozenset(),
    JobState.FAILED: frozenset(),
}


def check_transition(old: JobState, new: JobState) -> None:
    """Check that a job may go from one state to another.

    Raises:
        IllegalTransition: if `new` cannot follow `old`.
    """
    if new not in TRANSITIONS[old]:
        raise IllegalTransition(old.value, new.value)


class Layout(StrEnum):
    """The form of a job's message, from its first answer to its end: Discord lets no message go back to embeds."""

    CLASSIC = "classic"
    """Text, an embed and rows of buttons."""
    COMPONENTS = "components"
    """Components V2: a container with a gallery of pictures."""


class Origin(StrEnum):
    """The origin of a job; all but `imagine`, `blend`, `file` and `film` have a parent job."""

    IMAGINE = "imagine"
    BLEND = "blend"
    FILE = "file"
    AGAIN = "again"
    VARY = "vary"
    CONTINUE = "continue"
    REMIX = "remix"
    UPSCALE = "upscale"
    ENLARGE = "enlarge"
    """By the host's upscaler."""
    FILM = "film"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One row of the queue at the time it was read. Times are seconds since 1970 by the wall clock.

    Ids of servers, channels and people are Discord's. `settings.seed` is the seed of the first of `count` pictures; the
    others follow it. The whole request (with pictures and parents) is stored apart: see `Service.archive.request`.
    """

    guild_id: int
    channel_id: int
    user_id: int
    prompt: str
    settings: Settings
    models: str
    origin: Origin = Origin.IMAGINE
    parent_id: int | None = None
    parent_number: int | None = None
    """Number of the parent's picture (1 to its count)."""
    source_id: int | None = None
    """The job that this one was made from, by a button or a menu; `again` has a source without a parent."""
    source_number: int | None = None
    priority: int = 0
    """Above 0: ahead of the guild's ordinary jobs."""
    running_limit: int = 1
    """Maximum jobs of the owner that run at once, by the owner's roles at the time of the request."""
    count: int = 1
    film_s: float = 0.0
    """Length of a film in seconds; 0 for pictures."""
    film_done_s: float = 0.0
    """Seconds of the film that the job which it continues had made."""
    private: bool = False
    timelapse: bool = False
    """Post the timelapse with the picture automatically."""
    age_restricted: bool = False
    """The channel was age-restricted at the time of the request."""
    public_channel_id: int | None = None
    """The channel, or that of its thread, if everybody in the server could see it at the time of the request."""
    batch_id: int | None = None
    """The batch that it belongs to, if any; its place there counts from 0."""
    batch_place: int | None = None
    locale: str = "en"
    """The requester's locale, in Discord's form: `en-US`, `de`."""
    layout: Layout = Layout.CLASSIC
    by_token: bool = False
    """The bot is not in its channel: only an interaction's token can write there, for 15 minutes."""
    id: int = 0
    """0 until the store has added its row."""
    state: JobState = JobState.QUEUED
    message_id: int | None = None
    """The message that shows the job; None until the first answer is sent, or after that message was deleted."""
    attempts: int = 0
    """Number of unfinished attempts by the worker."""
    finish_after: int | None = None
    """Steps, counted over all of its pictures, after which to finish early on request."""
    reason: Sentence | None = None
    """Reason that the job was cancelled or failed, or that its pictures are not posted yet."""
    waiting_since: float | None = None
    """In the state `posting`: start of the time that the channel has not been writable; retried at intervals."""
    post_tries: int = 0
    """In the state `posting`: number of attempts to send. If above 0 after a start, the post may already exist."""
    told: bool = False
    """Its message shows its end."""
    ping_due: bool = False
    """In the state `done`: its owner is still to be pinged."""
    ping_id: int | None = None
    """The message that pinged its owner."""
    created_at: float = 0.0
    started_at: float | None = None
    painted_at: float | None = None
    ended_at: float | None = None
    paint_s: float = 0.0
    """Seconds that the worker spent on its finished pictures."""

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MAX_COUNT:
            raise ValueError(f"count must be from 1 to {MAX_COUNT}, not {self.count}")

    @property
    def quota(self) -> int:
        """Pictures that it counts as in a day's limit: of a film, one for each second that it makes."""
        return max(1, math.ceil(self.film_s - self.film_done_s)) if self.film_s else self.count

    @property
    def speed_name(self) -> str:
        """Name under which its speed is measured: a frame of a film takes longer than a step of a picture."""
        return f"{self.models} film" if self.film_s else self.models

    @property
    def waiting_for_access(self) -> bool:
        """True if its pictures are finished and the channel is not writable."""
        return self.state is JobState.POSTING and self.waiting_since is not None

    @property
    def standing(self) -> str:
        """Its state in one word; `waiting` is the part of `posting` without access."""
        return "waiting" if self.waiting_for_access else self.state.value

    @property
    def nonce(self) -> str:
        """Nonce by which Discord recognises a repeated post."""
        return f"reverie-{self.id}"


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Jobs that were asked for together: first kept as `specs`, then, once confirmed (`begun`), queued."""

    guild_id: int
    channel_id: int
    """The channel where it was asked for."""
    user_id: int
    title: str
    """The prompt as typed, or the name of a file of prompts."""
    columns: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    """Labels of the sheet of pictures, which is filled row by row; without any, the pictures are numbered."""
    specs: str = ""
    """The requests in JSON; empty once it has begun."""
    length: int
    """Number of jobs."""
    pictures: int
    """Number of pictures of all of its jobs."""
    private: bool = False
    age_restricted: bool = False
    locale: str = "en"
    message_id: int | None = None
    """The message that sums it up, in its channel."""
    thread_id: int | None = None
    """The thread of its pictures; None is the channel itself."""
    begun: bool = False
    told: bool = False
    """Its message shows its end."""
    created_at: float = 0.0
    id: int = 0


@dataclass(frozen=True, kw_only=True)
class Vote:
    """A picture that a channel steers, in its current round: variants are made, then, from `ends_at` known, chosen."""

    guild_id: int
    channel_id: int
    user_id: int
    """The person who began it, and whose jobs the pictures are."""
    requester: str
    """That person with roles and channels, in JSON."""
    prompt: str
    words: tuple[str, ...] = ()
    """Words that people can add to the prompt."""
    rounds: int
    round: int = 1
    seconds: int
    """Time for the votes of a round."""
    steps: int | None = None
    role_id: int | None = None
    """The role that votes; None is everybody."""
    job_id: int | None = None
    """The job of the current variants."""
    message_id: int | None = None
    """The message of the current round; None while its variants are made."""
    ends_at: float | None = None
    created_at: float = 0.0
    id: int = 0


@dataclass(frozen=True)
class Event:
    """A committed change of a job."""

    job: Job
    """The job now, or when it was deleted."""
    before: Job | None
    """The job before; None for a new job."""
    deleted: bool = False


@dataclass(frozen=True, kw_only=True)
class StoredPicture:
    """One finished picture of a job; its files are stored in the data folder by these ids. `number` counts from 1."""

    job_id: int
    number: int
    seed: int
    width: int
    height: int
    similarity: float
    """Cosine similarity of picture and prompt, -1..1."""
    steps: int
    """Completed steps."""
    stopped_at: int | None = None
    """Step after which it was finished early."""
    flagged: bool = False
    """The safety check found content unsuitable for an ordinary channel."""
    checked: bool = False
    """The safety check looked at it."""
    has_timelapse: bool = False
    warnings: tuple[Sentence, ...] = ()
    """The generator's warnings about its request."""


class ReportReason(StrEnum):
    """Reason for a report about a picture."""

    ADULT = "adult"
    VIOLENT = "violent"
    HATEFUL = "hateful"
    PERSON = "person"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class Report:
    """One person's report about a picture."""

    user_id: int
    reason: ReportReason
    details: str
    locale: str
    """The language in which the person learns the result."""
    wants_result: bool
    created_at: float


@dataclass(frozen=True, kw_only=True)
class ReportedPicture:
    """A picture with open reports, as it was when first reported; its job may have been deleted since.

    `user_id` is its owner. `notice_channel_id` and `notice_id` are the message in the channel for reports, if any.
    """

    id: int = 0
    guild_id: int
    channel_id: int
    message_id: int | None
    job_id: int
    number: int
    user_id: int
    prompt: str
    created_at: float = 0.0
    notice_channel_id: int | None = None
    notice_id: int | None = None
    reports: tuple[Report, ...] = ()
