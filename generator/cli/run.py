"""Run one dream in a terminal: progress bar, previews, JSON lines, timelapse, and Ctrl-C."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, Self

from PIL import Image
from tqdm import tqdm

from generator.cli.outputs import Outputs
from generator.errors import GeneratorError
from generator.images.files import encode, format_of, tile_sheet, write_file
from generator.images.timelapse import MAX_FRAMES, Timelapse
from generator.recipe import Recipe, recipe_to_json
from generator.request import GenerationRequest, Picture, Progress


class Steppable(Protocol):
    """The part of a dream's interface that is used here; `generator.optimisation.dream.Dream` has it."""

    request: GenerationRequest

    @property
    def finished(self) -> bool:
        """True when no steps are left."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings for the user; more may appear during generation."""

    def step(self) -> Progress:
        """Run one optimisation step."""

    def preview(self) -> Image.Image:
        """Current picture."""

    def picture(self) -> Picture:
        """The finished picture, or the current one."""

    def snapshot(self) -> bytes:
        """Everything needed to resume."""


class Console:
    """Output to the user or script that runs the command."""

    def __init__(self, *, lines: bool, quiet: bool) -> None:
        self._lines, self._quiet = lines, quiet

    @classmethod
    def of(cls, options: argparse.Namespace) -> Self:
        """Create from the flags."""
        return cls(lines=options.json, quiet=options.quiet)

    @property
    def shows_bar(self) -> bool:
        """True if a progress bar can be seen."""
        return not self._quiet and sys.stderr.isatty()

    def progress(self, progress: Progress, file: Path) -> None:
        """Print progress as a line of JSON, if enabled."""
        if self._lines:
            facts = asdict(progress) | {"file": str(file)}
            keys = ("step", "steps", "loss", "similarity", "seconds_per_step", "seconds_left", "file")
            sys.stdout.write(json.dumps({key: facts[key] for key in keys}) + "\n")
            sys.stdout.flush()

    def result(self, file: Path, sentence: str) -> None:
        """Print where the file is, as a sentence or only its name; JSON output has already said it."""
        if not self._lines:
            sys.stdout.write(f"{file if self._quiet else sentence}\n")

    def remark(self, text: str) -> None:
        """Print a hint."""
        if not self._quiet:
            sys.stderr.write(f"{text}\n")

    def warn(self, text: str) -> None:
        """Print a warning."""
        sys.stderr.write(f"Warning: {text}\n")


class Interrupt:
    """Graceful Ctrl-C: the first is recorded, the second interrupts at once."""

    def __init__(self, on_request: Callable[[], None]) -> None:
        self.requested = False
        self.on_request = on_request
        self._before: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.on_request()


def run(dream: Steppable, outputs: Outputs, console: Console) -> bool:
    """Run the dream to its end or the first Ctrl-C and save the result; True if it reached the end.

    Raises:
        GeneratorError: any error of the dream, or if a file cannot be written.
    """
    timelapse, said = None if outputs.timelapse is None else Timelapse(), set(dream.warnings)
    with Interrupt(lambda: console.remark("\nStopping after this step; Ctrl-C again stops at once.")) as interrupt:
        _step_until_done(dream, outputs, timelapse, console, interrupt)
        finished = dream.finished
        picture = dream.picture()
        recipe = recipe_to_json(Recipe(request=picture.request, made_with=picture.made_with))
        _save(outputs.picture, encode(picture.image, outputs.file_format, recipe))
        if outputs.tile_sheet is not None:
            sheet = tile_sheet(picture.image)
            _save(outputs.tile_sheet, encode(sheet, format_of(outputs.tile_sheet) or "png"))
        if timelapse is not None and outputs.timelapse is not None:
            timelapse.add(picture.image)
            _save(outputs.timelapse, timelapse.encode(outputs.timelapse.suffix.lower().removeprefix("."), recipe))
        if not finished:
            _save(outputs.snapshot, dream.snapshot())
    console.progress(picture.progress, outputs.picture)
    for text in picture.warnings:
        if text not in said:
            console.warn(text)
    _print_result(picture, outputs, finished, console)
    return finished


def _step_until_done(
    dream: Steppable, outputs: Outputs, timelapse: Timelapse | None, console: Console, interrupt: Interrupt
) -> None:
    steps = dream.request.stopped_at or dream.request.settings.steps
    frame_every = max(1, steps // MAX_FRAMES)
    with tqdm(total=steps, unit="step", disable=not console.shows_bar) as bar:
        while not dream.finished and not interrupt.requested:
            progress = dream.step()
            bar.update(progress.step - bar.n)
            bar.set_postfix(similarity=f"{progress.similarity:.3f}", refresh=False)
            if timelapse is not None and progress.step % frame_every == 0:
                timelapse.add(dream.preview())
            if outputs.preview_every and progress.step % outputs.preview_every == 0:
                _save_preview(dream, progress, outputs, console)


def _save_preview(dream: Steppable, progress: Progress, outputs: Outputs, console: Console) -> None:
    """Save the current picture under the final name; the last one is saved with its recipe instead."""
    if not dream.finished:
        _save(outputs.picture, encode(dream.preview(), outputs.file_format))
        console.progress(progress, outputs.picture)


def _print_result(picture: Picture, outputs: Outputs, finished: bool, console: Console) -> None:
    step, steps, seed = picture.progress.step, picture.progress.steps, picture.request.settings.seed
    timelapse = "" if outputs.timelapse is None else f" Its timelapse is in {outputs.timelapse}."
    if finished:
        console.result(outputs.picture, f"The picture is in {outputs.picture} (seed {seed}).{timelapse}")
        return
    so_far = f"The picture so far, after {step} of {steps} steps, is in {outputs.picture} (seed {seed}).{timelapse}"
    console.result(outputs.picture, so_far)
    console.remark(f"To go on with it: python -m generator --resume {outputs.snapshot}")


def _save(path: Path, data: bytes) -> None:
    try:
        write_file(path, data)
    except OSError as exc:
        raise GeneratorError(f"{path} cannot be written: {exc.strerror or exc}.") from exc
