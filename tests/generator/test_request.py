"""Requests: valid combinations and contradictions."""

import math

import pytest

from generator.errors import InvalidRequest
from generator.prompts import Scene, TextPrompt
from generator.request import MAX_GENERATIONS, MAX_IMAGE_BYTES, MAX_IMAGE_PROMPTS, GenerationRequest, ImagePrompt
from generator.settings import Settings

PNG = b"\x89PNG\r\n\x1a\n and so on"
START_PARENT = Settings(start="parent")


def test_a_prompt_is_enough() -> None:
    request = GenerationRequest(prompt="a castle:2")
    assert request.scenes == (Scene((TextPrompt("a castle", 2.0),)),)
    assert request.generation == 0
    assert request.images == frozenset()


def test_a_picture_to_come_near_to_is_enough() -> None:
    assert GenerationRequest(image_prompts=(ImagePrompt(image=PNG),)).scenes == ()
    request = GenerationRequest(prompt="fog:-1", image_prompts=(ImagePrompt(image=PNG, weight=2, stop=1),))
    assert request.scenes == (Scene((TextPrompt("fog", -1.0),)),)
    assert isinstance(request.image_prompts[0].weight, float)


def test_something_must_pull() -> None:
    away = ImagePrompt(image=PNG, weight=-1)
    assert GenerationRequest(prompt="a castle", image_prompts=(away,)).scenes
    with pytest.raises(InvalidRequest, match="No image prompt has a positive weight"):
        GenerationRequest(image_prompts=(away,))
    with pytest.raises(InvalidRequest, match="Every weight is negative"):
        GenerationRequest(prompt="fog:-1", image_prompts=(away,))
    with pytest.raises(InvalidRequest, match="The prompt is empty"):
        GenerationRequest()


def test_an_init_image_and_its_start_go_together() -> None:
    request = GenerationRequest(prompt="a", init_image=PNG, settings=Settings(start="init"))
    assert request.images == {PNG}
    with pytest.raises(InvalidRequest, match="needs an init image"):
        GenerationRequest(prompt="a", settings=Settings(start="init"))
    with pytest.raises(InvalidRequest, match="An init image goes with start 'init', not with 'random'"):
        GenerationRequest(prompt="a", init_image=PNG)


def test_a_parent_and_its_start_go_together() -> None:
    parent = GenerationRequest(prompt="a")
    assert GenerationRequest(prompt="b", parent=parent, settings=START_PARENT).generation == 1
    for settings, wrong in ((Settings(), parent), (START_PARENT, None)):
        with pytest.raises(InvalidRequest, match="start 'parent' goes with a parent picture, and only with one"):
            GenerationRequest(prompt="b", parent=wrong, settings=settings)


def test_generations_are_bounded() -> None:
    request = GenerationRequest(prompt="a")
    for _ in range(MAX_GENERATIONS):
        request = GenerationRequest(prompt="a", parent=request, settings=START_PARENT)
    assert request.generation == MAX_GENERATIONS
    with pytest.raises(InvalidRequest, match="already goes back over 32 others"):
        GenerationRequest(prompt="a", parent=request, settings=START_PARENT)


def test_pictures_are_bounded_and_counted_once() -> None:
    large = PNG + bytes(MAX_IMAGE_BYTES // 2)
    prompts = tuple(ImagePrompt(image=large) for _ in range(MAX_IMAGE_PROMPTS))
    assert GenerationRequest(image_prompts=prompts).images == {large}
    with pytest.raises(InvalidRequest, match="take over 16 MiB"):
        GenerationRequest(image_prompts=(ImagePrompt(image=large), ImagePrompt(image=large + b"1")))
    with pytest.raises(InvalidRequest, match="There are 17 image prompts; at most 16"):
        GenerationRequest(image_prompts=(*prompts, prompts[0]))


@pytest.mark.parametrize("image", [b"", b"GIF89a", "text", None])
def test_pictures_must_be_normalised_first(image: object) -> None:
    with pytest.raises(InvalidRequest, match="normalise"):
        ImagePrompt(image=image)  # type: ignore[arg-type]


@pytest.mark.parametrize("weight", [math.nan, math.inf, 101, "1", None, True])
def test_weights_of_pictures_are_bounded(weight: object) -> None:
    with pytest.raises(InvalidRequest, match="The weight of an image prompt must be a number from -100 to 100, not"):
        ImagePrompt(image=PNG, weight=weight)  # type: ignore[arg-type]


@pytest.mark.parametrize("stop", [math.nan, math.inf, 6, "1", None, True])
def test_stops_of_pictures_are_bounded(stop: object) -> None:
    with pytest.raises(InvalidRequest, match="The stop of an image prompt must be a number from -5 to 5, not"):
        ImagePrompt(image=PNG, stop=stop)  # type: ignore[arg-type]


@pytest.mark.parametrize("stopped_at", [0, 11, -1, 1.0, True])
def test_a_dream_stops_at_one_of_its_steps(stopped_at: object) -> None:
    settings = Settings(steps=10)
    assert GenerationRequest(prompt="a", settings=settings, stopped_at=10).stopped_at == 10
    with pytest.raises(InvalidRequest, match="stopped_at must be a whole number from 1 to 10"):
        GenerationRequest(prompt="a", settings=settings, stopped_at=stopped_at)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "../starter", "a b", "-x", "x" * 65, "/etc", "a\n"])
def test_names_of_model_sets_are_names(name: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot name a model set"):
        GenerationRequest(prompt="a", models=name)
