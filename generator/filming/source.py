"""A film to be restyled: GIF, animated WebP and APNG by Pillow, the rest by PyAV; its frames go to disk one by one.

The source keeps its timing: for each frame of the new film, the picture that the source shows at that time is taken,
whatever its own rate. Pictures are turned as their file says, laid over white, and fitted to the size of the film.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageSequence

from generator.errors import InvalidRequest
from generator.filming.folder import FilmFolder
from generator.films.plan import MAX_SECONDS
from generator.images.files import MAX_PIXELS, fit
from generator.messages import Message
from generator.settings import Size

MAX_SOURCE_BYTES = 2**29
_BY_PILLOW = (b"GIF8", b"RIFF", b"\x89PNG")
_BT709 = 1
_MOST_FPS = 30
_UNTIMED_S = 0.1
"""Time of a picture whose file gives none, as browsers show it."""


class Source(NamedTuple):
    """A film to be restyled.

    Attributes:
        digest: SHA-256 of its file.
        seconds: its length, at most MAX_SECONDS.
        fps: pictures a second on average, from 1 to 30.
        heard: it has sound.
    """

    digest: str
    seconds: float
    fps: int
    heard: bool


def look_at(path: Path) -> Source:
    """Length, rate and sound of a film.

    Raises:
        InvalidRequest: if it cannot be read or has no frames.
    """
    count, end = 0, 0.0
    for _, start, length in _pictures(path):
        count, end = count + 1, start + length
        if end > MAX_SECONDS:
            break
    fps = min(_MOST_FPS, max(1, round(count / end)))
    return Source(_digest(path), min(end, MAX_SECONDS), fps, not _is_pillows(path) and _heard(path))


def extract(path: Path, folder: FilmFolder, size: Size, frames: int, fps: int) -> None:
    """Write the pictures that a film shows at the times of the new film's frames into its folder.

    A source that breaks off goes on with its last picture.

    Raises:
        InvalidRequest: as `look_at`.
        GeneratorError: if the disk does not take them.
    """
    number, last = 0, None
    for picture, start, _ in _pictures(path):
        while last is not None and number < frames and number / fps < start - 1e-6:
            folder.write(folder.source(number), last)
            number += 1
        if number >= frames:
            return
        last = fit(picture, size)
    while last is not None and number < frames:
        folder.write(folder.source(number), last)
        number += 1


def _pictures(path: Path) -> Iterator[tuple[Image.Image, float, float]]:
    """Pictures of a film in RGB, with the second at which each comes and how long it stays."""
    try:
        if path.stat().st_size > MAX_SOURCE_BYTES:
            said = "{file} has over {most} MiB; cut it first."
            raise InvalidRequest(Message(said, file=path.name[-60:], most=MAX_SOURCE_BYTES // 2**20), "restyle")
        found = False
        for item in _by_pillow(path) if _is_pillows(path) else _by_av(path):
            found = True
            yield item
        if not found:
            raise InvalidRequest(Message("{file} has no frames.", file=path.name[-60:]), "restyle")
    except InvalidRequest:
        raise
    except Exception as exc:  # both libraries can raise nearly any exception for a malformed file
        said = "{file} cannot be read as a film; save it as MP4, GIF or WebP."
        raise InvalidRequest(Message(said, file=path.name[-60:]), "restyle") from exc


def _is_pillows(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(12).startswith(_BY_PILLOW)


def _by_pillow(path: Path) -> Iterator[tuple[Image.Image, float, float]]:
    start = 0.0
    with Image.open(path, formats=["GIF", "WEBP", "PNG"]) as film:
        _check_size(film.size, path)
        for frame in ImageSequence.Iterator(film):
            picture = frame.convert("RGBA")
            length = frame.info.get("duration", 0) / 1000 or _UNTIMED_S
            yield Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB"), start, length
            start += length


def _by_av(path: Path) -> Iterator[tuple[Image.Image, float, float]]:
    try:
        av = import_module("av")  # imported by name, since it is optional
    except ImportError as exc:
        said = "This film needs the package 'av': pip install -r requirements-film.txt, or choose a GIF or WebP."
        raise InvalidRequest(Message(said), "restyle") from exc
    with av.open(str(path)) as file:
        if not file.streams.video:
            return
        stream = file.streams.video[0]
        _check_size((stream.codec_context.width, stream.codec_context.height), path)
        length, first, before = 1 / float(stream.average_rate or 25), None, -math.inf
        for frame in file.decode(stream):
            time_s = before + length if frame.time is None else float(frame.time)
            first = time_s if first is None else first
            if time_s <= before:  # out of order
                continue
            before = time_s
            space = "ITU709" if frame.colorspace == _BT709 else None
            picture = frame.reformat(format="rgb24", src_colorspace=space).to_image()
            turned = picture.rotate(frame.rotation, expand=True) if frame.rotation else picture
            yield turned, time_s - first, length


def _check_size(size: tuple[int, int], path: Path) -> None:
    width, height = size
    if not 0 < width * height <= MAX_PIXELS:
        said = "The pictures of {file} have {size} pixels; at most {most} megapixels are allowed."
        values = Message(said, file=path.name[-60:], size=f"{width}x{height}", most=MAX_PIXELS // 10**6)
        raise InvalidRequest(values, "restyle")


def _heard(path: Path) -> bool:
    with import_module("av").open(str(path)) as file:
        return bool(file.streams.audio)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
