"""The command `film`, end to end with tiny models: file, recipe, again, Ctrl-C and --resume, mistakes."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from generator.cli import main as cli
from generator.filming.film import Film
from generator.models.model_set import Models
from generator.recipe import read_recipe

Run = Callable[..., int]
QUICK = ("--size", "32x32", "--steps", "1", "--cutouts", "2", "--models", "tiny", "--seconds", "0.5", "--fps", "8")


@pytest.fixture
def run(models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line in an empty folder with tiny models."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: cli.main(arguments, load=lambda name, device: models)


def test_a_prompt_becomes_a_film_and_again_gives_the_same_bytes(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("0s: a red apple ^ 0.25s: a castle", "--seed", "7", "--zoom", "2", "--frame-steps", "1", "-o", "film.webp")
    assert run("film", *given, *QUICK) == 0
    assert capsys.readouterr().out == "The film is in film.webp (seed 7).\n"
    assert sorted(os.listdir()) == ["film.webp"], "the frames are gone"
    request = read_recipe(Path("film.webp").read_bytes()).request
    assert request.film is not None and request.film.times == (0, 0.25)
    assert (request.prompt, request.film.fps, request.film.picture_steps) == ("a red apple ^ a castle", 8, 1)
    with Image.open("film.webp") as film:
        assert (film.n_frames, film.size) == (4, (32, 32))
    assert run("again", "film.webp") == 0
    assert Path("film-again.webp").read_bytes() == Path("film.webp").read_bytes()


def parted(run: Run, at_two: Callable[[Film], None]) -> int:
    """Write whole.webp, then part.webp of the same film, to which `at_two` happens after two frames; its status."""
    wanted = ("film", "a red apple", "--seed", "7", "--frame-steps", "1", *QUICK)
    assert run(*wanted, "-o", "whole.webp") == 0
    plain = Film.step

    def step(film: Film) -> object:
        progress = plain(film)
        if progress.step == 2:
            at_two(film)
        return progress

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Film, "step", step)
        return run(*wanted, "-o", "part.webp")


def spoil_newest(film: Film) -> None:
    newest = film.frames[-1]
    newest.write_bytes(newest.read_bytes()[:50])


def test_a_film_stopped_by_ctrl_c_keeps_its_frames_and_goes_on(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert parted(run, lambda film: os.kill(os.getpid(), signal.SIGINT)) == 130
    out, err = capsys.readouterr()
    assert "The film so far, after 2 of 4 frames, is in part.webp" in out
    assert "python -m generator film --resume part.film" in err
    assert run("film", "--resume", "part.film", "--format", "webp", "-o", "part.webp") == 0
    assert Path("part.webp").read_bytes() == Path("whole.webp").read_bytes()


def test_a_film_that_fails_keeps_its_frames_and_goes_on(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert parted(run, spoil_newest) == 1
    err = capsys.readouterr().err
    assert "a file is damaged" in err and "python -m generator film --resume part.film" in err
    assert run("film", "--resume", "part.film", "-o", "part.webp") == 0
    assert Path("part.webp").read_bytes() == Path("whole.webp").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["a", "--template", "explode"], "There is no template 'explode'"),
        (["a", "--zoom", "0s: 1 ^ 99s: 2"], "zoom has a keyframe at 99 s"),
        (["a", "-o", "film.gif"], "A film cannot be 'gif'"),
        (["a", "-o", "film.mp4", "--format", "webp"], "'film.mp4' asks for mp4"),
        (["a", "--most-megabytes", "0"], "most-megabytes must be"),
        (["--resume", "nowhere"], "The folder nowhere holds no film."),
        (["a", "--resume", "nowhere"], "--resume goes on with the film as it was"),
        ([], "The prompt is empty"),
    ],
)
def test_a_mistake_is_one_sentence_and_loads_no_models(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["film", *arguments], load=lambda name, device: pytest.fail("models were loaded")) == 2
    err = capsys.readouterr().err
    assert err.startswith(sentence) and err.count("\n") == 1


def test_a_film_goes_through_finished_pictures_and_seeds(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    picture = ("--size", "32x32", "--cutouts", "2", "--models", "tiny", "--steps", "2")
    assert run("a red apple", "--seed", "1", "-o", "one.png", *picture) == 0
    assert run("a castle", "--seed", "2", "-o", "two.png", *picture) == 0
    quick = ("--seconds", "0.5", "--fps", "8", "--frame-steps", "1", "--carry", "0", "--dissolve", "0", "--keep-frames")
    assert run("film", "--through", "one.png", "--through", "two.png", "-o", "film.webp", *quick) == 0
    request = read_recipe(Path("film.webp").read_bytes()).request
    assert request.prompt == "a red apple ^ a castle"
    assert [item.settings.seed for item in request.pictures] == [1, 2]
    for number, name in enumerate(("one.png", "two.png")):
        with Image.open(f"film.film/shot-{number:03}.png") as shot, Image.open(name) as finished:
            assert shot.tobytes() == finished.tobytes()
    assert run("again", "film.webp") == 0
    assert Path("film-again.webp").read_bytes() == Path("film.webp").read_bytes()
    assert run("film", "a red apple", "--seeds", "1, 5", "-o", "seeds.webp", *picture, *quick) == 0
    request = read_recipe(Path("seeds.webp").read_bytes()).request
    assert [item.settings.seed for item in request.pictures] == [1, 5]
    capsys.readouterr()
    assert run("film", "--through", "one.png") == 2
    assert "goes through 2 to 32 pictures" in capsys.readouterr().err
