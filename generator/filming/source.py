"""A film to be restyled: GIF, animated WebP and APNG by Pillow, the rest by PyAV; its frames go to disk one by one.

The source keeps its timing: for each frame of the new film, the picture that the source shows at that time is taken,
whatever its own rate. Pictures are turned as their file says, laid over white, and fitted to the size of the film.
A stranger's file is only read in a process of its own: see generator.filming.apart.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from PIL import Image, ImageSequence

from generator.errors import InvalidRequest
from generator.filming.folder import FilmFolder
from generator.films.plan import MAX_SECONDS
from generator.images.files import MAX_PIXELS, fit
from generator.messages import Message
from generator.settings import Size

MAX_SOURCE_BYTES = 2**29
RESTYLED_CARRY = 0.3
_BY_PILLOW = re.compile(rb"GIF8|RIFF....WEBP|\x89PNG", re.DOTALL)
_BT709 = 1
_MOST_FPS = 30
_LONGEST = 3
"""Longer side of a restyled film at most, in shorter sides."""
_GRAIN_PX = 16
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Decoders that keep transparency, by those that do not."""
_UNTIMED_S = 0.1
"""Time of a picture whose file gives none, as browsers show it."""


_LEAST_S, _ROUNDING_S = 0.5, 0.05

Picture = Callable[[], Image.Image]
"""Converts a picture of the film to RGB."""


class Source(NamedTuple):
    """A film to be restyled.

    Attributes:
        digest: SHA-256 of its file.
        seconds: its length, at most MAX_SECONDS.
        fps: pictures a second on average, from 1 to 30.
        heard: it has sound.
        longer: it goes on behind those seconds.
        width, height: of its first picture, turned as the file says.
    """

    digest: str
    seconds: float
    fps: int
    heard: bool
    longer: bool
    width: int
    height: int

    def values(self) -> dict[str, object]:
        """Values of the plan of a film that restyles this one, as far as none are given."""
        values: dict[str, object] = {"template": "still", "carry": RESTYLED_CARRY, "source": self.digest}
        return {**values, "seconds": self.seconds, "fps": self.fps}

    def shaped(self, size: Size) -> Size:
        """The size with the same number of pixels in the shape of this film."""
        ratio = min(_LONGEST, max(1 / _LONGEST, self.width / self.height))
        area = size.width * size.height
        width, height = (round(math.sqrt(part) / _GRAIN_PX) * _GRAIN_PX for part in (area * ratio, area / ratio))
        return Size(max(_GRAIN_PX * 2, width), max(_GRAIN_PX * 2, height))


def look_at(path: Path) -> Source:
    """Length, rate and sound of a film.

    Raises:
        InvalidRequest: if it cannot be read or has no frames.
    """
    count, end, size = 0, 0.0, (0, 0)
    for picture, start, length in _pictures(path):
        size = size if count else picture().size
        count, end = count + 1, start + length
        if end > MAX_SECONDS + _ROUNDING_S:
            break
    fps = min(_MOST_FPS, max(1, round(count / end)))
    seconds, longer = max(_LEAST_S, min(end, MAX_SECONDS)), end > MAX_SECONDS + _ROUNDING_S
    return Source(_digest(path), seconds, fps, not _is_pillows(path) and _heard(path), longer, *size)


def extract(path: Path, folder: FilmFolder, size: Size, frames: int, fps: int) -> None:
    """Write the pictures that a film shows at the times of the new film's frames into its folder.

    A source that breaks off goes on with its last picture.

    Raises:
        InvalidRequest: as `look_at`.
        GeneratorError: if the disk does not take them.
    """
    number, last = 0, _none
    for picture, start, _ in _pictures(path):
        number = _write_until(folder, number, min(frames, math.ceil((start - 1e-6) * fps)), last, size)
        if number >= frames:
            return
        last = picture
    _write_until(folder, number, frames, last, size)


def _write_until(folder: FilmFolder, number: int, end: int, picture: Picture, size: Size) -> int:
    """Write a picture as the frames from a number to before an end; return the number of the next one."""
    if number < end:
        shown = fit(picture(), size)
        for frame in range(number, end):
            folder.write(folder.source(frame), shown)
    return max(number, end)


def _none() -> Image.Image:
    raise InvalidRequest(Message("There is no frame yet, so there is no film."), "restyle")


def _pictures(path: Path) -> Iterator[tuple[Picture, float, float]]:
    """Pictures of a film, with the second at which each comes and how long it stays."""
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
        return _BY_PILLOW.match(file.read(12)) is not None


def _by_pillow(path: Path) -> Iterator[tuple[Picture, float, float]]:
    start = 0.0
    with Image.open(path, formats=["GIF", "WEBP", "PNG"]) as film:
        _check_size(film.size, path)
        for frame in ImageSequence.Iterator(film):
            picture = frame.convert("RGBA")
            length = frame.info.get("duration", 0) / 1000 or _UNTIMED_S
            yield partial(_on_white, picture), start, length
            start += length


def _on_white(picture: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


def _by_av(path: Path) -> Iterator[tuple[Picture, float, float]]:
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
        for frame in _decoded(av, file, stream):
            time_s = before + length if frame.time is None else float(frame.time)
            first = time_s if first is None else first
            if time_s <= before:  # out of order
                continue
            before = time_s
            _check_size((frame.width, frame.height), path)  # it may change within a file
            yield partial(_in_rgb, frame), time_s - first, length


def _decoded(av: ModuleType, file: Any, stream: Any) -> Iterator[Any]:  # noqa: ANN401 - PyAV's own
    """Frames of a film; the usual decoder of WebM leaves its transparency out."""
    whole = _WITH_ALPHA.get(stream.codec_context.name)
    if whole is None or stream.metadata.get("alpha_mode") != "1":
        yield from file.decode(stream)
        return
    decoder = av.CodecContext.create(whole, "r")
    for packet in file.demux(stream):
        yield from decoder.decode(packet)


def _in_rgb(frame: Any) -> Image.Image:  # noqa: ANN401 - PyAV's own
    space = "ITU709" if frame.colorspace == _BT709 else None
    clear = any(component.is_alpha for component in frame.format.components)
    pixels = frame.reformat(format="rgba" if clear else "rgb24", src_colorspace=space).to_ndarray()
    picture = _on_white(Image.fromarray(pixels)) if clear else Image.fromarray(pixels)
    return picture.rotate(frame.rotation, expand=True) if frame.rotation else picture


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
