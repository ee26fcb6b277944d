"""Plans of films: keyframes, shots, camera, templates, and one sentence for each mistake."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest

from generator.errors import InvalidRequest
from generator.films.camera import Camera
from generator.films.keyframes import Track, parse_track, split_times
from generator.films.plan import FilmPlan, read_plan
from generator.films.prompts import blended_prompt
from generator.films.templates import TEMPLATES, plan_film
from generator.prompts import parse_story
from generator.recipe import request_from_json, request_to_json
from generator.request import GenerationRequest
from generator.settings import Settings

POSED = Settings().merged({"start": "prior", "composition": "posed", "steps": 2})


def test_a_curve_passes_through_its_keys_and_never_beyond_them() -> None:
    track = parse_track("zoom", "0s: 1 ^ 2s: 3 ^ 2.5s: 3 ^ 4s: 0,5", 4)
    assert [track.at(time_s) for time_s in (0, 2, 2.5, 4)] == [1, 3, 3, 0.5]
    values = [track.at(n / 50) for n in range(-10, 250)]
    assert min(values) >= 0.5 and max(values) <= 3
    assert max(abs(b - a) for a, b in pairwise(values)) < 0.1, "it jumps"


def test_two_keys_are_a_straight_line_and_one_number_is_where_it_ends() -> None:
    assert parse_track("turn", "90", 4).at(1) == pytest.approx(22.5)
    assert parse_track("zoom", "3", 4).at(2) == pytest.approx(2), "the zoom rests at 1"


def test_times_are_taken_out_of_a_prompt() -> None:
    assert split_times("0s: a forest ^ 4,5s: a city: at night") == ("a forest ^ a city: at night", (0.0, 4.5))
    assert split_times("a forest ^ 4s: a city") == ("a forest ^ a city", (0.0, 4.0))
    assert split_times("a clock that shows 10:30") == ("a clock that shows 10:30", ())


@pytest.mark.parametrize(
    ("prompt", "given", "sentence"),
    [
        ("0s: a ^ 4s: b ^ 2s: c", {}, "The keyframes of prompt are out of order: 2 s comes after 4 s."),
        ("0s: a ^ b", {}, "Give every scene of the film a time"),
        ("0s: a ^ 9s: b", {"seconds": 5.0}, "prompt has a keyframe at 9 s, and the film ends after 5 s."),
        ("a", {"zoom": "0s: 1 ^ 9s: 2"}, "zoom has a keyframe at 9 s, and the film ends after 4 s."),
        ("a", {"zoom": "0s: 1 ^ fast"}, "zoom cannot be 'fast'"),
        ("a", {"zoom": "0"}, "zoom must be from 1e-12 to 1e+12, not 0.0."),
        ("a", {"tilt": "80"}, "tilt must be from -60 to 60, not 80.0."),
        ("a", {"template": "explode"}, "There is no template 'explode', only zoom in,"),
        ("a", {"seconds": 4000.0}, "seconds must be a number from 0.5 to 120, not 4000.0."),
        ("a", {"fps": 0}, "fps must be a whole number from 1 to 30, not 0."),
        ("a", {"seconds": 0.5, "fps": 2}, "A film has from 2 to 5000 frames; 0.5 s at 2 a second are 1."),
        ("a", {"turn": "^".join(["1s: 2"] * 65)}, "turn has 65 keyframes; at most 64 are allowed."),
        (" ^ ".join(f"{n}s: a" for n in range(40)), {}, "The story has 40 scenes; at most 32 are allowed."),
    ],
)
def test_a_mistake_is_told_in_one_sentence(prompt: str, given: dict[str, object], sentence: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        plan_film(prompt, given, POSED)
    assert caught.value.message.startswith(sentence)


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_template_makes_a_plan_that_survives_its_recipe(name: str) -> None:
    prompt, plan = plan_film("a red apple", {"template": name, "turn": "10"}, POSED)
    request = GenerationRequest(prompt=prompt, settings=POSED, film=plan)
    again = request_from_json(request_to_json(request))
    assert again == request and again.film == plan
    assert request.settings.steps == plan.frames, "the steps of a film are its frames"
    assert plan.turn.at(plan.seconds) == 10, "what is given explicitly wins"


def test_the_recipe_of_a_picture_names_no_film_and_an_unknown_value_is_refused() -> None:
    assert "film" not in json.loads(request_to_json(GenerationRequest(prompt="a red apple")))["request"]
    with pytest.raises(InvalidRequest, match="A film has no 'colour'"):
        read_plan({"colour": 1})
    with pytest.raises(InvalidRequest, match="zoom of a film cannot be"):
        read_plan({"zoom": [[0, 1, 2]]})
    assert read_plan({}) == FilmPlan(), "what an older recipe lacks has its default"


def test_the_film_shows_each_scene_at_its_time_and_dissolves_before_it() -> None:
    plan = FilmPlan(seconds=6, times=(0.0, 4.0), dissolve=1.0, shot=0.0)
    shots = plan.shots(2)
    seen = {time_s: plan.moment(shots, time_s) for time_s in (0.0, 2.9, 3.5, 4.0, 5.9)}
    assert [(moment.shot, round(moment.share, 2)) for moment in seen.values()] == [
        (0, 0), (0, 0), (0, 0.5), (1, 0), (1, 0)
    ]  # fmt: skip


def test_long_scenes_are_shown_in_several_shots_of_their_own() -> None:
    shots = FilmPlan(seconds=12, shot=4.0).shots(1)
    assert [(shot.scene, shot.variant, shot.start, shot.anchor) for shot in shots] == [
        (0, 0, 0, 2), (0, 1, 4, 6), (0, 2, 8, 10)
    ]  # fmt: skip


@pytest.mark.parametrize("name", [name for name, item in TEMPLATES.items() if item.values(4).get("loop")])
def test_a_loop_arrives_where_it_began(name: str) -> None:
    _, plan = plan_film("a red apple", {"template": name}, POSED)
    shots = plan.shots(len(TEMPLATES[name].endings) or 1)
    first, last = plan.moment(shots, 0.0), plan.moment(shots, plan.seconds)
    assert last.share == pytest.approx(1) and last.following == first.shot == 0
    assert np.allclose(last.cameras[1].matrix(), first.cameras[0].matrix())


def test_the_camera_sees_what_its_values_say() -> None:
    def seen(camera: Camera, x: float, y: float) -> tuple[float, float]:
        point = camera.matrix() @ np.array([x, y, 1.0])
        return float(point[0] / point[2]), float(point[1] / point[2])

    assert seen(Camera(), 0.3, -0.2) == pytest.approx((0.3, -0.2))
    assert seen(Camera(zoom=math.log(2)), 0.5, 0.5) == pytest.approx((0.25, 0.25))
    assert seen(Camera(x=0.5, y=-0.1), 0, 0) == pytest.approx((0.5, -0.1))
    # The picture turns clockwise, so its left side comes up.
    assert seen(Camera(turn=90), 0, -1) == pytest.approx((-1, 0))
    tilted = Camera(tilt=30)
    assert seen(tilted, 0, 0) == pytest.approx((0, 0))
    assert seen(tilted, 1, -1)[0] > 1 > seen(tilted, 1, 1)[0], "the upper edge recedes"


def test_weights_go_from_scene_to_scene_and_text_keeps_its_meaning() -> None:
    forest, city = parse_story(r"a forest:2 | fog:-0.5 ^ a city | a ratio of 4\:3 | fog:-1.5 | room 12")
    (half,) = parse_story(blended_prompt(forest, city, 0.5))
    assert {prompt.text: prompt.weight for prompt in half.prompts} == {
        "a forest": 1.0, "fog": -1.0, "a city": 0.5, "a ratio of 4:3": 0.5, "room 12": 0.5,
    }  # fmt: skip
    assert parse_story(blended_prompt(forest, city, 0.0)) == (forest,)
    (last,) = parse_story(blended_prompt(forest, city, 1.0))
    assert set(last.prompts) == set(city.prompts)


def test_a_track_without_keys_rests() -> None:
    assert Track().at(3) == 0 and FilmPlan().moment(FilmPlan().shots(1), 3.0).cameras[0] == Camera()


def test_a_film_goes_through_pictures_of_its_own_models_only() -> None:
    apple, castle = (GenerationRequest(prompt=text, settings=POSED) for text in ("a red apple", "a castle"))
    film = GenerationRequest(prompt="a red apple ^ a castle", film=FilmPlan(), pictures=(apple, castle))
    assert request_from_json(request_to_json(film)) == film
    with pytest.raises(InvalidRequest, match="goes through 1 pictures and has 2 scenes"):
        GenerationRequest(prompt="a ^ b", film=FilmPlan(), pictures=(apple,))
    with pytest.raises(InvalidRequest, match="Only a film goes through pictures"):
        GenerationRequest(prompt="a", pictures=(apple,))
    with pytest.raises(InvalidRequest, match="of its own models"):
        GenerationRequest(prompt="a ^ b", film=FilmPlan(), pictures=(apple, film))


def test_the_scenes_of_a_template_keep_style_weights_and_what_is_to_be_avoided() -> None:
    story, plan = plan_film("a castle:2 | a watercolour | fog:-0.5", {"template": "seasons"}, POSED)
    scenes = parse_story(story)
    assert [scene.prompts[0][:2] for scene in scenes][2:] == [
        ("a castle in autumn", 2.0),
        ("a castle in the snow", 2.0),
    ]
    assert {scene.prompts[1:] for scene in scenes} == {parse_story("a watercolour | fog:-0.5 | x")[0].prompts[:2]}
    assert plan.seconds == 8
