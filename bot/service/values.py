"""What crosses the border between the frontend and the application: frozen values without I/O; any thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bot.jobs import Job, Origin, StoredPicture
from bot.texts import Sentence
from generator import Progress


@dataclass(frozen=True, kw_only=True)
class Requester:
    """Who asks for something, and where. The frontend says only what Discord said of this very interaction."""

    guild_id: int
    channel_id: int
    user_id: int
    role_ids: frozenset[int] = frozenset()
    parent_channel_ids: frozenset[int] = frozenset()
    """What the channel lies in: a thread's channel, its category."""
    locale: str = "en"
    manages: bool = False
    """Whether the person may manage the server."""
    hosts: bool = False
    """Whether the person is one of the bot's owners."""
    age_restricted: bool = False
    """Whether the channel is age-restricted."""


@dataclass(frozen=True, kw_only=True)
class ImageInput:
    """An attached file, as it came, to come near to (weight > 0) or keep away from."""

    data: bytes = field(repr=False)
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """What a person asks for, unchecked. What is left out comes from the server's and the host's defaults.

    `settings` holds only what the person gave, by the generator's names; text values are read as the person typed
    them. `style` is the name of a style of the server or the host. `init_image` is an attached file as it came.
    """

    prompt: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    negative: str = ""
    style: str | None = None
    init_image: bytes | None = field(default=None, repr=False)
    image_prompts: tuple[ImageInput, ...] = ()
    count: int = 1
    private: bool = False
    timelapse: bool = False
    origin: Origin = Origin.IMAGINE


@dataclass(frozen=True, kw_only=True)
class FollowUp:
    """How a new job shall go on from a finished picture.

    `kind` is one of again (new seed), vary, continue (more steps), remix (other prompt), upscale (double size).
    """

    kind: Origin
    prompt: str | None = None
    """Remix: the new prompt."""
    steps: int | None = None
    """Continue and remix: how many steps; None is as many as the server's default."""
    strength: float = 0.4
    """Vary: share of the latent that becomes noise, above 0 to 1."""
    count: int | None = None
    """None: as many as the job before (again), else 1."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a queued job stands. Times are seconds since 1970; None where nobody can say (paused)."""

    place: int
    """1 is next."""
    of: int
    """Length of the whole queue of this bot, over all servers."""
    starts_at: float | None
    due_at: float | None


@dataclass(frozen=True, kw_only=True)
class SubmittedJob:
    """A job that was taken on; its row is in the database."""

    job: Job
    place: Place | None
    notes: tuple[Sentence, ...] = ()
    """How the prompt was read, what was cut off or rounded."""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The picture so far (of several: the grid so far), as a JPEG file; sides in pixels."""

    data: bytes = field(repr=False)
    step: int
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class JobView:
    """All that a message about a job shows, at this moment."""

    job: Job
    place: Place | None = None
    """While it is queued."""
    progress: Progress | None = None
    """While it is painted: of the picture that is painted now."""
    number: int = 1
    """While it is painted: which of `job.count` pictures, from 1."""
    due_at: float | None = None
    """Seconds since 1970: when all of its pictures are painted, as far as one can say."""
    preview: Preview | None = None
    warnings: tuple[Sentence, ...] = ()
    """While it is painted: what the generator has to say about the request."""
    pictures: tuple[StoredPicture, ...] = ()
    """Those that are finished and saved."""
    paused: bool = False
    """The server's queue is paused, or the bot shuts down and goes on after its next start."""
    finishing: bool = False
    """Somebody asked to finish it now."""


@dataclass(frozen=True, kw_only=True)
class PictureFile:
    """A file to upload; `name` is made by us and safe."""

    name: str
    data: bytes = field(repr=False)
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Finished pictures on their way to Discord: the picture (or the grid), and the timelapse where it was asked for.

    `spoiler`: hide it behind a click. `repeated`: an earlier attempt may have reached Discord; the nonce protects for
    some minutes, then look for a message with this job's buttons first.
    """

    job: Job
    pictures: tuple[StoredPicture, ...]
    files: tuple[PictureFile, ...]
    recipe: str
    spoiler: bool
    repeated: bool


class ReportReason(StrEnum):
    """Why somebody reports a picture."""

    ADULT = "adult"
    VIOLENT = "violent"
    HATEFUL = "hateful"
    PERSON = "person"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class Report:
    """A report that was written down; `channel_id` is where the server wants it told, if anywhere."""

    id: int
    job: Job
    number: int
    user_id: int
    reason: ReportReason
    details: str
    channel_id: int | None


@dataclass(frozen=True, kw_only=True)
class GalleryEntry:
    """One finished picture in a gallery, with the job that it belongs to."""

    job: Job
    picture: StoredPicture


@dataclass(frozen=True, kw_only=True)
class GalleryPage:
    """A page of a gallery, newest first; `page` counts from 1 and lies within 1 to `pages`."""

    entries: tuple[GalleryEntry, ...]
    page: int
    pages: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Style:
    """A named piece of prompt that is added to what a person writes; `own` marks one of the server."""

    name: str
    text: str
    own: bool


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What a server (or all of them) made in the last `days` days; times in seconds."""

    days: int
    pictures: int
    cancelled: int
    failed: int
    paint_s: float
    waited_mean_s: float
    waited_most_s: float
    queued_now: int


class Safety(StrEnum):
    """What is done with a picture in which the check finds something, outside age-restricted channels."""

    OFF = "off"
    SPOILER = "spoiler"
    REFUSE = "refuse"
