"""Timelapse of previews: bounded, evenly spaced, playable."""

from io import BytesIO
from itertools import pairwise

import av
import pytest
from PIL import Image

from generator.errors import InvalidRequest
from generator.images import metadata
from generator.images.timelapse import LAST_FRAME_SECONDS, Timelapse


def grey(level: int, size: tuple[int, int] = (16, 16)) -> Image.Image:
    return Image.new("RGB", size, (level, level, level))


def timelapse_of(count: int, step: int = 1, **limits: int) -> Timelapse:
    film = Timelapse(**limits)
    for level in range(count):
        film.add(grey(level * step))
    return film


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 63, 64, 65, 200, 255])
def test_frames_are_few_evenly_spread_and_end_with_the_latest(count: int) -> None:
    levels = [frame.getpixel((0, 0))[0] for frame in timelapse_of(count, max_frames=8).frames]
    assert len(levels) <= 8
    assert levels[0] == 0
    assert levels[-1] == count - 1
    gaps = {second - first for first, second in pairwise(levels[:-1])}
    assert len(gaps) <= 1
    assert len(levels) >= min(count, 4)


def test_frames_are_made_small_and_the_original_stays() -> None:
    film, frame = Timelapse(max_side_px=64), grey(9, (200, 100))
    film.add(frame)
    assert film.frames[0].size == (64, 32)
    assert frame.size == (200, 100)


def test_the_webp_plays_every_frame_and_holds_the_last() -> None:
    data = timelapse_of(5, step=60).encode("webp", recipe='{"a":1}')
    assert data == timelapse_of(5, step=60).encode("webp", recipe='{"a":1}')
    assert metadata.find_text(data) == '{"a":1}'
    with Image.open(BytesIO(data)) as film:
        assert (film.format, film.n_frames) == ("WEBP", 5)
        film.seek(4)
        film.load()
        assert film.info["duration"] == LAST_FRAME_SECONDS * 1000


@pytest.mark.parametrize("size", [(16, 16), (33, 21)])
def test_the_mp4_plays(size: tuple[int, int]) -> None:
    film = Timelapse()
    for level in (0, 120, 240):
        film.add(grey(level, size))
    data = film.encode("mp4")
    assert data == film.encode("mp4")
    with av.open(BytesIO(data)) as video:
        frames = [frame.to_image() for frame in video.decode(video=0)]
        assert video.streams.video[0].codec_context.name == "h264"
    assert frames[0].size == (size[0] // 2 * 2, size[1] // 2 * 2)
    assert len(frames) > 3
    assert abs(frames[-1].getpixel((2, 2))[0] - 240) < 10


def test_frames_of_other_sizes_are_made_to_fit_the_last() -> None:
    film = Timelapse()
    film.add(grey(1, (8, 8)))
    film.add(grey(200, (16, 16)))
    with Image.open(BytesIO(film.encode("webp"))) as image:
        assert (image.size, image.n_frames) == ((16, 16), 2)


def test_no_frames_and_no_such_format_get_a_sentence() -> None:
    with pytest.raises(InvalidRequest, match="There is no frame yet"):
        Timelapse().encode("webp")
    with pytest.raises(InvalidRequest, match="timelapse cannot be 'avi'; choose one of webp, mp4"):
        timelapse_of(2).encode("avi")
    with pytest.raises(ValueError, match="at least two frames"):
        Timelapse(max_frames=1)
