"""Executor protocol: generate one picture after the other, report progress, and stop within one step.

The values here are frozen. `Executor` is used on the event loop; `Dream` and `Engine` on the worker thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Protocol

from PIL import Image

from bot.errors import BotError
from generator import Description, GenerationRequest, Picture, Progress, Provenance, Timelapse


class WorkerDied(BotError):
    """The worker thread ended or stalled during this job; another one has replaced it."""


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

    def picture(self) -> Picture:
        """The finished picture, or the one so far."""


class FilmInProgress(Dream, Protocol):
    """A film in progress: its steps are frames, each of them on disk. Worker thread."""

    @property
    def frames(self) -> Sequence[Path]:
        """Files of the frames so far."""


Check = Callable[[Image.Image], float]
"""Certainty, 0..1, that an ordinary channel should not show a picture openly. Any thread."""


class Engine(Protocol):
    """Begins dreams: the generator and its models. Worker thread, except the methods marked "Any thread"."""

    @property
    def starts(self) -> Mapping[str, Mapping[str, object]]:
        """Settings suggested for a start, by its name. Any thread."""

    def request_warnings(self, request: GenerationRequest, made_with: Provenance | None = None) -> tuple[str, ...]:
        """Warnings about a request before it is generated: sentences for the requester. Any thread.

        To generate a picture again, pass its provenance as `made_with`.

        Raises:
            InvalidRequest: if the models cannot generate it.
        """

    def describe(self) -> str:
        """Device and models in words, for the host."""

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


@dataclass(frozen=True, kw_only=True)
class ProgressUpdate:
    """Progress report of the worker thread; only the newest of each part is kept until the event loop takes it."""

    progress: Progress
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
    """Seconds per step, without the beginning and the end."""
    unsafe_share: float = 0.0
    """Certainty of the perceptors, 0..1, that it should not be shown openly; 0 if they did not look."""
    frames: tuple[Path, ...] = ()
    """Of a film: the files of its frames; `picture` is the last of them."""


@dataclass(frozen=True, kw_only=True)
class Interrupted:
    """A dream that was stopped. `snapshot` is the point to continue from; None if not wanted."""

    order: StopMode
    snapshot: bytes | None = field(default=None, repr=False)


Outcome = GeneratedPicture | Interrupted


class Executor(Protocol):
    """Generates pictures. The local thread is one kind, a cluster could be another; no caller depends on the kind."""

    workers: int
    """Number of pictures generated at once."""

    async def generate(self, work: Work, on_progress: Callable[[ProgressUpdate], None]) -> Outcome:
        """Generate one picture; `on_progress` is called on the event loop.

        Raises:
            GeneratorError: raised by the dream.
            WorkerDied: the worker thread ended or stalled; the same work can be tried again.
        """

    async def look(self, image: Image.Image) -> Description:
        """Describe a picture in words; a picture in progress waits meanwhile, after its current step.

        Raises:
            GeneratorError: if the models cannot do it.
            WorkerDied: the worker thread ended or stalled.
        """

    def send(self, job_id: int, order: StopMode) -> bool:
        """Stop the dream of a job after its current step; return True if it was running."""

    async def close(self) -> None:
        """End the worker thread after its current step."""

    def describe(self) -> str:
        """Device and models in words; empty before the first picture."""

    @property
    def deaths(self) -> int:
        """Number of worker threads that were replaced."""
