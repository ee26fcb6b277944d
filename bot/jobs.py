"""A job: a request with an owner, a place in the queue and a state. Frozen values without I/O; any thread.

This module alone knows which state may follow which.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.errors import IllegalTransition
from bot.texts import Sentence
from generator import Settings

MAX_COUNT = 4
"""Pictures that one job can make; they fit a grid of two by two."""


class JobState(StrEnum):
    """Where a job stands. `posting` means that its pictures are saved and Discord has not confirmed them yet."""

    QUEUED = "queued"
    RUNNING = "running"
    POSTING = "posting"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the job by itself."""
        return not TRANSITIONS[self]


TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED, JobState.FAILED}),
    # Back to the queue: the process or its thread ended while it painted, and the snapshot waits.
    JobState.RUNNING: frozenset({JobState.QUEUED, JobState.POSTING, JobState.CANCELLED, JobState.FAILED}),
    JobState.POSTING: frozenset({JobState.DONE, JobState.CANCELLED, JobState.FAILED}),
    JobState.DONE: frozenset(),
    JobState.CANCELLED: frozenset(),
    JobState.FAILED: frozenset(),
}


def check_transition(old: JobState, new: JobState) -> None:
    """Let a job go from one state to another, or not.

    Raises:
        IllegalTransition: if `new` cannot follow `old`.
    """
    if new not in TRANSITIONS[old]:
        raise IllegalTransition(old.value, new.value)


class Origin(StrEnum):
    """How a job came to be; all but `imagine`, `blend` and `file` go back to another job."""

    IMAGINE = "imagine"
    BLEND = "blend"
    FILE = "file"
    AGAIN = "again"
    VARY = "vary"
    CONTINUE = "continue"
    REMIX = "remix"
    UPSCALE = "upscale"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One row of the queue, as it was when it was read. Times are seconds since 1970 by the wall clock.

    Ids of servers, channels and people are Discord's. `settings.seed` is the seed of the first of `count` pictures, the
    others follow it. The whole request (with pictures and parents) lies beside the row: see `Service.archive.request`.
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
    """Which picture of the parent's (1 to its count)."""
    priority: int = 0
    """Above 0: ahead of the ordinary jobs of its guild."""
    running_limit: int = 1
    """How many jobs of its owner may be painted at once, by the roles that the owner had when it was asked for."""
    count: int = 1
    private: bool = False
    timelapse: bool = False
    """Whether the timelapse is posted with the picture, unasked."""
    age_restricted: bool = False
    """Whether the channel was age-restricted when the job was asked for."""
    locale: str = "en"
    """The language of the person who asked, as Discord names it: `en-US`, `de`."""
    id: int = 0
    """0 until the store gave it a row."""
    state: JobState = JobState.QUEUED
    message_id: int | None = None
    """The message that shows the job; None until the first answer is sent, or after that message was deleted."""
    attempts: int = 0
    """How often the thread began to paint it without coming to an end."""
    finish_after: int | None = None
    """After how many steps, counted over all of its pictures, somebody wants it finished."""
    reason: Sentence | None = None
    """Why the job was cancelled or failed, or why its pictures are not posted yet."""
    waiting_since: float | None = None
    """In the state `posting`: since when the channel cannot be written to; it is tried again now and then."""
    post_tries: int = 0
    """In the state `posting`: how often sending was begun. Above 0 after a start: the post may exist already."""
    told: bool = False
    """Whether its message says how it ended."""
    created_at: float = 0.0
    started_at: float | None = None
    painted_at: float | None = None
    ended_at: float | None = None
    paint_s: float = 0.0
    """Seconds that its finished pictures took the painter."""

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MAX_COUNT:
            raise ValueError(f"count must be from 1 to {MAX_COUNT}, not {self.count}")

    @property
    def waiting_for_access(self) -> bool:
        """Whether its pictures are finished and the channel cannot be written to."""
        return self.state is JobState.POSTING and self.waiting_since is not None

    @property
    def standing(self) -> str:
        """Its state in a word; `waiting` for access, which is a kind of `posting`."""
        return "waiting" if self.waiting_for_access else self.state.value

    @property
    def nonce(self) -> str:
        """What makes Discord take a repeated post for the same one."""
        return f"reverie-{self.id}"


@dataclass(frozen=True)
class Event:
    """A change of where a job stands, once it is in the database."""

    job: Job
    """As it is now, or was when it was deleted."""
    before: Job | None
    """As it was before; None for a new one."""
    deleted: bool = False


@dataclass(frozen=True, kw_only=True)
class StoredPicture:
    """One finished picture of a job; its files lie in the data folder under these ids. `number` counts from 1."""

    job_id: int
    number: int
    seed: int
    width: int
    height: int
    similarity: float
    """Cosine similarity of picture and prompt, -1..1."""
    steps: int
    """Steps that were made."""
    stopped_at: int | None = None
    """After which step somebody finished it early."""
    flagged: bool = False
    """Whether the check of the content found something that an ordinary channel should not show openly."""
    has_timelapse: bool = False
    warnings: tuple[Sentence, ...] = ()
    """What the generator had to say about its request."""
