"""What an executor is: it takes one picture after the other, paints it, reports, and obeys within one step.

The values here are frozen. `Executor` is used on the event loop; `Dream` and `Engine` on the thread that paints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from PIL import Image

from bot.errors import BotError
from generator import GenerationRequest, Picture, Progress, Provenance, Timelapse


class WorkerDied(BotError):
    """The thread ended, or stood still for too long, while it painted this; another one has taken its place."""


class StopMode(Enum):
    """What a dream under way is told."""

    FINISH = "finish"
    """End after this step and keep the picture so far."""
    CANCEL = "cancel"
    """End after this step and keep nothing."""
    PAUSE = "pause"
    """End after this step and keep a snapshot."""


class Dream(Protocol):
    """One picture in the making, as the generator has it. Everything on the thread that paints."""

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""

    @property
    def progress(self) -> Progress:
        """Where it stands."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for the person who asked."""

    def step(self) -> Progress:
        """Improve the picture once."""

    def preview(self) -> Image.Image:
        """The picture so far."""

    def snapshot(self) -> bytes:
        """All that is needed to go on from here; of a finished dream, also for other dreams to go on from."""

    def picture(self) -> Picture:
        """The finished picture, or the one so far."""


class Engine(Protocol):
    """What begins dreams: the generator with its models. On the thread that paints but for `foresee`, `gpu_bytes`."""

    @property
    def starts(self) -> Mapping[str, Mapping[str, object]]:
        """What is suggested otherwise for a start, by its name. Any thread."""

    def request_warnings(self, request: GenerationRequest, made_with: Provenance | None = None) -> tuple[str, ...]:
        """What can be said about a request before it is painted: sentences for the person. Any thread.

        `made_with` says by what its picture was made before, where it is painted again.
        """

    def describe(self) -> str:
        """Device and models in words, for the host."""

    def gpu_bytes(self) -> Mapping[str, int]:
        """The GPU's memory: `used` by this process, `free` to all, `total`; empty without one. Any thread."""

    def begin(self, request: GenerationRequest, parent: bytes | None) -> Dream:
        """A new dream; `parent` is the last snapshot of the dream that it goes on from."""

    def resume(self, request: GenerationRequest, snapshot: bytes) -> Dream:
        """The dream of a request as it was at its snapshot.

        Raises:
            CheckpointError: if the snapshot cannot be used.
        """

    def is_unsafe(self, image: Image.Image) -> bool:
        """Whether the check finds something that an ordinary channel should not show openly."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """One picture to paint."""

    job_id: int
    request: GenerationRequest
    parent: bytes | None = field(default=None, repr=False)
    snapshot: bytes | None = field(default=None, repr=False)
    """Where to go on from; one that cannot be used is left, and the picture begun anew."""
    examine: bool = False
    """Whether the finished picture is checked for what should not be shown openly."""


@dataclass(frozen=True, kw_only=True)
class ProgressUpdate:
    """What the thread reports; only the newest of each is kept until the event loop takes it."""

    progress: Progress
    warnings: tuple[str, ...] = ()
    """Sentences of the generator for the person who asked."""
    preview: Image.Image | None = None
    snapshot: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class GeneratedPicture:
    """A finished picture, with what is needed to go on from it. `unsafe`: see Dreamer.is_unsafe."""

    picture: Picture
    snapshot: bytes = field(repr=False)
    film: Timelapse = field(repr=False)
    """How it grew; where it was resumed, from then on."""
    paint_s: float
    step_s: float
    """Seconds per step, without the beginning and the end."""
    unsafe: bool = False


@dataclass(frozen=True, kw_only=True)
class Interrupted:
    """A dream that was told to end. `snapshot` is where it can go on; None where nobody wants that."""

    order: StopMode
    snapshot: bytes | None = field(default=None, repr=False)


Outcome = GeneratedPicture | Interrupted


class Executor(Protocol):
    """Paints. The thread here is one kind; a cluster of workers would be another. Nothing else knows which it is."""

    workers: int
    """How many pictures are painted at once."""

    async def paint(self, work: Work, on_news: Callable[[ProgressUpdate], None]) -> Outcome:
        """Paint one picture; `on_news` is called on the event loop.

        Raises:
            GeneratorError: what the dream raised.
            PainterDied: see there; the same work can be tried again.
        """

    def send(self, job_id: int, order: StopMode) -> bool:
        """Have the dream of a job end after its current step; whether it was under way."""

    async def close(self) -> None:
        """End the thread after its current step."""

    def describe(self) -> str:
        """Device and models in words; empty before the first picture."""

    @property
    def deaths(self) -> int:
        """How many threads were replaced."""
