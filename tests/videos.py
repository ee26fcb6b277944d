"""Small videos and pieces of music for tests."""

import wave
from pathlib import Path

import av
import numpy as np
from PIL import Image

COLOURS = ["red", "lime", "blue", "white", "black"]


def video(path: Path, *, pictures: int = 5, sound: bool = True) -> Path:
    """Pictures of one colour each, 10 a second, 48 x 32; with a tone of .4 s."""
    times = np.arange(int(0.4 * 44_100)) / 44_100
    samples = (20_000 * np.sin(2 * np.pi * 440 * times)).astype(np.int16)[None]
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        heard = film.add_stream("aac", rate=44_100, layout="mono") if sound else None
        for number in range(pictures):
            image = Image.new("RGB", (48, 32), COLOURS[number % len(COLOURS)])
            film.mux(stream.encode(av.VideoFrame.from_image(image)))
        film.mux(stream.encode())
        if heard is not None:
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 44_100, 0
            film.mux([*heard.encode(frame), *heard.encode()])
    return path


def music(path: Path, seconds: float = 4.0, loudness: float = 0.8, rate: int = 44_100) -> Path:
    """A WAV file: a low drum twice a second from half a second on, above a soft tone."""
    times = np.arange(int(seconds * rate)) / rate
    since = (times - 0.5) % 0.5
    drum = np.sin(2 * np.pi * 60 * since) * np.exp(-since / 0.04) * (times >= 0.5)
    samples = loudness * (drum + 0.02 * np.sin(2 * np.pi * 440 * times))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32_000).astype("<i2").tobytes())
    return path
