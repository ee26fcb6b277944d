"""Parsing of a typed text into scenes, prompts, weights and stops."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from generator.errors import InvalidRequest
from generator.prompts import (
    MAX_PROMPT_CHARACTERS,
    MAX_PROMPTS,
    MAX_STOP,
    MAX_WEIGHT,
    Scene,
    TextPrompt,
    explain_story,
    is_plain,
    parse_story,
)


def only(text: str) -> TextPrompt:
    ((prompt,),) = (scene.prompts for scene in parse_story(text))
    return prompt


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a castle", TextPrompt("a castle")),
        ("a castle:2", TextPrompt("a castle", 2.0)),
        ("a castle:2:0.4", TextPrompt("a castle", 2.0, 0.4)),
        ("  a castle : 2 : .4 ", TextPrompt("a castle", 2.0, 0.4)),
        ("a castle:+1e-1", TextPrompt("a castle", 0.1)),
        ("a castle:1,5", TextPrompt("a castle", 1.5)),
        ("castle:٢", TextPrompt("castle", 2.0)),
        ("Star Wars: a new hope", TextPrompt("Star Wars: a new hope")),
        ("Star Wars: a new hope:2", TextPrompt("Star Wars: a new hope", 2.0)),
        ("a: b: c", TextPrompt("a: b: c")),
        ("a:1:2:3", TextPrompt("a:1", 2.0, 3.0)),
        ("a castle:", TextPrompt("a castle:")),
        ("a castle:2a", TextPrompt("a castle:2a")),
        ("at 12:5", TextPrompt("at 12", 5.0)),
        ("https://example.com", TextPrompt("https://example.com")),
        ("naan: naan", TextPrompt("naan: naan")),
    ],
)
def test_only_numbers_at_the_end_are_weights(text: str, expected: TextPrompt) -> None:
    assert only(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("time 10:30", TextPrompt("time 10:30")),
        ("10:30", TextPrompt("10:30")),
        ("the clock (23:59", TextPrompt("the clock (23:59")),
        ("time 10:30:15", TextPrompt("time 10:30:15")),
        ("time 10:30:2", TextPrompt("time 10:30", 2.0)),
        ("time 10:30:2:1.5", TextPrompt("time 10:30", 2.0, 1.5)),
        ("time 10:30:0.5", TextPrompt("time 10:30", 0.5)),
        ("blade runner 2049:10", TextPrompt("blade runner 2049", 10.0)),
        ("a ratio of 16:9", TextPrompt("a ratio of 16", 9.0)),
        ("time 24:30", TextPrompt("time 24", 30.0)),
        ("area51:30", TextPrompt("area51", 30.0)),
    ],
)
def test_a_clock_time_is_text(text: str, expected: TextPrompt) -> None:
    assert only(text) == expected


def test_a_backslash_makes_a_mark_ordinary() -> None:
    assert only(r"a cat \^_\^ or dog \| 16\:9:2") == TextPrompt("a cat ^_^ or dog | 16:9", 2.0)
    assert only(r"back\slash") == TextPrompt(r"back\slash")


def test_scenes_and_prompts_are_parted() -> None:
    assert parse_story("a castle:1 | fog:-0.5 ^ a ship") == (
        Scene((TextPrompt("a castle", 1.0), TextPrompt("fog", -0.5))),
        Scene((TextPrompt("a ship"),)),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a red\n\tapple\r\n", "a red apple"),
        ("a\u00a0red\u3000apple", "a red apple"),
        ("a \x00red\x1b[31m apple\x07", "a red[31m apple"),
        ("a red\u202eapple\u202c\ufeff\u200b", "a redapple"),
        ("\ud800a red apple\udfff", "a red apple"),
        ("👩‍🚀🏳️‍🌈 in space", "👩‍🚀🏳️‍🌈 in space"),
        ("تفاحة حمراء", "تفاحة حمراء"),
        ("می\u200cخو", "می\u200cخو"),
        ("```\na red apple\n```", "a red apple"),
        ("```text\na red apple```", "a red apple"),
        ("```a red apple```", "a red apple"),
        ("`a red apple`", "a red apple"),
        ("a `red` apple", "a `red` apple"),
        ("@everyone **bold** <@1>", "@everyone **bold** <@1>"),
        ("!!!", "!!!"),
    ],
)
def test_invisible_characters_are_removed_and_text_is_kept(text: str, expected: str) -> None:
    assert only(text) == TextPrompt(expected)


def test_a_prompt_is_optional_with_pictures() -> None:
    assert parse_story("", beside_pictures=True) == ()
    assert parse_story(" \n ", beside_pictures=True) == ()
    assert parse_story("fog:-1", beside_pictures=True) == (Scene((TextPrompt("fog", -1.0),)),)
    with pytest.raises(InvalidRequest, match="empty"):
        parse_story("|", beside_pictures=True)


def test_a_story_needs_a_direction_in_every_scene() -> None:
    with pytest.raises(InvalidRequest, match="in scene 2 is negative"):
        parse_story("a castle ^ fog:-1")


def test_the_longest_prompt_is_allowed() -> None:
    assert len(only("a" * MAX_PROMPT_CHARACTERS).text) == MAX_PROMPT_CHARACTERS
    assert len(parse_story("|".join("a" * MAX_PROMPTS))[0].prompts) == MAX_PROMPTS


@given(st.text(max_size=300))
@example("a:1e999")
@example("a:-1e999:0")
@example("a:1:-inf")
@example("\\|:1")
@example("a" + ":0" * 400)
def test_any_text_gives_sane_prompts_or_a_sentence(text: str) -> None:
    try:
        scenes = parse_story(text)
    except InvalidRequest as error:
        assert error.field == "prompt"
        assert str(error).endswith(".")
        assert "\n" not in str(error)
        return
    assert scenes
    for scene in scenes:
        assert any(prompt.weight > 0 for prompt in scene.prompts)
        for prompt in scene.prompts:
            assert prompt.text == prompt.text.strip() != ""
            assert abs(prompt.weight) <= MAX_WEIGHT
            assert prompt.stop == -math.inf or abs(prompt.stop) <= MAX_STOP
            prompt.text.encode()
    assert len(explain_story(scenes).splitlines()) == len(scenes)


words = st.text(st.characters(categories=["L", "Nd", "Zs"]), min_size=1, max_size=20).filter(str.strip)


@given(st.lists(st.tuples(words, st.floats(-MAX_WEIGHT, MAX_WEIGHT)), min_size=1, max_size=5))
def test_weights_are_read_as_written(pairs: list[tuple[str, float]]) -> None:
    text = "|".join(f"{word}:{weight!r}" for word, weight in [("first", 1.0), *pairs])
    prompts = parse_story(text)[0].prompts[1:]
    assert [prompt.weight for prompt in prompts] == [weight for _, weight in pairs]
    assert [prompt.text for prompt in prompts] == [" ".join(word.split()) for word, _ in pairs]


def test_the_reading_is_explained_in_words() -> None:
    assert explain_story(parse_story("a castle")) == "towards “a castle” (weight 1)"
    assert explain_story(parse_story("a castle:3:0.4 | fog:-1 | mist:0 ^ a ship")) == (
        "Scene 1: towards “a castle” (weight 3, 75% of the pull, until the distance is 0.4), "
        "away from “fog” (weight -1, 25% of the pull), without regard to “mist” (weight 0, 0% of the pull)\n"
        "Scene 2: towards “a ship” (weight 1)"
    )


def test_only_one_prompt_a_scene_without_weight_needs_no_explanation() -> None:
    assert is_plain(parse_story("Star Wars: a new hope"))
    assert is_plain(parse_story("a^b"))
    for text in ("a castle:2", "a|b", "a:1:0.5", "a^b:2"):
        assert not is_plain(parse_story(text))
