"""Timelapse: previews, thinned out evenly, as an animated WebP or an MP4. Any thread; one at a time.

MP4 is written by PyAV: of the two maintained packages with an encoder it is the smaller one (`av` unpacks to 106 MB,
`imageio-ffmpeg` to 173 MB), and the one that works in memory and in this process. It is imported at the first MP4.
"""

from __future__ import annotations

from fractions import Fraction
from importlib import import_module
from io import BytesIO
from types import ModuleType

from PIL import Image

from generator.errors import GeneratorError, InvalidRequest
from generator.images import metadata

FORMATS = ("webp", "mp4")
SECONDS = 6.0
LAST_FRAME_SECONDS = 1.5
MAX_FRAMES = 120
MAX_SIDE_PX = 512

_MP4_FRAMES_PER_SECOND = 24


class Timelapse:
    """Collector of previews: keeps at most `max_frames`, evenly spaced, no larger than max_side_px.

    The memory is bounded: by default 120 frames of 512x512, 94 MB.
    """

    def __init__(self, max_frames: int = MAX_FRAMES, max_side_px: int = MAX_SIDE_PX) -> None:
        if max_frames < 2 or max_side_px < 2:
            raise ValueError("a timelapse has at least two frames of at least two pixels a side")
        self._max_frames, self._max_side_px = max_frames, max_side_px
        self._frames: list[Image.Image] = []
        self._latest: Image.Image | None = None
        self._every, self._seen = 1, 0

    @property
    def frames(self) -> tuple[Image.Image, ...]:
        """Return the kept frames in order, with the latest one last."""
        kept = list(self._frames)
        if self._latest is not None and (not kept or kept[-1] is not self._latest):
            kept.append(self._latest)
        return tuple(kept)

    def add(self, frame: Image.Image) -> None:
        """Add the next preview; beyond `max_frames`, drop every other frame, past and future."""
        small = frame.convert("RGB")
        small.thumbnail((self._max_side_px, self._max_side_px), Image.Resampling.BICUBIC)
        if self._seen % self._every == 0:
            if len(self._frames) >= self._max_frames - 1:
                del self._frames[1::2]
                self._every *= 2
            if self._seen % self._every == 0:
                self._frames.append(small)
        self._latest = small
        self._seen += 1

    def encode(self, file_format: str, recipe: str | None = None) -> bytes:
        """Encode the timelapse so far; the last frame is held longer. WebP carries `recipe` as pictures do.

        Raises:
            InvalidRequest: for a format that is not one of FORMATS, and if there is no frame.
            GeneratorError: for MP4 without PyAV.
        """
        if file_format not in FORMATS:
            raise InvalidRequest(
                f"timelapse cannot be {file_format[:20]!r}; choose one of {', '.join(FORMATS)}.", "timelapse"
            )
        frames = self.frames
        if not frames:
            raise InvalidRequest("There is no frame yet, so there is no timelapse.", "timelapse")
        frames = tuple(_same_size(frame, frames[-1].size) for frame in frames)
        return _webp(frames, recipe) if file_format == "webp" else _mp4(frames)


def check_available(file_format: str) -> None:
    """Check, before the dream begins, that a timelapse of this format can be written.

    Raises:
        GeneratorError: for MP4 without PyAV.
    """
    if file_format == "mp4":
        _encoder()


def _same_size(frame: Image.Image, size: tuple[int, int]) -> Image.Image:
    return frame if frame.size == size else frame.resize(size, Image.Resampling.BICUBIC)


def _webp(frames: tuple[Image.Image, ...], recipe: str | None) -> bytes:
    pause_ms = round(1000 * SECONDS / len(frames))
    pauses_ms = [pause_ms] * (len(frames) - 1) + [round(1000 * LAST_FRAME_SECONDS)]
    xmp = b"" if recipe is None else metadata.xmp_packet(recipe)
    out = BytesIO()
    frames[0].save(
        out, "WEBP", save_all=True, append_images=frames[1:], duration=pauses_ms, loop=0, quality=80, method=2, xmp=xmp
    )
    return out.getvalue()


def _mp4(frames: tuple[Image.Image, ...]) -> bytes:
    """Encode H.264 in yuv420p, which every browser plays; sides are even, and one thread makes the bytes repeatable."""
    av = _encoder()
    rate = min(_MP4_FRAMES_PER_SECOND, max(1, round(len(frames) / SECONDS)))
    frames = (*frames, *[frames[-1]] * round(rate * LAST_FRAME_SECONDS))
    width, height = (max(2, side // 2 * 2) for side in frames[0].size)
    out = BytesIO()
    with av.open(out, "w", format="mp4") as film:
        stream = film.add_stream("libx264", rate=Fraction(rate), options={"crf": "20", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            film.mux(stream.encode(av.VideoFrame.from_image(_same_size(frame, (width, height)))))
        film.mux(stream.encode())
    return out.getvalue()


def _encoder() -> ModuleType:
    try:
        return import_module("av")  # imported by name, since most installations lack its 118 MB
    except ImportError as exc:
        raise GeneratorError("MP4 needs the package 'av': pip install av==18.1.0, or make a WebP timelapse.") from exc
