"""Films in the making, with tiny models: frames on disk, resumption, loops, layers, and what each frame shows."""

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from generator.errors import InvalidRequest
from generator.filming.film import Film
from generator.filming.folder import FilmFolder
from generator.filming.layers import layers_of
from generator.filming.warp import seen_by, shown_of
from generator.films.camera import Camera
from generator.films.plan import FilmPlan
from generator.films.templates import plan_film
from generator.models.model_set import Models
from generator.request import GenerationRequest


@pytest.fixture
def ask(make_request: Callable[..., GenerationRequest]) -> Callable[..., GenerationRequest]:
    """A request for a film of half a second with tiny models."""

    def make(
        prompt: str = "a red apple", settings: dict[str, object] | None = None, **given: object
    ) -> GenerationRequest:
        chosen = {"start": "prior", "composition": "posed", "size": "64x64", **(settings or {})}
        request = make_request(prompt, **chosen)
        values = {"seconds": 0.5, "fps": 12, "dissolve": 0.2, "shot": 0.0, **given}
        story, plan = plan_film(prompt, {"template": "still", **values}, request.settings)
        return replace(request, prompt=story, film=replace(plan, picture_steps=1))

    return make


def finish(film: Film) -> list[bytes]:
    while not film.finished:
        film.step()
    return [path.read_bytes() for path in film.frames]


def test_a_film_goes_on_from_its_last_frame_to_the_byte(
    ask: Callable[..., GenerationRequest], models: Models, tmp_path: Path
) -> None:
    request = ask("a red apple ^ a castle", zoom="1.5", turn="20")
    whole = finish(Film(request, models, tmp_path / "whole"))
    assert len(whole) == 6 and len(set(whole)) == 6
    film = Film(request, models, tmp_path / "part")
    while film.progress.step < 3:
        film.step()
    # A kill in the middle of a shot's picture and of a file leaves no more than these.
    (tmp_path / "part" / ".half.part").write_bytes(b"half a frame")
    film = Film(request, models, tmp_path / "part")
    assert film.progress.step == 3
    assert finish(film) == whole


def test_a_folder_with_another_film_is_refused_and_kept(
    ask: Callable[..., GenerationRequest], models: Models, tmp_path: Path
) -> None:
    Film(ask(), models, tmp_path / "film")
    before = sorted(path.name for path in (tmp_path / "film").iterdir())
    with pytest.raises(InvalidRequest, match="holds another film"):
        Film(ask("a castle"), models, tmp_path / "film")
    assert sorted(path.name for path in (tmp_path / "film").iterdir()) == before


def test_a_damaged_frame_and_those_behind_it_are_painted_again(
    ask: Callable[..., GenerationRequest], models: Models, tmp_path: Path
) -> None:
    film = Film(ask(zoom="2"), models, tmp_path / "film")
    whole = finish(film)
    film.frames[3].write_bytes(whole[3][:50])
    assert FilmFolder(tmp_path / "film").sound_frames() == 3
    ended = Film(replace(ask(zoom="2"), stopped_at=3), models, tmp_path / "film")
    assert ended.finished and ended.picture().request.stopped_at == 3, "of the same film, as far as it is there"
    assert finish(Film(ask(zoom="2"), models, tmp_path / "film")) == whole


def test_a_frame_carries_only_what_the_last_one_shows() -> None:
    assert bool(shown_of(Camera().matrix(), (64, 64), (4, 4)).all())
    assert bool(shown_of(Camera(zoom=0.2, turn=5).matrix(), (64, 64), (4, 4)).all())
    away = shown_of(Camera(zoom=-math.log(2)).matrix(), (64, 64), (4, 4))[0, 0]
    assert away[1:3, 1:3].all() and away.sum() == 4, "only the middle of a frame that is twice as far"


def test_the_music_changes_the_weights_of_all_prompts_but_the_first(
    ask: Callable[..., GenerationRequest], models: Models, tmp_path: Path
) -> None:
    request = ask("a forest | fire:0.2", pulse_weight=5.0, pulse=(0.0, 1.0))
    film = Film(request, models, tmp_path / "film")
    finish(film)
    assert request.film is not None
    moment = request.film.moment(request.film.shots(1), 0.0)
    assert film._frame_request(0, moment).prompt == "a forest | fire:0.2"
    assert film._frame_request(1, moment).prompt == "a forest | fire:1.2"


@pytest.mark.parametrize(("turn", "seen"), [("360", 1), ("90", 2)])
def test_a_loop_that_comes_back_to_its_view_does_not_dissolve(
    ask: Callable[..., GenerationRequest], models: Models, tmp_path: Path, turn: str, seen: int
) -> None:
    request = ask(turn=turn, loop=True, dissolve=0.5, carry=0.0)
    assert request.film is not None
    last = request.film.moment(request.film.shots(1), 5 / 12)
    assert last.share > 0
    film = Film(request, models, tmp_path / "film")
    finish(film)
    single = film._layers(0).seen_by(last.cameras[0], request.film.depth, (64, 64)).picture()
    assert torch.equal(film._view(last), single) == (seen == 1)


def test_only_a_films_own_files_are_removed(
    ask: Callable[..., GenerationRequest], models: Models, tmp_path: Path
) -> None:
    finish(Film(ask(), models, tmp_path / "film"))
    (tmp_path / "film" / "letter.txt").write_text("mine")
    FilmFolder(tmp_path / "film").remove()
    assert [path.name for path in (tmp_path / "film").iterdir()] == ["letter.txt"]


def test_a_film_ended_early_keeps_its_frames_and_its_request_makes_them_again(
    ask: Callable[..., GenerationRequest], models: Models, tmp_path: Path
) -> None:
    film = Film(ask(zoom="2"), models, tmp_path / "film")
    while film.progress.step < 2:
        film.step()
    picture = film.picture()
    assert picture.request.stopped_at == 2
    assert finish(Film(picture.request, models, tmp_path / "again")) == [path.read_bytes() for path in film.frames]


def test_the_picture_of_a_shot_is_that_of_its_scene_alone(
    ask: Callable[..., GenerationRequest], models: Models, tmp_path: Path
) -> None:
    finish(Film(ask("a red apple ^ a castle"), models, tmp_path / "both"))
    finish(Film(ask("a castle"), models, tmp_path / "one"))
    assert (tmp_path / "both" / "shot-001.png").read_bytes() == (tmp_path / "one" / "shot-000.png").read_bytes()


def test_a_film_that_wanders_paints_one_picture_only_and_follows_the_last_frame(
    ask: Callable[..., GenerationRequest], models: Models, tmp_path: Path
) -> None:
    film = Film(ask("a red apple ^ a castle", carry=1.0), models, tmp_path / "film")
    frames = finish(film)
    assert [path.name for path in (tmp_path / "film").glob("shot-*")] == ["shot-000.png"]
    # Another last frame gives another next one, so it follows from that alone.
    shutil.copy(film.frames[0], film.frames[-2])
    film.frames[-1].unlink()
    assert finish(Film(film.request, models, tmp_path / "film"))[-1] != frames[-1]


def test_frames_in_between_are_computed_and_go_on_after_a_kill(
    ask: Callable[..., GenerationRequest], models: Models, tmp_path: Path
) -> None:
    request = ask("a red apple ^ a castle", zoom="1.5", between=2)
    whole = finish(Film(request, models, tmp_path / "film"))
    assert len(set(whole)) == 6
    for lost in (1, 2, 4):  # painted ones are 0, 3 and 5
        (tmp_path / "film" / f"frame-{lost:05}.png").unlink()
    film = Film(request, models, tmp_path / "film")
    assert film.progress.step == 1 and finish(film) == whole


def test_frames_have_the_size_of_the_picture_and_a_picture_is_no_film(
    ask: Callable[..., GenerationRequest], models: Models, tmp_path: Path
) -> None:
    film = Film(ask(settings={"size": "72x48"}), models, tmp_path / "film")
    finish(film)
    for path in film.frames:
        with Image.open(path) as image:
            assert image.size == (72, 48)
    with pytest.raises(InvalidRequest, match="not for a film"):
        Film(replace(film.request, film=None), models, tmp_path / "none")


def test_the_camera_at_rest_changes_nothing_and_a_whole_turn_neither() -> None:
    across, down = torch.meshgrid(torch.linspace(0.2, 0.8, 30), torch.linspace(0, 1, 20), indexing="xy")
    picture = torch.stack([across, down, across * down])[None]
    for camera in (Camera(), Camera(turn=360)):
        assert torch.allclose(seen_by(camera, picture, (20, 30)), picture, atol=0.01)


def test_a_thing_passes_before_its_ground_which_goes_on_behind_it(
    make_request: Callable[..., GenerationRequest], models: Models
) -> None:
    picture = torch.full((1, 3, 64, 64), 0.9)
    picture[:, :, 24:40, 24:40] = torch.tensor([0.8, 0.1, 0.1])[None, :, None, None]
    layers = layers_of(picture, make_request(), models)
    assert layers.thing is not None
    assert layers.ground.amin() > 0.8, "the ground goes on behind the thing"
    same = layers.seen_by(Camera(), 0.5, (64, 64)).picture()
    assert torch.allclose(same[..., 30:34, 30:34], picture[..., 30:34, 30:34], atol=0.02)
    moved = layers.seen_by(Camera(x=0.5), 0.5, (64, 64)).picture()
    assert moved[0, 1, 32, 10:20].mean() < 0.3, "the thing has gone 16 pixels to the left"


def test_a_plan_without_movement_needs_no_more_than_the_picture(
    ask: Callable[..., GenerationRequest], models: Models, tmp_path: Path
) -> None:
    film = Film(ask(carry=0.0), models, tmp_path / "film")
    assert len(set(finish(film))) == 1, "nothing moves, so every frame is the same"
    assert FilmPlan().frames == 48


def test_things_dissolve_in_turn_or_into_each_other(
    make_request: Callable[..., GenerationRequest], models: Models
) -> None:
    left, right = (torch.full((1, 3, 64, 64), 0.9) for _ in range(2))
    left[:, 1:, 24:40, 8:24], right[:, 1:, 24:40, 40:56] = 0.1, 0.1
    first, second = (layers_of(picture, make_request(), models) for picture in (left, right))
    assert first.thing is not None and second.thing is not None
    half = first.dissolved(second, 0.5, in_turn=True)
    assert half[:, 1].amin() > 0.8, "one is gone before the other comes"
    both = first.dissolved(second, 0.5, in_turn=False)
    assert both[0, 1, 32, 16] < 0.6 and both[0, 1, 32, 48] < 0.6
    for share, picture in ((0.0, left), (1.0, right)):
        shown = first.dissolved(second, share, in_turn=True)
        assert torch.allclose(shown[..., 30:34, 12:20], picture[..., 30:34, 12:20], atol=0.05)
