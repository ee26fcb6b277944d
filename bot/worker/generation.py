"""Generation of one picture with an engine: steps, progress reports, orders, the finished picture."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, cast

from PIL import Image

from bot import imaging
from bot.errors import without_locals
from bot.log import about
from bot.worker.protocol import (
    Dream,
    Engine,
    FilmInProgress,
    GeneratedPicture,
    Interrupted,
    Outcome,
    ProgressUpdate,
    StopMode,
    Work,
)
from generator import CheckpointError, DeviceFailed, OutOfMemory, Progress, Timelapse

FRAMES = 40
"""Maximum number of frames in a timelapse."""
FRAME_SIDE_PX = 384
PROGRESS_S = 0.1
"""Minimum time between two reports of progress alone."""
RANKS = {StopMode.PAUSE: 0, StopMode.FINISH: 1, StopMode.CANCEL: 2}
"""A stop mode replaces those of a lower rank."""
_log = logging.getLogger(__name__)


class Control(Protocol):
    """A picture's connection to the outside while it is generated."""

    order: StopMode | None
    """Written by others at any time."""
    alive_at: float
    """Time of the last step, by the monotonic clock."""

    def has_order(self, order: StopMode) -> bool:
        """Return True if it has this stop mode by now."""

    def report(self, update: ProgressUpdate) -> None:
        """Pass an update on; it must return at once."""

    @property
    def between_steps(self) -> Callable[[], None]:
        """Does what waits for the end of a step."""


class _Stopped(Exception):
    """The picture was stopped while it was enlarged."""


class Generation:
    """Generates pictures with one engine.

    The times are the seconds between two previews and between two snapshots.
    """

    def __init__(self, engine: Engine, preview_s: float, snapshot_s: float) -> None:
        self._engine, self._preview_s, self._snapshot_s = engine, preview_s, snapshot_s
        self.description = ""

    def attempt(self, work: Work, control: Control) -> Outcome | Exception:
        """Generate one picture; return its error if the worker can go on with the next one.

        Raises:
            DeviceFailed: if the device is unusable from here: another thread or process must take over.
        """
        try:
            return self._generate(work, control)
        except MemoryError as exc:
            error = OutOfMemory("The memory of this machine is used up.")
            error.__cause__ = exc
            return without_locals(error)
        except DeviceFailed as exc:
            self._engine.renew()
            without_locals(exc)
            raise
        except Exception as exc:  # Raised to the caller that waits for the picture.
            return without_locals(exc)

    def _generate(self, work: Work, control: Control) -> Outcome:
        if control.has_order(StopMode.CANCEL):
            return Interrupted(order=StopMode.CANCEL)
        began = time.monotonic()
        dream = self._begin(work)
        self.description = self._engine.describe()
        progress, timelapse = dream.progress, Timelapse(FRAMES, FRAME_SIDE_PX)
        first, first_at = progress.step, began
        reports = _Reports(began, self._preview_s, self._snapshot_s, self._engine.status().device)
        film = work.request.film is not None
        if first == 0 and not film and work.request.settings.composition == "posed":
            control.report(reports.of_start(dream, progress, timelapse))
        while not dream.finished:
            if control.has_order(StopMode.CANCEL):
                return Interrupted(order=StopMode.CANCEL)
            if control.has_order(StopMode.PAUSE):
                return Interrupted(order=StopMode.PAUSE, snapshot=dream.snapshot())
            if control.has_order(StopMode.FINISH) and progress.step > (1 if film else 0):  # a film has two frames
                break
            control.between_steps()
            progress = dream.step()
            control.alive_at = now = time.monotonic()
            if progress.step == first + 1:
                first_at = now
            update = reports.after_step(dream, progress, now, timelapse)
            if update is not None:
                control.report(update)
        steps = max(1, progress.step - first - 1)
        step_s = (time.monotonic() - first_at) / steps if progress.step > first + 1 else progress.seconds_per_step
        if progress.step == first:
            step_s = 0.0
        try:
            return self._finished(work, dream, timelapse, began, step_s, control)
        except _Stopped:
            if control.has_order(StopMode.CANCEL):
                return Interrupted(order=StopMode.CANCEL)
            return Interrupted(order=StopMode.PAUSE, snapshot=dream.snapshot())

    def _begin(self, work: Work) -> Dream | FilmInProgress:
        if work.request.film is not None and work.folder is not None:
            return self._engine.film(work.request, work.parent, work.folder)
        if work.snapshot is not None:
            try:
                return self._engine.resume(work.request, work.snapshot)
            except CheckpointError as exc:
                _log.warning("the snapshot cannot be used: %s", exc, extra=about(job=work.job_id))
        return self._engine.begin(work.request, work.parent)

    def _finished(
        self,
        work: Work,
        dream: Dream | FilmInProgress,
        timelapse: Timelapse,
        began: float,
        step_s: float,
        control: Control,
    ) -> GeneratedPicture:
        def between() -> None:
            control.alive_at = time.monotonic()
            if control.has_order(StopMode.CANCEL) or control.has_order(StopMode.PAUSE):
                raise _Stopped
            control.between_steps()

        picture = dream.picture(between)
        timelapse.add(picture.image)
        frames = tuple(cast("FilmInProgress", dream).frames) if work.request.film is not None else ()
        return GeneratedPicture(
            picture=picture,
            snapshot=dream.snapshot(),
            timelapse=timelapse,
            paint_s=time.monotonic() - began,
            step_s=step_s,
            unsafe_share=self._unsafe_share(picture.image, frames) if work.examine else 0.0,
            frames=frames,
            device=self._engine.status().device,
        )

    def _unsafe_share(self, image: Image.Image, frames: Sequence[Path]) -> float:
        """Certainty of the perceptors about a picture, or the largest about some frames of a film, evenly spread."""
        return max(self._engine.unsafe_share(one) for one in (image, *imaging.some_frames(frames)))


class _Reports:
    """Schedule of progress reports and timelapse frames."""

    def __init__(self, now: float, preview_s: float, snapshot_s: float, device: str) -> None:
        self._preview_s, self._snapshot_s, self._device = preview_s, snapshot_s, device
        self._progress_at = self._preview_at = now
        self._snapshot_at = now + snapshot_s

    def of_start(self, dream: Dream | FilmInProgress, progress: Progress, timelapse: Timelapse) -> ProgressUpdate:
        """The update for a start that is worth showing; its picture is the timelapse's first frame."""
        image = dream.preview()
        timelapse.add(image)
        self._preview_at = time.monotonic() + self._preview_s
        return self._update(dream, progress, image, None)

    def after_step(
        self, dream: Dream | FilmInProgress, progress: Progress, now: float, timelapse: Timelapse
    ) -> ProgressUpdate | None:
        """Return the update due after a step, if any; add a frame if one is due."""
        wants_frame = progress.step % max(1, progress.steps // (FRAMES - 1)) == 0
        wants_preview, wants_snapshot = now >= self._preview_at, now >= self._snapshot_at
        image = dream.preview() if wants_frame or wants_preview else None
        if image is not None and wants_frame:
            timelapse.add(image)
        if not wants_preview and not wants_snapshot and now < self._progress_at:
            return None
        self._progress_at = now + PROGRESS_S
        if wants_preview:
            self._preview_at = now + self._preview_s
        snapshot = None
        if wants_snapshot:
            snapshot = dream.snapshot()
            self._snapshot_at = time.monotonic() + self._snapshot_s
        preview = image if wants_preview else None
        return self._update(dream, progress, preview, snapshot)

    def _update(
        self, dream: Dream | FilmInProgress, progress: Progress, preview: Image.Image | None, snapshot: bytes | None
    ) -> ProgressUpdate:
        return ProgressUpdate(
            progress=progress, device=self._device, warnings=dream.warnings, preview=preview, snapshot=snapshot
        )
