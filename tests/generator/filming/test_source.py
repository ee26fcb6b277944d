"""Films to be restyled: timing, turned pictures, odd sizes, alpha and 10 bits, and a sentence for what is no film."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from generator.cli import main as cli
from generator.errors import InvalidRequest
from generator.filming.folder import FilmFolder
from generator.filming.source import extract, look_at
from generator.models.model_set import Models
from generator.recipe import read_recipe
from generator.settings import Size
from tests.videos import music, video

RED, GREEN, BLUE = (200, 20, 20), (20, 160, 40), (20, 40, 200)


def animated(path: Path, colours: list[tuple[int, ...]], pauses_ms: list[int]) -> Path:
    frames = [Image.new("RGBA" if len(colour) == 4 else "RGB", (31, 21), colour) for colour in colours]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=pauses_ms, loop=0)
    return path


def encoded(
    path: Path, colours: list[tuple[int, ...]], pixels: str = "yuv420p", times_ms: list[int] | None = None
) -> Path:
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=10, options={"bf": "0", "crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 32, 20, pixels
        if times_ms:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number, colour in enumerate(colours):
            frame = av.VideoFrame.from_image(Image.new("RGB", (32, 20), colour))
            if times_ms:
                frame.pts, frame.time_base = times_ms[number], Fraction(1, 1000)
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    return path


def shown(path: Path, folder: Path, frames: int, fps: int) -> list[str]:
    """The nearest of three colours in the middle of each frame."""
    target = FilmFolder(folder)
    folder.mkdir()
    extract(path, target, Size(32, 16), frames, fps)
    names = []
    for number in range(frames):
        picture = target.read(target.source(number))
        assert picture.size == (32, 16)
        seen = np.asarray(picture)[8, 16].astype(int)
        colours = {"red": RED, "green": GREEN, "blue": BLUE, "white": (255, 255, 255)}
        names.append(min(colours, key=lambda name: int(np.abs(seen - colours[name]).sum())))
    return names


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_pictures_with_times_of_their_own_are_shown_at_those(tmp_path: Path, kind: str) -> None:
    path = animated(tmp_path / f"source.{kind}", [RED, GREEN, BLUE], [300, 100, 200])
    source = look_at(path)
    assert (round(source.seconds, 3), source.fps, source.heard) == (0.6, 5, False)
    assert shown(path, tmp_path / "film", 7, 10) == ["red"] * 3 + ["green"] + ["blue"] * 3


def test_transparent_pictures_stand_on_white(tmp_path: Path) -> None:
    path = animated(tmp_path / "source.webp", [(*RED, 255), (*RED, 0)], [100, 100])
    assert shown(path, tmp_path / "film", 2, 10) == ["red", "white"]


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv420p10le", "yuv444p"])
def test_an_mp4_is_read_in_its_timing(tmp_path: Path, pixels: str) -> None:
    path = encoded(tmp_path / "source.mp4", [RED, GREEN, BLUE], pixels, [0, 300, 400])
    assert shown(path, tmp_path / "film", 6, 10) == ["red"] * 3 + ["green", "blue", "blue"]


def test_an_mp4_is_turned_as_its_file_says(tmp_path: Path) -> None:
    path = video(tmp_path / "source.mp4", sound=False)
    data, upright = path.read_bytes(), struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    at = data.index(upright, data.index(b"tkhd"))
    turned = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 32 << 16, 0, 1 << 30)
    path.write_bytes(data[:at] + turned + data[at + len(turned) :])
    source = look_at(path)
    assert (source.width, source.height) == (32, 48)
    assert source.shaped(Size(256, 256)) == (208, 320)


def test_a_transparent_webm_stands_on_white(tmp_path: Path) -> None:
    path, clear = tmp_path / "source.webm", np.zeros((20, 32, 4), np.uint8)
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libvpx-vp9", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 20, "yuva420p"
        film.mux(stream.encode(av.VideoFrame.from_ndarray(clear, format="rgba").reformat(format="yuva420p")))
        film.mux(stream.encode())
    assert shown(path, tmp_path / "film", 2, 10) == ["white", "white"]


def test_a_source_longer_than_a_film_may_be_is_cut_and_said_to_be_longer(tmp_path: Path) -> None:
    source = look_at(animated(tmp_path / "source.webp", [RED, GREEN, BLUE], [60_000, 59_000, 2_000]))
    assert (source.seconds, source.longer) == (120.0, True)


def test_what_is_no_film_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"song\.wav has no frames"):
        look_at(music(tmp_path / "song.wav"))
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no film at all")
    with pytest.raises(InvalidRequest, match=r"broken\.mp4 cannot be read as a film"):
        look_at(broken)
    with pytest.raises(InvalidRequest, match=r"missing\.mp4 cannot be read"):
        look_at(tmp_path / "missing.mp4")
    whole = encoded(tmp_path / "whole.mp4", [RED] * 30).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidRequest, match=r"cut\.mp4"):
        look_at(cut)


def test_a_film_is_restyled_in_its_length_and_not_again_without_its_source(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> int:
        return cli.main(arguments, load=lambda name, device: models)

    animated(tmp_path / "source.gif", [RED, GREEN, BLUE], [200, 200, 200])
    quick = ("--size", "32x32", "--cutouts", "2", "--models", "tiny", "--frame-steps", "1", "--start", "random")
    assert run("film", "a castle", "--restyle", "source.gif", "-o", "film.webp", *quick) == 0
    with Image.open("film.webp") as film:
        film.load()
        assert film.n_frames == 3 and film.info["duration"] == 200
    plan = read_recipe(Path("film.webp").read_bytes()).request.film
    assert plan is not None and len(plan.source) == 64
    capsys.readouterr()
    assert run("again", "film.webp") == 2
    assert "restyles another" in capsys.readouterr().err
