"""Film files: formats, colours, times, recipe inside, fitted size, and parts."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from generator.errors import GeneratorError, InvalidRequest
from generator.images import films
from generator.images.films import default_format, find_recipe, write_film
from generator.recipe import read_recipe, request_to_json
from generator.request import GenerationRequest

COLOURS = ((200, 30, 40), (30, 160, 60), (40, 60, 210), (230, 200, 40), (128, 128, 128))


@pytest.fixture
def make_frames(tmp_path: Path) -> Callable[..., list[Path]]:
    """Frames on disk: even colours, or noise."""

    def make(count: int = 5, size: tuple[int, int] = (64, 48), noise: bool = False) -> list[Path]:
        random, paths = np.random.default_rng(0), []
        for number in range(count):
            path = tmp_path / f"frame-{number:05}.png"
            pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
            (Image.fromarray(pixels) if noise else Image.new("RGB", size, COLOURS[number % 5])).save(path)
            paths.append(path)
        return paths

    return make


@pytest.mark.parametrize("kind", ["mp4", "webm"])
def test_a_film_has_its_frames_at_their_times_in_their_colours(
    make_frames: Callable[..., list[Path]], tmp_path: Path, kind: str
) -> None:
    (path,) = write_film(make_frames(size=(65, 47)), tmp_path / f"film.{kind}", 12)
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        context = stream.codec_context
        assert (context.width, context.height, context.pix_fmt) == (66, 48, "yuv420p")
        assert stream.average_rate == Fraction(12) or kind == "webm"
        tags = (context.colorspace, context.color_primaries, context.color_trc, context.color_range)
        assert tags == (1, 1, 1, 1), "BT.709, limited range"
        shown = list(film.decode(stream))
    assert [round(float(frame.time) * 12) for frame in shown] == [0, 1, 2, 3, 4]
    for frame, colour in zip(shown, COLOURS, strict=True):
        rgb = frame.reformat(format="rgb24", src_colorspace="ITU709").to_ndarray()
        assert np.abs(rgb[24, 32].astype(int) - colour).max() <= 6
        assert np.abs(rgb[24, 65].astype(int) - colour).max() <= 12, "the odd side goes on"


def test_the_index_of_an_mp4_stands_in_front_so_that_it_plays_while_it_loads(
    make_frames: Callable[..., list[Path]], tmp_path: Path
) -> None:
    (path,) = write_film(make_frames(), tmp_path / "film.mp4", 12)
    data = path.read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")


@pytest.mark.parametrize("kind", films.FORMATS)
def test_the_recipe_is_in_the_file_and_the_same_frames_give_the_same_bytes(
    make_frames: Callable[..., list[Path]], tmp_path: Path, kind: str
) -> None:
    request = GenerationRequest(prompt="a red apple <at> “night”")
    frames, recipe = make_frames(), request_to_json(request)
    (path,) = write_film(frames, tmp_path / f"one.{kind}", 10, recipe)
    assert read_recipe(path.read_bytes()).request == request
    if kind != "webm":  # Matroska draws a number by lot for each file
        assert write_film(frames, tmp_path / f"two.{kind}", 10, recipe)[0].read_bytes() == path.read_bytes()


def test_an_animated_webp_repeats_and_its_times_do_not_drift(
    make_frames: Callable[..., list[Path]], tmp_path: Path
) -> None:
    (path,) = write_film(make_frames(12), tmp_path / "film.webp", 12)
    with Image.open(path) as film:
        assert film.n_frames == 12 and film.info["loop"] == 0
        pauses = []
        for number in range(12):
            film.seek(number)
            film.load()
            pauses.append(film.info["duration"])
    assert sum(pauses) == 1000 and set(pauses) == {83, 84}


@pytest.mark.parametrize("kind", films.FORMATS)
def test_a_film_is_fitted_to_a_size_by_its_quality(
    make_frames: Callable[..., list[Path]], tmp_path: Path, kind: str
) -> None:
    frames = make_frames(24, size=(96, 96), noise=True)
    free = write_film(frames, tmp_path / f"free.{kind}", 12)[0].stat().st_size
    (path,) = write_film(frames, tmp_path / f"small.{kind}", 12, most_bytes=free // 2)
    assert path.stat().st_size <= free // 2
    if kind != "webp":
        with av.open(str(path)) as film:
            assert sum(1 for _ in film.decode(video=0)) == 24, "no frame is dropped"


def test_a_film_too_long_for_its_size_comes_in_parts(make_frames: Callable[..., list[Path]], tmp_path: Path) -> None:
    frames = make_frames(60, size=(128, 128))
    parts = write_film(frames, tmp_path / "film.mp4", 12, most_bytes=5000)
    assert [path.name for path in parts] == [f"film-{number}.mp4" for number in range(1, len(parts) + 1)]
    assert len(parts) > 1
    shown = 0
    for path in parts:
        with av.open(str(path)) as film:
            shown += sum(1 for _ in film.decode(video=0))
    assert shown == 60


def test_without_pyav_films_are_webp_and_a_sentence_says_so(
    make_frames: Callable[..., list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(films.__dict__, "import_module", _without_av)
    assert default_format() == "webp"
    with pytest.raises(InvalidRequest, match=r"need the package 'av': pip install -r requirements-film\.txt"):
        write_film(make_frames(), tmp_path / "film.mp4", 12)
    assert write_film(make_frames(), tmp_path / "film.webp", 12)[0].exists()


def _without_av(name: str) -> object:
    raise ImportError(name)


def test_a_damaged_frame_and_a_missing_folder_are_told_and_leave_nothing(
    make_frames: Callable[..., list[Path]], tmp_path: Path
) -> None:
    frames = make_frames()
    frames[2].write_bytes(b"no picture")
    with pytest.raises(GeneratorError, match=r"The film film\.mp4 cannot be written"):
        write_film(frames, tmp_path / "film.mp4", 12)
    with pytest.raises(InvalidRequest, match="There is no frame yet"):
        write_film([], tmp_path / "film.mp4", 12)
    with pytest.raises(InvalidRequest, match="A film cannot be 'gif'"):
        write_film(frames, tmp_path / "film.gif", 12)
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".png"]


@pytest.mark.parametrize("text", [b"", b"x ", b"99999999999 {}", b"50 {}", b"3 \xff\xff\xff"])
def test_a_broken_recipe_in_a_film_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidRequest, match="The recipe in this film is broken"):
        find_recipe(b"...." + films.MARK + text)
    assert find_recipe(b"nothing") is None
