"""Protocols of workers: generate pictures, report progress, and stop within one step.

The values here are frozen. `Executor` and `Worker` are used on the event loop; `Dream` and `Engine` where a worker
generates: on its thread or in its process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Protocol

from PIL import Image

from bot.errors import BotError
from bot.texts import Sentence
from generator import Description, GenerationRequest, Picture, Progress, Provenance, Timelapse


class WorkerDied(BotError):
    """The worker ended or stalled during this job; another one has replaced it."""


class WorkerLost(WorkerDied):
    """The worker's process or machine is gone or unusable, which says nothing about the job."""


class StopMode(Enum):
    """Stop mode for a running dream."""

    FINISH = "finish"
    """End after this step and keep the picture so far."""
    CANCEL = "cancel"
    """End after this step and keep nothing."""
    PAUSE = "pause"
    """End after this step and keep a snapshot."""


class Dream(Protocol):
    """One picture in progress in the generator. Worker thread."""

    @property
    def finished(self) -> bool:
        """True if no step is left."""

    @property
    def progress(self) -> Progress:
        """Current progress."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for the requester."""

    def step(self) -> Progress:
        """Run one step."""

    def preview(self) -> Image.Image:
        """The picture so far."""

    def snapshot(self) -> bytes:
        """Snapshot to continue from; other dreams can continue from that of a finished dream."""

    def picture(self, between: Callable[[], None]) -> Picture:
        """The finished picture, or the one so far; `between` is called whenever a part of it was enlarged."""


class FilmInProgress(Dream, Protocol):
    """A film in progress: its steps are frames, each of them on disk. Worker thread."""

    @property
    def frames(self) -> Sequence[Path]:
        """Files of the frames so far."""


Check = Callable[[Image.Image], float]
"""Certainty, 0..1, that an ordinary channel should not show a picture openly. Any thread."""


@dataclass(frozen=True, kw_only=True)
class EngineStatus:
    """The device and the models of an engine.

    Attributes:
        device: kind of the device, for which speeds are measured: `cpu`, or the name of the GPU; empty if unknown.
        resident: model sets in memory, the most recently used last.
        room: number of sets that were in memory together at most; later ones took the place of earlier ones.
        load_s: seconds that loading a set took, by its name.
    """

    device: str = ""
    resident: tuple[str, ...] = ()
    room: int = 1
    load_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Suggestions:
    """Settings that suit a model set, and deviating ones by start; `has_prior`: it can propose a start."""

    defaults: Mapping[str, object] = field(default_factory=dict)
    starts: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    has_prior: bool = False


class Engine(Protocol):
    """Begins dreams: the generator and its models. Worker thread, except the methods marked "Any thread"."""

    def suggested(self, models: str) -> Suggestions:
        """Settings that suit a model set. Any thread.

        Raises:
            GeneratorError: if the set cannot be described.
        """

    def request_warnings(self, request: GenerationRequest, made_with: Provenance | None = None) -> tuple[str, ...]:
        """Warnings about a request before it is generated: sentences for the requester. Any thread.

        To generate a picture again, pass its provenance as `made_with`.

        Raises:
            InvalidRequest: if the models cannot generate it.
        """

    def prepare(self) -> None:
        """Check the files of all model sets and load the usual one. Blocking.

        Raises:
            GeneratorError: if it cannot generate.
        """

    def describe(self) -> str:
        """Device and models in words, for the host."""

    def status(self) -> EngineStatus:
        """Its device and models now. Any thread."""

    def gpu_bytes(self) -> Mapping[str, int]:
        """GPU memory: `used` by this process, `free` to all, `total`; empty without a GPU. Any thread."""

    def checked_by(self) -> Sequence[str]:
        """Names of the perceptors that know the words of the safety check; without one it finds nothing. Any thread."""

    def look(self, image: Image.Image) -> Description:
        """Describe a picture in words."""

    def begin(self, request: GenerationRequest, parent: bytes | None) -> Dream:
        """Begin a new dream; `parent` is the last snapshot of the dream that it continues."""

    def resume(self, request: GenerationRequest, snapshot: bytes) -> Dream:
        """Restore the dream of a request from its snapshot.

        Raises:
            CheckpointError: if the snapshot cannot be used.
        """

    def film(self, request: GenerationRequest, parent: bytes | None, folder: Path) -> FilmInProgress:
        """Begin the film of a request in a folder, or go on with it from its last frame."""

    def renew(self) -> None:
        """Reload the models for later `begin` and `resume`, because the device of the current ones failed."""

    def unsafe_share(self, image: Image.Image) -> float:
        """Certainty of the perceptors, 0..1, that an ordinary channel should not show a picture openly."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """One picture to generate."""

    job_id: int
    request: GenerationRequest
    parent: bytes | None = field(default=None, repr=False)
    snapshot: bytes | None = field(default=None, repr=False)
    """Snapshot to continue from; an unusable one is ignored and the picture starts again."""
    folder: Path | None = None
    """Of a film: where its frames are and go."""
    examine: bool = False
    """Let the perceptors look at the finished picture."""
    attempt: int = 0
    """Number of this generation among all of this process; the pool sets it."""


@dataclass(frozen=True, kw_only=True)
class ProgressUpdate:
    """Progress report of a worker; only the newest of each part is kept until the event loop takes it."""

    progress: Progress
    device: str = ""
    """Kind of the device, see EngineStatus."""
    warnings: tuple[str, ...] = ()
    """Sentences of the generator for the requester."""
    preview: Image.Image | None = None
    snapshot: bytes | None = None

    def over(self, older: ProgressUpdate) -> ProgressUpdate:
        """Return this update, with the preview and snapshot of an older one if it has none."""
        return replace(self, preview=self.preview or older.preview, snapshot=self.snapshot or older.snapshot)


@dataclass(frozen=True, kw_only=True)
class GeneratedPicture:
    """A finished picture, with the data to continue from it."""

    picture: Picture
    snapshot: bytes = field(repr=False)
    timelapse: Timelapse = field(repr=False)
    """Timelapse; of a resumed picture, from the resumption on."""
    paint_s: float
    step_s: float
    """Seconds per step, without the beginning and the end; 0 if none was made."""
    unsafe_share: float = 0.0
    """Certainty of the perceptors, 0..1, that it should not be shown openly; 0 if they did not look."""
    device: str = ""
    """Kind of the device, see EngineStatus."""
    frames: tuple[Path, ...] = ()
    """Of a film: the files of its frames; `picture` is the last of them."""


@dataclass(frozen=True, kw_only=True)
class Interrupted:
    """A dream that was stopped. `snapshot` is the point to continue from; None if not wanted."""

    order: StopMode
    snapshot: bytes | None = field(default=None, repr=False)


Outcome = GeneratedPicture | Interrupted


@dataclass(frozen=True, kw_only=True)
class WorkerStatus:
    """One worker as it is now.

    Attributes:
        name: its name among the workers, such as `cuda:0`.
        engine: its device and models.
        job_id: the job that it works on.
        step_s: seconds per step of that job's picture, if measured.
        silent_s: seconds since its last sign of life.
        draining: it takes no more pictures.
        deaths: number of times that it was replaced.
        description: device and models in words; empty before the first picture.
    """

    name: str
    engine: EngineStatus = EngineStatus()
    job_id: int | None = None
    step_s: float | None = None
    silent_s: float = 0.0
    draining: bool = False
    deaths: int = 0
    description: str = ""


class Worker(Protocol):
    """Generates one picture after the other, on one device: a thread of this process, or a process anywhere."""

    name: str

    async def generate(self, work: Work, on_progress: Callable[[ProgressUpdate], None]) -> Outcome:
        """Generate one picture; `on_progress` is called on the event loop.

        Raises:
            GeneratorError: raised by the dream.
            WorkerDied: the worker ended or stalled; the same work can be tried again.
        """

    async def look(self, image: Image.Image) -> Description:
        """Describe a picture in words; a picture in progress waits meanwhile, after its current step.

        Raises:
            GeneratorError: if the models cannot do it.
            WorkerDied: the worker thread ended or stalled.
        """

    def send(self, job_id: int, order: StopMode) -> bool:
        """Stop the dream of a job after its current step; return True if it was running."""

    def status(self) -> WorkerStatus:
        """Its status; `job_id`, `step_s` and `draining` are the pool's to add."""

    async def close(self) -> None:
        """End the worker after its current step."""


class Executor(Protocol):
    """Generates pictures with any number of workers, which come and go; no caller depends on their kind."""

    @property
    def capacity(self) -> int:
        """Number of pictures that may be generated at once now."""

    def workers(self) -> Sequence[WorkerStatus]:
        """All workers, in a fixed order."""

    def watch(self, listener: Callable[[], None]) -> None:
        """Call `listener` on the event loop whenever a worker comes, goes or becomes free."""

    async def generate(self, work: Work, on_progress: Callable[[ProgressUpdate], None]) -> Outcome:
        """Generate one picture with a free worker, or the next that becomes free; see Worker.generate."""

    async def look(self, image: Image.Image) -> Description:
        """Describe a picture in words, with a free worker if there is one; see Worker.look."""

    def send(self, job_id: int, order: StopMode) -> bool:
        """Stop the dream of a job after its current step; return True if it was running."""

    def drain(self, name: str) -> bool:
        """Give a worker no more pictures; its current one ends there. Return True if there is such a worker."""

    def resume(self, name: str) -> bool:
        """Give a drained worker pictures again; return True if there is such a worker."""

    def faults(self) -> Sequence[Sentence]:
        """Sentences for the host about workers that cannot be used, if any."""

    async def start(self) -> None:
        """Prepare before the first picture."""

    async def close(self) -> None:
        """End all workers after their current step."""

    def describe(self) -> str:
        """Devices and models in words; empty before the first picture."""

    @property
    def deaths(self) -> int:
        """Number of workers that were replaced."""
