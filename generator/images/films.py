"""Film files from frames on disk, one frame in memory at a time: MP4, WebM or animated WebP, with the recipe inside.

MP4 and WebM are written by PyAV, an optional requirement (requirements-film.txt); WebP by Pillow. Sizes are even, as
yuv420p wants them, and colours are BT.709, both converted and tagged, so that players show those of the frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from importlib import import_module
from itertools import chain, pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from uuid import uuid4

from PIL import Image

from generator.errors import GeneratorError, InvalidRequest
from generator.images import metadata
from generator.messages import Message

FORMATS = ("mp4", "webm", "webp")
MARK = b"reverie:recipe "
"""Text in a film file after which its recipe stands."""

_BT709 = 1
_LIMITED_RANGE = 1
_HEADERS_BYTES = 4096
_SOUND_RATE, _SOUND_BITS = 48_000, 160_000
_LEAST_BITS_PER_PIXEL = 0.02
"""Below this a film looks like porridge; it is better cut into parts."""
_WEBP_QUALITIES = (85, 70, 55, 40, 25)


class _Sound(NamedTuple):
    """The sound of a file from a second on."""

    path: Path
    start_s: float

    def pieces(self, seconds: float) -> Iterator[Any]:
        """Its frames for so many seconds; samples are counted, since the times in some files are wrong."""
        import numpy as np

        av = _encoder()
        skipped, wanted, done = int(self.start_s * _SOUND_RATE), int(seconds * _SOUND_RATE), 0
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=_SOUND_RATE)
        with av.open(str(self.path)) as file:
            for frame in chain(file.decode(audio=0), [None]):
                for piece in resampler.resample(frame):
                    samples = piece.to_ndarray()
                    left_out, skipped = min(skipped, samples.shape[1]), max(0, skipped - samples.shape[1])
                    samples = np.ascontiguousarray(samples[:, left_out : left_out + wanted - done])
                    if not samples.shape[1]:
                        continue
                    heard = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
                    heard.sample_rate, heard.pts, heard.time_base = _SOUND_RATE, done, Fraction(1, _SOUND_RATE)
                    done += samples.shape[1]
                    yield heard
                if done >= wanted:
                    return


class _Codec(NamedTuple):
    """Codecs of a container for pictures and sound, and options at a constant quality and otherwise."""

    name: str
    quality: Mapping[str, str]
    options: Mapping[str, str]
    sound: str


_CODECS = {
    "mp4": _Codec("libx264", {"crf": "18"}, {"threads": "1", "bf": "0"}, "aac"),
    "webm": _Codec(
        "libvpx-vp9",
        {"crf": "28"},
        {"threads": "1", "deadline": "realtime", "cpu-used": "6", "row-mt": "0", "lag-in-frames": "0"},
        "libopus",
    ),
}


def default_format() -> str:
    """MP4, or WebP where PyAV is not installed."""
    return "webp" if _av() is None else "mp4"


def check_format(file_format: str) -> None:
    """Check, before a film is painted, that a file of this format can be written.

    Raises:
        InvalidRequest: for a format that is not one of FORMATS, and for MP4 and WebM without PyAV.
    """
    if file_format not in FORMATS:
        said = "A film cannot be {given}; choose one of {choices}."
        raise InvalidRequest(Message(said, given=repr(file_format[:20]), choices=", ".join(FORMATS)), "format")
    if file_format != "webp":
        _encoder()


def write_film(
    frames: Sequence[Path],
    path: Path,
    fps: int,
    recipe: str | None = None,
    *,
    most_bytes: int | None = None,
    sound: Path | None = None,
) -> tuple[Path, ...]:
    """Write the frames as a film in the format of the path's ending; the same frames give the same bytes.

    A film that would have more than `most_bytes` gets a lower bit rate; one that would not look like a film then is
    cut into parts, `NAME-1.mp4`, `NAME-2.mp4` and so on. Returns the files. `sound` is a file whose sound an MP4 or
    WebM gets, as long as the film; WebP has none.

    Raises:
        InvalidRequest: for no frames or another format.
        GeneratorError: without PyAV, or if a file cannot be read or written.
    """
    file_format = path.suffix.lower().removeprefix(".")
    check_format(file_format)
    if not frames:
        raise InvalidRequest(Message("There is no frame yet, so there is no film."), "film")
    try:
        parts = _parts(frames, fps, file_format, most_bytes)
        if len(parts) == 1:
            _write(frames, path, fps, file_format, recipe, most_bytes, _Sound(sound, 0.0) if sound else None)
            return (path,)
        paths = tuple(path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(1, len(parts) + 1))
        begun = 0
        for part, place in zip(parts, paths, strict=True):
            _write(part, place, fps, file_format, recipe, most_bytes, _Sound(sound, begun / fps) if sound else None)
            begun += len(part)
        return paths
    except OSError as exc:
        said = "The film {file} cannot be written: {reason}."
        raise GeneratorError(Message(said, file=path.name[-60:], reason=exc.strerror or str(exc)[:200])) from exc


def find_recipe(data: bytes) -> str | None:
    """The recipe in an MP4 or WebM file; None if there is none. Nothing is decoded."""
    at = data.find(MARK)
    if at < 0:
        return None
    text = data[at + len(MARK) : at + len(MARK) + metadata.MAX_TEXT_BYTES]
    digits, _, rest = text.partition(b" ")
    if not digits.isdigit() or len(digits) > 9 or int(digits) > len(rest):
        raise InvalidRequest(Message("The recipe in this film is broken."), "recipe")
    try:
        return rest[: int(digits)].decode("ascii")
    except UnicodeDecodeError as exc:
        raise InvalidRequest(Message("The recipe in this film is broken."), "recipe") from exc


def _parts(frames: Sequence[Path], fps: int, file_format: str, most_bytes: int | None) -> Sequence[Sequence[Path]]:
    if most_bytes is None or file_format == "webp":
        return [frames]
    with Image.open(frames[0]) as first:
        width, height = first.size
    each = max(1, int((most_bytes - _HEADERS_BYTES) * 8 / (width * height * _LEAST_BITS_PER_PIXEL)))
    count = -(-len(frames) // each)
    length = -(-len(frames) // count)
    return [frames[at : at + length] for at in range(0, len(frames), length)]


def _write(
    frames: Sequence[Path],
    path: Path,
    fps: int,
    file_format: str,
    recipe: str | None,
    most_bytes: int | None,
    sound: _Sound | None,
) -> None:
    """Write one file: beside, then renamed."""
    beside = path.with_name(f".{uuid4().hex}.part")
    try:
        if file_format == "webp":
            for quality in _WEBP_QUALITIES:
                _webp(frames, beside, fps, recipe, quality)
                if most_bytes is None or beside.stat().st_size <= most_bytes:
                    break
        else:
            _encode(frames, beside, fps, file_format, recipe, None, sound)
            budget = most_bytes
            for _ in range(3):
                if most_bytes is None or budget is None or beside.stat().st_size <= most_bytes:
                    break
                bits = int((budget - _HEADERS_BYTES) * 8 * 0.92 * fps / len(frames))
                bits -= 0 if sound is None else _SOUND_BITS
                _encode(frames, beside, fps, file_format, recipe, max(1000, bits), sound)
                budget = budget * 3 // 4
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _encode(
    frames: Sequence[Path],
    path: Path,
    fps: int,
    file_format: str,
    recipe: str | None,
    bit_rate: int | None,
    sound: _Sound | None,
) -> None:
    av, codec = _encoder(), _CODECS[file_format]
    options = dict(codec.options) if bit_rate else {**codec.options, **codec.quality}
    with Image.open(frames[0]) as first:
        size = tuple(side + side % 2 for side in first.size)
    flags = {"movflags": "faststart"} if file_format == "mp4" else {}
    try:
        with av.open(str(path), "w", format=file_format, options=flags) as film:
            if recipe is not None:
                film.metadata["comment"] = f"{MARK.decode()}{len(recipe)} {recipe}"
            stream = film.add_stream(codec.name, rate=Fraction(fps), options=options)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            context = stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            context.color_range = _LIMITED_RANGE
            if bit_rate:
                stream.bit_rate = bit_rate
            heard = film.add_stream(codec.sound, rate=_SOUND_RATE, layout="stereo") if sound else None
            if heard is not None:
                heard.bit_rate = _SOUND_BITS
            pieces = sound.pieces(len(frames) / fps) if sound else iter(())
            for number, image in enumerate(_images(frames, (size[0], size[1])), 1):
                frame = av.VideoFrame.from_image(image)
                film.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
                _mux_until(film, heard, pieces, number * _SOUND_RATE / fps)
            film.mux(stream.encode())
            _mux_until(film, heard, pieces, math.inf)
            if heard is not None:
                film.mux(heard.encode())
    except av.error.FFmpegError as exc:
        said = "The film {file} cannot be written: {reason}."
        raise GeneratorError(Message(said, file=path.name[-60:], reason=str(exc)[:200])) from exc


def _mux_until(film: Any, stream: Any, pieces: Iterator[Any], sample: float) -> None:  # noqa: ANN401 - PyAV's own
    """Write sound into a film up to a sample."""
    for piece in pieces:
        film.mux(stream.encode(piece))
        if piece.pts >= sample:
            return


def _webp(frames: Sequence[Path], path: Path, fps: int, recipe: str | None, quality: int) -> None:
    """Write an animated WebP that repeats for ever. Times are summed before they are rounded to milliseconds."""
    starts = [round(1000 * number / fps) for number in range(len(frames) + 1)]
    pauses = [end - start for start, end in pairwise(starts)]
    xmp = b"" if recipe is None else metadata.xmp_packet(recipe)
    options = {"save_all": True, "duration": pauses, "loop": 0, "quality": quality, "method": 2, "xmp": xmp}
    with path.open("wb") as file:
        _Frames(frames).save(file, "WEBP", **options)


class _Frames(Image.Image):
    """Frames on disk as one animated picture, of which Pillow asks one frame at a time."""

    def __init__(self, frames: Sequence[Path]) -> None:
        super().__init__()
        self._frames, self.n_frames, self._at = frames, len(frames), -1
        self.seek(0)

    def seek(self, frame: int) -> None:
        """Load a frame."""
        if frame != self._at:
            with Image.open(self._frames[frame], formats=["PNG"]) as image:
                loaded = image.convert("RGB")
            self.im, self._mode, self._size, self._at = loaded.im, loaded.mode, loaded.size, frame

    def tell(self) -> int:
        """Number of the loaded frame."""
        return self._at


def _images(frames: Sequence[Path], size: tuple[int, int]) -> Iterator[Image.Image]:
    """The frames; an odd side repeats its last row."""
    for path in frames:
        with Image.open(path, formats=["PNG"]) as image:
            picture = image.convert("RGB")
        if picture.size != size:
            whole = picture.resize(size, Image.Resampling.BICUBIC)
            whole.paste(picture)
            picture = whole
        yield picture


def _av() -> ModuleType | None:
    try:
        return import_module("av")  # imported by name, since it is optional
    except ImportError:
        return None


def _encoder() -> ModuleType:
    found = _av()
    if found is None:
        said = "Films as MP4 and WebM need the package 'av': pip install -r requirements-film.txt, or choose webp."
        raise InvalidRequest(Message(said), "format")
    return found
