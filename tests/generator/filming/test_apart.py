"""Films and music of strangers, read in a separate process: the same as here, with the same sentences."""

import subprocess
import sys
import wave
from pathlib import Path

import pytest

from generator.errors import InvalidRequest
from generator.filming.apart import UntrustedFilm
from generator.filming.folder import FilmFolder
from generator.filming.source import extract, look_at
from generator.films.music import pulse_of, read_music
from generator.images.sandbox import environment
from generator.settings import Size
from tests.videos import music, video


def test_a_film_is_read_as_it_would_be_here(tmp_path: Path) -> None:
    path = video(tmp_path / "1.mp4")
    film = UntrustedFilm(path, "cat.mp4")
    assert film.look() == look_at(path)
    film.extract(tmp_path / "apart", Size(32, 32), 5, 10)
    here = FilmFolder(tmp_path / "here")
    here.path.mkdir()
    extract(path, here, Size(32, 32), 5, 10)
    for number in range(5):
        assert (tmp_path / "apart" / here.source(number).name).read_bytes() == here.source(number).read_bytes()
    with wave.open(str(film.hear(tmp_path / "apart", 0.25))) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getnframes()) == (48_000, 2, 12_000)


def test_music_is_heard_as_it_would_be_here(tmp_path: Path) -> None:
    path = music(tmp_path / "1.wav")
    expected = pulse_of(read_music(path, 2.0), 24, 12, "bass")
    assert UntrustedFilm(path, "song.wav").pulse(2.0, 24, 12, "bass") == expected


def test_refusals_name_the_file_as_the_person_does(tmp_path: Path) -> None:
    path = tmp_path / "1.bin"
    path.write_bytes(b"no film at all")
    with pytest.raises(InvalidRequest, match=r"^cat\.mp4 cannot be read as a film") as refused:
        UntrustedFilm(path, "cat.mp4").look()
    assert refused.value.field == "restyle"
    with pytest.raises(InvalidRequest, match=r"^song\.mp3 cannot be read as music"):
        UntrustedFilm(path, "song.mp3").hear(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows bounds no memory in this way")
def test_the_process_is_bounded(tmp_path: Path) -> None:
    show = (
        "import sys; from generator.filming import apart\n"
        "apart.look_at = lambda path: bytearray(5 * 2**30)\n"
        "sys.argv = ['apart', 'look', 'x']; apart.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", show],
        capture_output=True,
        text=True,
        env=environment() | {"PYTHONPATH": "."},
        check=False,
    )
    assert done.stderr.endswith("MemoryError\n")
