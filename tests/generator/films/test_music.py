"""Music: beats and bands for each frame, and a sentence for files without any."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generator.errors import InvalidRequest
from generator.films.music import BANDS, RATE, pulse_of, read_music
from generator.films.plan import LISTENS_TO, FilmPlan
from generator.images.films import write_film
from tests.videos import music


@pytest.fixture
def make_music(tmp_path: Path) -> Callable[..., Path]:
    """A WAV file with a drum."""
    return lambda **values: music(tmp_path / "music.wav", **values)


def test_a_film_can_follow_the_beats_and_each_band() -> None:
    assert ("beats", *BANDS) == LISTENS_TO


def test_beats_and_bands_fall_on_their_frames(make_music: Callable[..., Path]) -> None:
    samples = read_music(make_music(), 4.0)
    beats = pulse_of(samples, 48, 12)
    assert [frame for frame, strength in enumerate(beats) if strength > 0.9] == [6, 12, 18, 24, 30, 36, 42]
    assert all(after < before or after > 0.9 for before, after in pairwise(beats[6:])), "they fade"
    assert pulse_of(samples, 48, 12, "bass")[6] > 0.9 and len(set(pulse_of(samples, 48, 12, "treble"))) > 1
    with pytest.raises(InvalidRequest, match="A film cannot follow 'drums', only beats, bass"):
        pulse_of(samples, 48, 12, "drums")


def test_music_is_cut_or_followed_by_silence_and_soft_music_counts_as_loud(make_music: Callable[..., Path]) -> None:
    path = make_music(seconds=2.0)
    assert len(read_music(path, 1.0)) == RATE and len(read_music(path, 4.0)) == 4 * RATE
    late = pulse_of(read_music(path, 4.0), 48, 12)[30:]
    assert max(late) < 0.1
    soft = pulse_of(read_music(make_music(loudness=0.05), 4.0), 48, 12)
    assert max(soft) > 0.9


def test_what_is_no_music_is_told(make_music: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"music\.wav is silent"):
        read_music(make_music(loudness=0.0), 4.0)
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(b"no music at all")
    with pytest.raises(InvalidRequest, match=r"broken\.mp3 cannot be read as music"):
        read_music(broken, 4.0)
    frame = tmp_path / "frame.png"
    Image.new("RGB", (32, 32)).save(frame)
    (film,) = write_film([frame, frame], tmp_path / "film.mp4", 12)
    with pytest.raises(InvalidRequest, match=r"film\.mp4 has no sound"):
        read_music(film, 4.0)


@pytest.mark.parametrize("kind", ["mp4", "webm"])
def test_a_film_has_the_sound_of_its_music_for_its_length(
    make_music: Callable[..., Path], tmp_path: Path, kind: str
) -> None:
    frame = tmp_path / "frame.png"
    Image.new("RGB", (32, 32)).save(frame)
    (film,) = write_film([frame] * 24, tmp_path / f"film.{kind}", 12, sound=make_music())
    heard = read_music(film, 4.0)
    loud = np.flatnonzero(np.abs(heard) > 0.2)
    assert abs(loud[0] / RATE - 0.5) < 0.03, "the first drum is where it was"
    assert loud[-1] / RATE < 2.05, "the music ends with the film"


def test_a_beat_brings_the_picture_nearer() -> None:
    plan = FilmPlan(seconds=1.0, fps=4, pulse=(0.0, 1.0), pulse_zoom=0.5, pulse_turn=10)
    shots = plan.shots(1)
    rest, beat, after = (plan.moment(shots, frame / 4).cameras[0] for frame in range(3))
    assert (round(np.exp(beat.zoom), 6), beat.turn) == (1.5, 10)
    assert rest == after and rest.turn == 0
