"""Keyframes: numbers that change during a dream, in settings and as weights of prompts."""

from __future__ import annotations

import pytest

from generator import (
    GenerationRequest,
    InvalidRequest,
    Settings,
    TextPrompt,
    parse_story,
    request_from_json,
    request_to_json,
)
from generator.notation.keyframes import read_keyframes


def test_a_value_changes_in_a_straight_line_between_keyframes_and_stays_outside() -> None:
    frames = read_keyframes("20%: 1, 60%: 0.2", "flatness")
    assert [round(frames.value(step, 11), 6) for step in (0, 2, 4, 6, 10)] == [1, 1, 0.6, 0.2, 0.2]
    by_step = read_keyframes("0: 1, 10: 0", "flatness")
    assert [by_step.value(step, 300) for step in (0, 5, 10, 299)] == [1, 0.5, 0, 0]


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("0: 1, 0: 2", "The keyframes of flatness run backwards; each must come after the one before it."),
        ("50%: 1, 20%: 2", "The keyframes of flatness run backwards; each must come after the one before it."),
        ("10: 1, 50%: 2", "flatness mixes steps and shares; write either 10: 0.5 or 10%: 0.5 throughout."),
        (
            "0: 1, soon: 2",
            "flatness must be a number, or numbers by steps such as 0: 1.0, 50%: 0.2, not '0: 1, soon: 2'.",
        ),
        (
            "0: 1, 120%: 2",
            "flatness must be a number, or numbers by steps such as 0: 1.0, 50%: 0.2, not '0: 1, 120%: 2'.",
        ),
        ("0: 1, 50%: 99", "flatness must be a number from 0.0 to 10.0, not 99.0."),
        (", ".join(f"{n}: 1" for n in range(17)), "flatness takes at most 16 keyframes, not 17."),
    ],
)
def test_keyframes_that_are_none_are_refused(typed: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Settings().merged({"flatness": typed})
    assert str(refused.value) == sentence


def test_a_setting_takes_keyframes_and_a_plain_number_ends_them() -> None:
    settings = Settings().merged({"learning_rate": "0: 0.1, 100%: 0.05", "cutouts": "0: 8, 50%: 16", "flatness": 2})
    assert (settings.learning_rate, settings.cutouts) == (0.1, 16)
    assert settings.schedules == "cutouts = 0%: 8, 50%: 16; learning_rate = 0%: 0.1, 100%: 0.05"
    assert Settings().merged(settings.as_dict()) == settings
    assert settings.merged({"steps": 10}).schedules == settings.schedules
    assert settings.merged({"cutouts": 4}).schedules == "learning_rate = 0%: 0.1, 100%: 0.05"
    with pytest.raises(InvalidRequest, match=r"^cutouts must be a whole number"):
        settings.merged({"cutouts": "0: 8, 50%: 8.5"})
    with pytest.raises(InvalidRequest, match=r"^'seed' cannot change during a dream"):
        settings.merged({"schedules": "seed = 0: 1, 1: 2"})


def test_a_prompt_takes_keyframes_as_its_weight_and_keeps_them_in_its_recipe() -> None:
    (scene,) = parse_story("a castle:{0: 1, 50%: 0.2} | fog:-0.5 | a set {1: 2}x")
    castle, fog, other = scene.prompts
    assert castle[:2] == ("a castle", 1.0) and str(castle.weights) == "0%: 1, 50%: 0.2"
    assert fog == TextPrompt("fog", -0.5) and other == TextPrompt("a set {1: 2}x")
    request = GenerationRequest(prompt="a castle:{0: 1, 50%: 0.2}")
    assert request_from_json(request_to_json(request)).scenes == request.scenes
    with pytest.raises(InvalidRequest, match="run backwards"):
        parse_story("a castle:{50%: 1, 0: 0.2}")
    with pytest.raises(InvalidRequest, match="weight of 'a castle'"):
        parse_story("a castle:{0: 1, 50%: 200}")
