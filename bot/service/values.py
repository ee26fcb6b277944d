"""Values between the frontend and the application: frozen, without I/O; any thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bot.errors import InvalidJobSpec, NotOwner
from bot.jobs import Job, Origin, ReportedPicture, StoredPicture
from bot.texts import Sentence
from generator import Progress, Settings


@dataclass(frozen=True, kw_only=True)
class Requester:
    """Requester and place of a request. The frontend fills it only from Discord's data of this very interaction."""

    guild_id: int
    channel_id: int
    user_id: int
    role_ids: frozenset[int] = frozenset()
    parent_channel_ids: frozenset[int] = frozenset()
    """Parents of the channel: a thread's channel, its category."""
    locale: str = "en"
    manages: bool = False
    """True if the person may manage the server."""
    hosts: bool = False
    """True if the person is one of the bot's owners."""
    age_restricted: bool = False
    """True if the channel is age-restricted."""
    public_channel_id: int | None = None
    """The channel, or that of its thread, if everybody in the server can see it."""
    by_token: bool = False
    """True if only the interaction's token can write in the channel."""

    @property
    def alone(self) -> bool:
        """True if the person uses the bot without a server; `guild_id` is then `own_place`."""
        return self.guild_id < 0

    def must_manage(self) -> None:
        """Require that the requester manages the server.

        Raises:
            NotOwner
        """
        if not self.manages:
            raise NotOwner("must_manage")

    def must_host(self) -> None:
        """Require that the requester is a host of this bot.

        Raises:
            NotOwner
        """
        if not self.hosts:
            raise NotOwner("must_host")


@dataclass(frozen=True, kw_only=True)
class ImageInput:
    """An attached file, unchanged, to approach (weight > 0) or to avoid."""

    data: bytes = field(repr=False)
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class FileInput:
    """An attached video or piece of music, unchanged, and its name."""

    data: bytes = field(repr=False)
    name: str


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """Unchecked job spec of a person. The server's and the host's defaults fill the gaps.

    `settings` holds only the values given, by the generator's names; text values are parsed as the person typed
    them. `style` is the name of a style of the server or the host, `model` that of a model set. `init_image` is an
    attached file, unchanged, and so is `mask`: what is white or transparent in it is repainted.
    """

    prompt: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    negative: str = ""
    style: str | None = None
    model: str | None = None
    preset: str | None = None
    """Name of a preset, of the person or of the server, whose options fill the gaps."""
    options: str = ""
    """Further options as words of a prompt, which fill the gaps before those of the preset."""
    init_image: bytes | None = field(default=None, repr=False)
    mask: bytes | None = field(default=None, repr=False)
    image_prompts: tuple[ImageInput, ...] = ()
    count: int = 1
    private: bool | None = None
    """None is the person's own default."""
    timelapse: bool = False
    film: Mapping[str, object] | None = None
    """Of a film: values of its plan as typed, by the generator's names; `template` is one of them."""
    video: FileInput | None = None
    """Of a film: the video that it restyles."""
    music: FileInput | None = None
    """Of a film: the music that it follows and has."""
    origin: Origin = Origin.IMAGINE
    source: tuple[int, int] | None = None
    """Job and number of the picture that it was made from, if it is one of ours."""


@dataclass(frozen=True, kw_only=True)
class ServerModels:
    """Model sets that a server may use, and the one that is used if nobody chooses."""

    allowed: tuple[str, ...]
    usual: str

    def check(self, name: str) -> None:
        """Check that a set may be used.

        Raises:
            InvalidJobSpec: naming those that may.
        """
        if name not in self.allowed:
            raise InvalidJobSpec("models_unknown", field="model", models=name[:80], known=", ".join(self.allowed))

    def without_choice(self, own: str) -> str:
        """The set of a picture for which none is chosen; `own` is the person's default."""
        return own if own in self.allowed else self.usual


@dataclass(frozen=True, kw_only=True)
class SetDefaults:
    """Default settings of pictures with a model set; `starts` overrides them by start."""

    settings: Settings
    starts: Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, kw_only=True)
class FollowUp:
    """Follow-up of a finished picture.

    `kind` is one of again (new seed), vary, continue (more steps), remix (other prompt), upscale (double size), enlarge
    (by the host's upscaler), film.
    """

    kind: Origin
    prompt: str | None = None
    """Remix: the new prompt."""
    steps: int | None = None
    """Continue and remix: number of steps; None is the server's default."""
    strength: float = 0.4
    """Vary: share of the latent that becomes noise, above 0 to 1."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """Remix and enlarge: settings that differ from those of the picture, as typed."""
    image_prompts: tuple[ImageInput, ...] = ()
    """Remix: pictures to approach, in place of those of the picture's own request."""
    mask: bytes | None = field(default=None, repr=False)
    """Remix: what is white or transparent in this file is repainted, and the rest of the picture stays."""
    init_image: bytes | None = field(default=None, repr=False)
    """Remix: a file to begin with, in place of the picture."""
    film: Mapping[str, object] = field(default_factory=dict)
    """Film: values of its plan."""
    count: int | None = None
    """None: as many as the job before (again), else 1."""
    private: bool | None = None
    """None is the person's own default; below a private picture all are private."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Place of a queued job."""

    place: int
    """1 is next."""
    of: int
    """Length of the whole queue of this bot, over all servers."""
    due_at: float | None
    """Expected end of its pictures in seconds since 1970; None if unknown (paused)."""


@dataclass(frozen=True, kw_only=True)
class SubmittedJob:
    """An accepted job; its row is in the database."""

    job: Job
    notes: tuple[Sentence, ...] = ()
    """Notes about the prompt, and about values that were cut off or rounded."""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The picture so far (of several: the grid so far; of a film: its newest frames), as a file; sides in pixels."""

    data: bytes = field(repr=False)
    step: int
    width: int
    height: int
    ending: str = "jpg"


@dataclass(frozen=True, kw_only=True)
class JobView:
    """Everything that a message shows about a job at this moment."""

    job: Job
    place: Place | None = None
    """For a queued job: its place."""
    source: Job | None = None
    """The job that it was made from, if that one still exists."""
    progress: Progress | None = None
    """For a running job: progress of the current picture."""
    number: int = 1
    """For a running job: the current picture of `job.count`, from 1."""
    due_at: float | None = None
    """Expected end of all of its pictures in seconds since 1970."""
    preview: Preview | None = None
    warnings: tuple[Sentence, ...] = ()
    """For a running job: warnings of the generator about the request."""
    pictures: tuple[StoredPicture, ...] = ()
    """Finished and saved pictures."""
    paused: bool = False
    """The server's queue is paused, or the bot shuts down and continues after its next start."""
    finishing: bool = False
    """Somebody asked to finish it now."""


@dataclass(frozen=True, kw_only=True)
class PictureFile:
    """A file to upload; `name` is made by us and safe."""

    name: str
    data: bytes = field(repr=False)
    width: int
    height: int
    left_out: tuple[Sentence, ...] = ()
    """Parts left out to fit the upload."""
    moves: bool = False
    """It is a timelapse or a film."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Finished pictures on their way to Discord, and the timelapse if requested.

    `files`: each picture, or in the classic layout the grid of several.

    `left_out`: parts left out to fit the upload, and the file missing for that reason. `spoiler`: hide it behind a
    click. `repeated`: an earlier attempt may have reached Discord; the nonce protects for some minutes, then look for a
    message with this job's buttons first. `source`: the job that it was made from, if that one still exists.
    """

    job: Job
    pictures: tuple[StoredPicture, ...]
    files: tuple[PictureFile, ...]
    recipe: str
    spoiler: bool
    repeated: bool
    left_out: tuple[Sentence, ...] = ()
    source: Job | None = None


class Outcome(StrEnum):
    """Result of a report, decided by somebody who manages the server."""

    KEEP = "keep"
    HIDE = "hide"
    DELETE = "delete"
    PERSON = "person"
    """The picture is deleted and its owner blocked."""
    WORD = "word"
    """The picture is deleted and a word of its prompt forbidden."""


@dataclass(frozen=True, kw_only=True)
class ReportPage:
    """A page of a server's open reports, oldest first; `page` counts from 1 and lies within 1 to `pages`."""

    reported: tuple[ReportedPicture, ...]
    page: int
    pages: int
    total: int


class Whose(StrEnum):
    """A gallery: the requester's own pictures, all of the server except others' private ones, or favourites."""

    MINE = "mine"
    SERVER = "server"
    FAVOURITES = "favourites"


@dataclass(frozen=True, kw_only=True)
class GalleryEntry:
    """One finished picture in a gallery, with its job."""

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
class RetentionPlan:
    """Effect of a retention period on a server's pictures."""

    days: int
    """The effective period, which never exceeds the host's; 0 is for ever."""
    jobs: int
    """Jobs that it deletes at once."""
    pictures: int
    """Their pictures."""
    next_at: float | None
    """Time when the oldest job that it leaves is deleted, in seconds since 1970; None if there is none."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """Small numbered pictures in one file; `lost` are the numbers of those without a file."""

    file: PictureFile
    lost: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Style:
    """A named text added to a person's prompt; `own` marks one of the server."""

    name: str
    text: str
    own: bool


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Options of a picture under a name, as words of a prompt; `own` marks one of the person, not of the server."""

    name: str
    options: str
    own: bool


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Statistics of a server (or all of them) over the last `days` days; times in seconds."""

    days: int
    pictures: int
    cancelled: int
    failed: int
    paint_s: float
    waited_mean_s: float
    waited_most_s: float
    queued_now: int


class Safety(StrEnum):
    """Policy for pictures in which the safety check finds something, outside age-restricted channels."""

    OFF = "off"
    SPOILER = "spoiler"
    REFUSE = "refuse"
