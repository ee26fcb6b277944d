"""Files of films: frames on their way, the film itself and its parts. Any thread except the event loop's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bot.files import DataFolder, Kind
from bot.jobs import Job
from bot.service.files.uploads import REQUEST_BYTES
from bot.service.values import PictureFile
from bot.texts import Sentence
from generator import FilmFolder, Recipe, default_format, recipe_to_json, write_film

MAX_PARTS = 9
"""Files of a film; their numbers are those of pictures."""
MAX_ATTACHED_BYTES = 2**20
"""Size up to which a film's file carries the pictures of its recipe."""
LEAST_FRAMES = 2
PREVIEW_FRAMES = 12


def newest_frames(folder: Path, count: int) -> list[Path]:
    """Files of the newest frames of a film that has so many."""
    return [folder / f"frame-{number:05}.png" for number in range(max(0, count - PREVIEW_FRAMES), count)]


def frames_so_far(folder: Path | None) -> int:
    """Number of whole frames of a film that ended with an error; 0 for a picture and if they make no film.

    Raises:
        GeneratorError: if the folder cannot be used.
    """
    count = FilmFolder(folder).sound_frames() if folder is not None else 0
    return count if count >= LEAST_FRAMES else 0


def write(files: DataFolder, job_id: int, recipe: Recipe, frames: Sequence[Path], most_bytes: int) -> None:
    """Write the file of a film, or the files of its parts, each of at most `most_bytes`.

    Raises:
        GeneratorError, FilesError: if a file cannot be read or written.
    """
    film = recipe.request.film
    kind = Kind.FILM if default_format() == "mp4" else Kind.FILM_WEBP
    # Attached pictures would be most of its bytes.
    lean = recipe_to_json(recipe, pictures=sum(map(len, recipe.request.images)) < MAX_ATTACHED_BYTES)
    path = files.frames(job_id) / f"film.{kind.value[1]}"
    sound = FilmFolder(path.parent).sound
    parts = write_film(
        frames, path, film.fps if film else 12, lean, most_bytes=most_bytes, sound=sound if sound.exists() else None
    )
    for number, part in enumerate(parts, 1):
        if number <= MAX_PARTS:
            files.write(kind, job_id, number, part.read_bytes())
        part.unlink()


def notes() -> tuple[Sentence, ...]:
    """A note below a film if this machine cannot make it as others would."""
    return (Sentence.of("film_as_webp"),) if default_format() == "webp" else ()


def film_files(files: DataFolder, job: Job) -> list[PictureFile]:
    """The file of a film, or those of its parts."""
    found: list[PictureFile] = []
    for kind in (Kind.FILM, Kind.FILM_WEBP):
        while (data := files.read(kind, job.id, len(found) + 1)) is not None:
            part = f"-{len(found) + 1}" if found else ""
            name = f"reverie-{job.id}{part}.{kind.value[1]}"
            found.append(
                PictureFile(
                    name=name, data=data, width=job.settings.size.width, height=job.settings.size.height, moves=True
                )
            )
            if len(found) == MAX_PARTS:
                return found
    return found


def films_that_fit(files: Sequence[PictureFile], limit_bytes: int) -> tuple[PictureFile, ...]:
    """The first parts of a film, as many as fit into one message."""
    kept, room = list[PictureFile](), REQUEST_BYTES
    for file in files:
        if len(file.data) > min(limit_bytes, room):
            break
        kept.append(file)
        room -= len(file.data)
    return tuple(kept)
