"""Music: how loud its bands are and where its beats fall, frame by frame. NumPy only, beside PyAV for reading files.

A beat is a sudden rise of the spectrum, mostly in its low part; it fades within a third of a second. Source: spectral
flux, Bello et al., "A Tutorial on Onset Detection in Music Signals", IEEE Trans. Speech and Audio Processing 13 (2005).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from generator.errors import InvalidRequest
from generator.films.plan import LISTENS_TO
from generator.messages import Message

BANDS: Mapping[str, tuple[float, float]] = {"bass": (30, 150), "middle": (150, 2000), "treble": (2000, 8000)}
"""Hertz, from and to."""
RATE = 22_050
SOUND_RATE = 48_000
SILENT = 1e-3
"""Root mean square below which music counts as silent, of 1 at most."""
_WINDOW = 2048
_LOUD = 95
"""Percentile that counts as full strength."""
_FADE_S = 0.12


def read_music(path: Path, seconds: float) -> NDArray[np.float32]:
    """The first seconds of a music file, `[samples]` at RATE, in mono; shorter music ends in silence.

    Raises:
        InvalidRequest: if it has no sound, is silent or cannot be read, and without PyAV.
    """
    parts = [np.frombuffer(piece, np.float32) for piece in _pieces(path, seconds, "flt", "mono", RATE)]
    wanted = int(seconds * RATE)
    samples = np.concatenate(parts)[:wanted] if parts else np.zeros(0, np.float32)
    if not len(samples) or float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) < SILENT:
        raise InvalidRequest(Message("{file} is silent; choose other music.", file=path.name[-60:]), "music")
    return np.pad(samples, (0, wanted - len(samples)))


def read_sound(path: Path, seconds: float) -> Iterator[bytes]:
    """The first seconds of a file's sound, piece by piece: 16 bits, stereo, at SOUND_RATE.

    Raises:
        InvalidRequest: if it has no sound or cannot be read, and without PyAV.
    """
    return _pieces(path, seconds, "s16", "stereo", SOUND_RATE)


def _pieces(path: Path, seconds: float, kind: str, layout: str, rate: int) -> Iterator[bytes]:
    """Samples of a file's sound; all channels of each together. Samples are counted: times in some files are wrong."""
    try:
        av = import_module("av")  # imported by name, since it is optional
    except ImportError as exc:
        said = "Music needs the package 'av': pip install -r requirements-film.txt."
        raise InvalidRequest(Message(said), "music") from exc
    left = int(seconds * rate)
    try:
        with av.open(str(path)) as file:
            if not file.streams.audio:
                raise InvalidRequest(Message("{file} has no sound.", file=path.name[-60:]), "music")
            resampler = av.AudioResampler(format=kind, layout=layout, rate=rate)
            for frame in chain(file.decode(audio=0), [None]):
                for piece in resampler.resample(frame):
                    if not piece.samples:
                        continue
                    samples = piece.to_ndarray()
                    width = samples.shape[1] // piece.samples
                    yield np.ascontiguousarray(samples[:, : max(0, left) * width]).tobytes()
                    left -= piece.samples
                if left <= 0:
                    return
    except (OSError, ValueError, av.error.FFmpegError) as exc:
        said = "{file} cannot be read as music; save it as MP3, WAV, FLAC or Ogg."
        raise InvalidRequest(Message(said, file=path.name[-60:]), "music") from exc


def pulse_of(samples: NDArray[np.float32], frames: int, fps: int, listen_to: str = "beats") -> tuple[float, ...]:
    """Strength of the beats, or of a band, for each frame: 0 to 1.

    Raises:
        InvalidRequest: for anything but LISTENS_TO.
    """
    if listen_to not in LISTENS_TO:
        said = "A film cannot follow {given}, only {known}."
        known = ", ".join(LISTENS_TO)
        raise InvalidRequest(Message(said, given=repr(listen_to[:40]), known=known), "listen_to")
    spectrum = _spectrum(samples, frames, fps)
    if listen_to == "beats":
        # The logarithm weighs a soft drum like a loud one.
        loud = np.log1p(100 * spectrum[:, _bins(*BANDS["bass"])[0] : _bins(*BANDS["middle"])[1]])
        rise = np.maximum(np.diff(loud, axis=0, prepend=0), 0).sum(axis=1)
        return _fading(_scaled(rise), np.exp(-1 / (fps * _FADE_S)))
    first, last = _bins(*BANDS[listen_to])
    return tuple(map(float, _scaled(np.sqrt(np.square(spectrum[:, first:last]).mean(axis=1)))))


def _spectrum(samples: NDArray[np.float32], frames: int, fps: int) -> NDArray[np.float64]:
    """Magnitudes `[frames, bins]` around the time of each frame."""
    padded = np.pad(samples, (_WINDOW // 2, _WINDOW))
    window = np.hanning(_WINDOW)
    starts = np.round(np.arange(frames) * RATE / fps).astype(int)
    pieces = [padded[start : start + _WINDOW] for start in starts]
    cut = np.stack([np.pad(piece, (0, _WINDOW - len(piece))) for piece in pieces])
    return np.abs(np.fft.rfft(cut * window, axis=1)) / _WINDOW


def _bins(low: float, high: float) -> tuple[int, int]:
    first, last = (round(hertz * _WINDOW / RATE) for hertz in (low, high))
    return first, max(first + 1, last)


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values as shares of the loud ones, at most 1."""
    loud = float(np.percentile(values, _LOUD))
    return np.clip(values / max(loud, 1e-9), 0, 1) if values.any() else values


def _fading(values: NDArray[np.float64], kept: float) -> tuple[float, ...]:
    """Values that fall no faster than to a share of the last one."""
    found, last = list[float](), 0.0
    for value in values:
        last = max(float(value), last * float(kept))
        found.append(last)
    return tuple(found)
