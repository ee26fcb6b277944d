"""The command `film`: its request, output files, progress bar, and Ctrl-C."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tqdm import tqdm

from generator.cli.arguments import given_settings, read_bytes
from generator.cli.config import HostDefaults, read_host_defaults, resolve_settings
from generator.cli.outputs import check_writable, free, name_for, place_of
from generator.cli.requests import Load, drawn_seed, loader, own_models, recipe_at, request_of
from generator.cli.run import Console, Interrupt
from generator.errors import GeneratorError, InvalidRequest
from generator.filming.folder import SOUND, FilmFolder
from generator.filming.source import MAX_SOURCE_BYTES, extract, look_at
from generator.films.music import pulse_of, read_music
from generator.films.plan import MAX_SECONDS, FilmPlan
from generator.films.prompts import story_through
from generator.films.templates import plan_film
from generator.images import films
from generator.images.files import write_file
from generator.notation.palette import NONE
from generator.prompts import MAX_SCENES, parse_story
from generator.provenance import Provenance, differences
from generator.recipe import Recipe, recipe_to_json
from generator.request import GenerationRequest

if TYPE_CHECKING:
    from generator.filming.film import Film
    from generator.models.model_set import Models

_FROM_ELSEWHERE = ("times", "pulse", "source", "picture_steps")
_VALUES = ("template", *(item.name for item in fields(FilmPlan) if item.name not in _FROM_ELSEWHERE))
"""Flags of a film's plan; the other values come from the prompt, the music and the settings."""


class FilmOutputs(NamedTuple):
    """Files of one film; its frames lie in `folder` until it is done, or for good if `keep_frames`."""

    film: Path
    folder: Path
    keep_frames: bool
    most_bytes: int | None

    @property
    def sound(self) -> Path:
        """Copy of the music that the film has, if any."""
        return self.folder / SOUND


def plan_film_outputs(options: argparse.Namespace, title: str, folder: Path | None = None) -> FilmOutputs:
    """Choose the files before anything is generated; `title` names them if no name is given.

    Raises:
        InvalidRequest: if names and formats do not agree, or a place cannot be written to.
    """
    output = None if options.output is None else place_of(options.output)
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
            try:
                while not film.finished and not interrupt.requested:
                    progress = film.step()
                    bar.update(progress.step - bar.n)
            except GeneratorError:
                if film.frames:
                    console.remark(_how_to_go_on(outputs))
                raise
        finished = film.finished
        picture = film.picture()
        recipe = recipe_to_json(Recipe(request=picture.request, made_with=picture.made_with))
        plan = picture.request.film
        fps = FilmPlan().fps if plan is None else plan.fps
        sound = outputs.sound if outputs.sound.exists() else None
        files = films.write_film(film.frames, outputs.film, fps, recipe, most_bytes=outputs.most_bytes, sound=sound)
    console.progress(picture.progress, files[0])
    for text in film.warnings:
        if text not in said:
            console.warn(text)
    names, seed = ", ".join(map(str, files)), picture.request.settings.seed
    if finished:
        console.result(files[0], f"The film is in {names} (seed {seed}).")
        if not outputs.keep_frames:
            FilmFolder(outputs.folder).remove()
        return True
    done = f"after {picture.progress.step} of {picture.progress.steps} frames"
    console.result(files[0], f"The film so far, {done}, is in {names} (seed {seed}).")
    console.remark(_how_to_go_on(outputs))
    return False


def _how_to_go_on(outputs: FilmOutputs) -> str:
    return f"To go on with the film: python -m generator film --resume {outputs.folder}"


def make(options: argparse.Namespace, given_load: Load | None) -> bool:
    """Make a film from a prompt, or go on with one; True if it reached its end."""
    host = HostDefaults() if options.config is None else read_host_defaults(options.config)
    given, values = given_settings(options), {name: getattr(options, name) for name in _VALUES}
    own = own_models(options, host)
    if given.pop("upscaler", NONE) != NONE:
        raise InvalidRequest(
            "A film's frames are not enlarged; leave --upscaler out, or choose a larger --size.", "upscaler"
        )
    load, device = loader(options, host, own, given_load), options.device or host.device or "auto"
    if options.resume is not None:
        if options.words or given or any(value is not None for value in values.values()):
            raise InvalidRequest("--resume goes on with the film as it was; leave out prompt and settings.", "resume")
        return _go_on(options, load, device)
    through, seeds = tuple(recipe_at(path).request for path in options.through), _seeds(options.seeds)
    if through or seeds:
        _prepare_morph(options, given, values, through, seeds)
    remarks = [] if seeds else drawn_seed(given, host, "film")
    source = None
    if options.restyle is not None:
        source = look_at(options.restyle)
        values |= {name: value for name, value in source.values().items() if values.get(name) is None}
        if source.longer:
            remarks.append(f"{options.restyle.name} is longer than {MAX_SECONDS:g} s; the rest is left out.")
    outputs = plan_film_outputs(options, " ".join(options.words))
    request = request_of(options, host, given, own)
    _, plan = plan_film(request.prompt, values, request.settings)  # finds mistakes before models are loaded
    if options.music is not None:
        values["pulse"] = pulse_of(read_music(options.music, plan.seconds), plan.frames, plan.fps, options.listen_to)
        if outputs.film.suffix == ".webp":
            remarks.append("An animated WebP has no sound; choose mp4 or webm to hear the music.")
    models = load(request.models, device)
    settings = resolve_settings(models.defaults, host.settings, given, models.starts)
    if source is not None and "size" not in given:
        settings = settings.merged({"size": source.shaped(settings.size)})
    story, plan = plan_film(request.prompt, values, settings)
    if seeds:
        first = replace(request, prompt=story_through([request.scenes[:1]]), settings=settings)
        through = tuple(replace(first, settings=settings.merged({"seed": seed})) for seed in seeds)
    request = replace(request, prompt=story, settings=settings, film=plan, pictures=through)
    for text in remarks:
        Console.of(options).remark(text)
    music = options.music or (options.restyle if source is not None and source.heard else None)
    if music is not None:
        outputs.folder.mkdir(parents=True, exist_ok=True)
        write_file(outputs.sound, read_bytes(music, MAX_SOURCE_BYTES))
    if options.restyle is not None:
        folder = FilmFolder(outputs.folder)
        folder.begin(request)
        extract(options.restyle, folder, settings.size, plan.frames, plan.fps)
    return _run(request, models, outputs, options)


def make_again(options: argparse.Namespace, recipe: Recipe, load: Load) -> bool:
    """Make a film again from its recipe; True if it reached its end."""
    if options.output is None:
        kind = options.format or options.file.suffix.lower().removeprefix(".")
        kind = kind if kind in films.FORMATS else films.default_format()
        options.output = free(options.file.with_name(f"{options.file.stem}-again.{kind}"))
    outputs = plan_film_outputs(options, recipe.request.prompt)
    models = load(recipe.request.models, options.device or "auto")
    from generator.runtime.device import cpu_threads

    then = recipe.made_with or Provenance()
    with cpu_threads(then.threads if models.device.type == "cpu" else 0):
        for text in differences(recipe.made_with, models.made_with()):
            Console.of(options).warn(text)
        return _run(recipe.request, models, outputs, options)


def _go_on(options: argparse.Namespace, load: Load, device: str) -> bool:
    """Go on with a stopped film."""
    folder = FilmFolder(options.resume)
    request = folder.request()
    folder.sound_frames()
    if options.output is None and options.format is None:
        options.output = options.resume.with_suffix(f".{films.default_format()}")
    outputs = plan_film_outputs(options, request.prompt, options.resume)
    return _run(request, load(request.models, device), outputs, options)


def _prepare_morph(
    options: argparse.Namespace,
    given: dict[str, object],
    values: dict[str, object],
    through: Sequence[GenerationRequest],
    seeds: Sequence[int],
) -> None:
    """Derive prompt, models, size and template of a film through pictures, or through seeds of one prompt."""
    if (through and seeds) or not 2 <= len(through) + len(seeds) <= MAX_SCENES:
        raise InvalidRequest(f"A film goes through 2 to {MAX_SCENES} pictures, or as many seeds.", "through")
    values["template"] = values["template"] or "still"
    if through:
        options.words = [story_through([picture.scenes for picture in through])]
        options.models = options.models or through[0].models
        given.setdefault("size", str(through[0].settings.size))
    else:
        options.words = [story_through([parse_story(" ".join(options.words))[:1]] * len(seeds))]


def _seeds(text: str | None) -> list[int]:
    """Seeds typed as numbers with commas between them."""
    if text is None:
        return []
    if not re.fullmatch(r"\s*\d{1,10}(\s*,\s*\d{1,10})*\s*", text):
        raise InvalidRequest(f"seeds must be whole numbers with commas between them, not {text[:40]!r}.", "seeds")
    return [int(part) for part in text.split(",")]


def _run(request: GenerationRequest, models: Models, outputs: FilmOutputs, options: argparse.Namespace) -> bool:
    from generator.filming.film import Film

    return run_film(Film(request, models, outputs.folder), outputs, Console.of(options))
