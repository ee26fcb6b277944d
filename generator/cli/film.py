"""Run one film in a terminal: its output files, progress bar, and Ctrl-C."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tqdm import tqdm

from generator.cli.outputs import check_writable, free, name_for
from generator.cli.run import Console, Interrupt
from generator.errors import InvalidRequest
from generator.images import films
from generator.recipe import Recipe, recipe_to_json

if TYPE_CHECKING:
    from generator.filming.film import Film


class FilmOutputs(NamedTuple):
    """Files of one film; its frames lie in `folder` until it is done, or for good if `keep_frames`."""

    film: Path
    folder: Path
    keep_frames: bool
    most_bytes: int | None


def plan_film_outputs(options: argparse.Namespace, title: str, folder: Path | None = None) -> FilmOutputs:
    """Choose the files before anything is generated; `title` names them if no name is given.

    Raises:
        InvalidRequest: if names and formats do not agree, or a place cannot be written to.
    """
    output: Path | None = options.output
    kind = options.format or (output.suffix.lower().removeprefix(".") if output and output.suffix else None)
    kind = kind or films.default_format()
    films.check_format(kind)
    if output is None or output.is_dir():
        film = free((output or Path()) / f"{name_for(title)}.{kind}")
    elif not output.suffix:
        film = output.with_name(f"{output.name}.{kind}")
    elif output.suffix.lower() != f".{kind}":
        raise InvalidRequest(f"{output.name[-40:]!r} asks for {output.suffix[1:20]} and --format for {kind}.", "output")
    else:
        film = output
    check_writable(film)
    most = getattr(options, "most_megabytes", None)
    if most is not None and not 0.05 <= most <= 4000:
        raise InvalidRequest("most-megabytes must be a number from 0.05 to 4000.", "most_megabytes")
    beside = film.with_name(f"{film.stem}.film")
    return FilmOutputs(
        film, folder or beside, getattr(options, "keep_frames", False), None if most is None else int(most * 2**20)
    )


def run_film(film: Film, outputs: FilmOutputs, console: Console) -> bool:
    """Paint the film to its end or the first Ctrl-C and write the file; True if it reached the end.

    Raises:
        GeneratorError: any error of the film, or if a file cannot be written.
    """
    said = set(film.warnings)
    for text in film.warnings:
        console.warn(text)
    with Interrupt(lambda: console.remark("\nStopping after this frame; Ctrl-C again stops at once.")) as interrupt:
        with tqdm(total=film.progress.steps, unit="frame", disable=not console.shows_bar) as bar:
            bar.update(film.progress.step)
            while not film.finished and not interrupt.requested:
                progress = film.step()
                bar.update(progress.step - bar.n)
        finished = film.finished
        picture = film.picture()
        recipe = recipe_to_json(Recipe(request=picture.request, made_with=picture.made_with))
        plan = picture.request.film
        fps = 12 if plan is None else plan.fps
        files = films.write_film(film.frames, outputs.film, fps, recipe, most_bytes=outputs.most_bytes)
    console.progress(picture.progress, files[0])
    for text in film.warnings:
        if text not in said:
            console.warn(text)
    names, seed = ", ".join(map(str, files)), picture.request.settings.seed
    if finished:
        console.result(files[0], f"The film is in {names} (seed {seed}).")
        if not outputs.keep_frames:
            shutil.rmtree(outputs.folder, ignore_errors=True)
        return True
    done = f"after {picture.progress.step} of {picture.progress.steps} frames"
    console.result(files[0], f"The film so far, {done}, is in {names} (seed {seed}).")
    console.remark(f"To go on with it: python -m generator film --resume {outputs.folder}")
    return False
