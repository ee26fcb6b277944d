"""Videos that a film restyles, and music that it follows: files of a person, kept with their job. Threads only."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from bot.config import Limits
from bot.errors import InvalidJobSpec
from bot.files import DataFolder, Kind
from bot.service.requests import filmed, said
from bot.service.values import FileInput, JobSpec
from bot.texts import Sentence
from generator import FilmFolder, GenerationRequest, InvalidRequest, UntrustedFilm

KINDS = (Kind.VIDEO, Kind.MUSIC)
LISTEN_TO = "listen_to"
"""Name of the value of a film that says which part of its music it follows."""
_LONGEST = Fraction(3)
"""Longer side of a restyled film at most, in shorter sides."""


def with_video(spec: JobSpec) -> tuple[JobSpec, tuple[Sentence, ...]]:
    """The spec of a film with what its video suggests in the gaps: size, length, rate; and a note if it is too long.

    Raises:
        InvalidJobSpec: if the video cannot be read.
    """
    if spec.video is None or spec.film is None:
        return spec, ()
    if spec.init_image is not None:
        raise InvalidJobSpec("film_one_start", field="video")
    with _untrusted(spec.video, "video") as film:
        source = film.look()
    ratio = Fraction(source.width, source.height).limit_denominator(99)
    width, height = min(_LONGEST, max(1 / _LONGEST, ratio)).as_integer_ratio()
    spec = replace(spec, settings={"size": f"{width}:{height}", **spec.settings}, film={**source.values(), **spec.film})
    return spec, (Sentence.of("film_cut", seconds=f"{source.seconds:g}"),) if source.longer else ()


def with_film(
    request: GenerationRequest, spec: JobSpec, given: Mapping[str, object], limits: Limits
) -> tuple[GenerationRequest, tuple[Sentence, ...]]:
    """The request for a film, to its music if it has some, and notes.

    `given` are the values that the person chose; a length that only comes from the video gives way to the limits.

    Raises:
        InvalidJobSpec, OverLimit: as `requests.filmed`; also if the music cannot be read or is silent.
    """
    values = dict(spec.film or {})
    listen_to = str(values.pop(LISTEN_TO, "beats"))
    request = filmed(request, values, limits, shortened=spec.video is not None and "seconds" not in given)
    plan, notes = request.film, list[Sentence]()
    if plan is None:
        return request, ()
    if "seconds" in values and plan.seconds != values["seconds"]:
        notes.append(Sentence.of("film_cut", seconds=f"{plan.seconds:g}"))
    if spec.music is not None:
        with _untrusted(spec.music, "music") as music:
            pulse = music.pulse(plan.seconds, plan.frames, plan.fps, listen_to)
        request = replace(request, film=replace(plan, pulse=pulse))
    return request, tuple(notes)


def files_of(spec: JobSpec) -> Mapping[Kind, bytes]:
    """Files that a job keeps for its film."""
    found = zip(KINDS, (spec.video, spec.music), strict=True)
    return {kind: file.data for kind, file in found if file is not None}


def stage(files: DataFolder, new: Mapping[Kind, bytes], other_id: int | None) -> Mapping[Kind, Path]:
    """Write the files of a job that has no id yet under temporary names: new ones, or those of another job.

    Raises:
        FilesError: if they cannot be written.
    """
    staged = {kind: files.stage(data) for kind, data in new.items()}
    for kind in KINDS if other_id is not None else ():
        if (path := files.path(kind, other_id or 0, 1)).exists():
            staged[kind] = files.stage(path)
    return staged


def lay_out(files: DataFolder, job_id: int, request: GenerationRequest) -> None:
    """Lay out the pictures of the video and the sound in the folder of a film's frames, unless they are there.

    Raises:
        InvalidRequest: if a file cannot be read.
    """
    plan, folder = request.film, FilmFolder(files.frames(job_id))
    if plan is None:
        return
    video, music = (files.path(kind, job_id, 1) for kind in KINDS)
    if plan.source and video.exists() and not folder.source(plan.frames - 1).exists():
        UntrustedFilm(video, "video").extract(folder.path, request.settings.size, plan.frames, plan.fps)
    if folder.sound.exists():
        return
    if music.exists():
        UntrustedFilm(music, "music").hear(folder.path, plan.seconds)
    elif plan.source and video.exists():
        try:
            UntrustedFilm(video, "video").hear(folder.path, plan.seconds)
        except InvalidRequest:
            return  # it has none


@contextmanager
def _untrusted(file: FileInput, field: str) -> Iterator[UntrustedFilm]:
    """A file of a person, to be read in a separate process; its errors become ours."""
    with tempfile.NamedTemporaryFile(prefix="reverie-") as copy:
        copy.write(file.data)
        copy.flush()
        try:
            yield UntrustedFilm(Path(copy.name), file.name)
        except InvalidRequest as exc:
            error = said(exc)
            error.field = field
            raise error from exc
