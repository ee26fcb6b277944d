"""Values between the bot and a worker elsewhere: plain values and encoded bytes, no live objects. Any thread.

Pictures cross as lossless PNG, requests as recipes, snapshots as they are. Both sides run the same version of Reverie.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

from PIL import Image

from bot.worker.cluster.films import SentFile
from bot.worker.generation import FRAME_SIDE_PX, FRAMES
from bot.worker.protocol import EngineStatus, GeneratedPicture, Interrupted, Outcome, ProgressUpdate, Work, WorkerLost
from generator import (
    DeviceFailed,
    GeneratorError,
    Picture,
    Progress,
    Provenance,
    Timelapse,
    request_from_json,
    request_to_json,
)

_QUICK = 1
"""PNG's compression level: the network between the machines is faster than a better one."""


@dataclass(frozen=True, kw_only=True)
class SentWork:
    """A `Work` on its way to a worker."""

    job_id: int
    attempt: int
    recipe: str
    parent: bytes | None = field(repr=False)
    snapshot: bytes | None = field(repr=False)
    examine: bool
    film: bool

    @classmethod
    def of(cls, work: Work) -> SentWork:
        """Encode a work."""
        return cls(
            job_id=work.job_id,
            attempt=work.attempt,
            recipe=request_to_json(work.request),
            parent=work.parent,
            snapshot=work.snapshot,
            examine=work.examine,
            film=work.folder is not None,
        )

    def work(self, folder: Path | None) -> Work:
        """Decode it; `folder` is that of a film on this machine."""
        return Work(
            job_id=self.job_id,
            attempt=self.attempt,
            request=request_from_json(self.recipe),
            parent=self.parent,
            snapshot=self.snapshot,
            examine=self.examine,
            folder=folder,
        )


@dataclass(frozen=True, kw_only=True)
class SentNews:
    """A sign of life of a worker, with the newest progress since the last one.

    Attributes:
        attempt: number of the generation that it is about.
        engine: its device and models.
        idle_s: seconds since its last step.
        progress, warnings, preview, snapshot: as in ProgressUpdate; no progress means no news.
        have, files: new files of a film after the first `have` ones; those of its progress come before or with it.
    """

    attempt: int
    engine: EngineStatus
    description: str
    idle_s: float
    progress: Progress | None = None
    warnings: tuple[str, ...] = ()
    preview: bytes | None = field(default=None, repr=False)
    snapshot: bytes | None = field(default=None, repr=False)
    have: int = 0
    files: tuple[SentFile, ...] = field(default=(), repr=False)

    def with_update(self, update: ProgressUpdate) -> SentNews:
        """The same sign of life with an update."""
        preview = None if update.preview is None else encoded(update.preview)
        return replace(
            self, progress=update.progress, warnings=update.warnings, preview=preview, snapshot=update.snapshot
        )

    def update(self) -> ProgressUpdate | None:
        """Decode the update, if there is one."""
        if self.progress is None:
            return None
        preview = None if self.preview is None else decoded(self.preview)
        return ProgressUpdate(
            progress=self.progress,
            device=self.engine.device,
            warnings=self.warnings,
            preview=preview,
            snapshot=self.snapshot,
        )


@dataclass(frozen=True, kw_only=True)
class SentPicture:
    """A `GeneratedPicture` on its way to the bot."""

    recipe: str
    image: bytes = field(repr=False)
    progress: Progress
    warnings: tuple[str, ...]
    made_with: Provenance | None
    snapshot: bytes = field(repr=False)
    frames: tuple[bytes, ...] = field(repr=False)
    paint_s: float
    step_s: float
    unsafe_share: float
    device: str
    film_frames: tuple[str, ...]
    """Names of the frames of a film, whose files come with the news."""

    @classmethod
    def of(cls, generated: GeneratedPicture) -> SentPicture:
        """Encode a picture."""
        picture = generated.picture
        return cls(
            recipe=request_to_json(picture.request),
            image=encoded(picture.image),
            progress=picture.progress,
            warnings=picture.warnings,
            made_with=picture.made_with,
            snapshot=generated.snapshot,
            frames=tuple(map(encoded, generated.timelapse.frames)),
            paint_s=generated.paint_s,
            step_s=generated.step_s,
            unsafe_share=generated.unsafe_share,
            device=generated.device,
            film_frames=tuple(path.name for path in generated.frames),
        )

    def generated(self, folder: Path | None) -> GeneratedPicture:
        """Decode it; `folder` is that of a film on this machine."""
        timelapse = Timelapse(FRAMES + 2, FRAME_SIDE_PX)  # room for all of its frames, which are thinned out already
        for frame in self.frames:
            timelapse.add(decoded(frame))
        picture = Picture(
            image=decoded(self.image),
            request=request_from_json(self.recipe),
            progress=self.progress,
            warnings=self.warnings,
            made_with=self.made_with,
        )
        return GeneratedPicture(
            picture=picture,
            snapshot=self.snapshot,
            timelapse=timelapse,
            paint_s=self.paint_s,
            step_s=self.step_s,
            unsafe_share=self.unsafe_share,
            device=self.device,
            frames=() if folder is None else tuple(folder / name for name in self.film_frames),
        )


@dataclass(frozen=True, kw_only=True)
class SentError:
    """An error of a generation on its way to the bot: one of the generator's, or the kind and text of another.

    `lost`: it is the fault of the worker's device or machine, which is of no use any more.
    """

    generators: GeneratorError | None = None
    kind: str = ""
    text: str = ""
    lost: bool = False

    @classmethod
    def of(cls, error: BaseException) -> SentError:
        """Encode an error."""
        cause = error.__cause__
        full = isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
        lost = full or isinstance(error, DeviceFailed | OSError)
        if isinstance(error, GeneratorError):
            return cls(generators=error, lost=lost)
        return cls(kind=type(error).__name__, text=str(error)[:500], lost=lost)

    def error(self) -> Exception:
        """Decode it."""
        if self.lost:
            died = WorkerLost("painter_lost")
            died.__cause__ = self.generators or OSError(self.text)
            return died
        return self.generators or RuntimeError(f"{self.kind} in a worker elsewhere: {self.text}")


SentOutcome = SentPicture | SentError | Interrupted


def outcome_of(sent: SentOutcome, folder: Path | None = None) -> Outcome:
    """Decode an outcome; `folder` is that of a film on this machine.

    Raises:
        Exception: the error that was sent.
    """
    if isinstance(sent, SentError):
        raise sent.error()
    return sent.generated(folder) if isinstance(sent, SentPicture) else sent


def encoded(image: Image.Image) -> bytes:
    """A picture as PNG."""
    out = BytesIO()
    image.save(out, "PNG", compress_level=_QUICK)
    return out.getvalue()


def decoded(data: bytes) -> Image.Image:
    """A picture from PNG, read whole."""
    with Image.open(BytesIO(data), formats=("PNG",)) as image:
        image.load()
        return image.copy()
