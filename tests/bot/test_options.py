"""Options in a prompt: read as the options of /imagine, and nothing else of the prompt is changed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import InvalidJobSpec
from bot.frontend.commands import imagine
from bot.options import OPTIONS, SETTINGS, WORDS, Kind, Typed, ratio_of, read, shaped, suggestions, unknown_in
from generator import Settings

TEXT = st.text(st.characters(codec="utf-8"), max_size=80)
PLAIN = st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=1, max_size=6).map(" ".join)
DASHES = st.sampled_from(["--", "—", "–", "——"])
VALUES = {"size": "96x64", "start": "fractal", "optimiser": "radam", "style": "oil painting", "negative": "fog"}
STYLES = ("oil", "oil painting", "night")


def value_of(name: str) -> str:
    return VALUES.get(name, "2" if name == "count" else "1")


def test_every_option_of_imagine_is_in_the_table_and_has_a_word_unless_it_is_attached() -> None:
    names = [option.name for option in OPTIONS]
    assert ["prompt", *(option.name for option in OPTIONS if not option.only_typed)] == [
        parameter.name for parameter in imagine.command().parameters
    ]
    assert set(names) - {option.name for option in WORDS.values()} == {
        "init_image", "mask", "image_prompt", "image_weight",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("prompt", "wanted"),
    [
        ("a cat --ar 16:9", Typed(prompt="a cat", settings={"size": "16:9"})),
        ("a cat —ar 16:9 –seed 7", Typed(prompt="a cat", settings={"size": "16:9", "seed": "7"})),
        ("a cat --AR=3:2 in the snow", Typed(prompt="a cat in the snow", settings={"size": "3:2"})),
        ("a cat --no fog, dark rain --count 4", Typed(prompt="a cat", negative="fog | dark rain", count=4)),
        ("a cat --no “text” --no fog", Typed(prompt="a cat", negative="text | fog")),
        ("a cat --style Oil Painting in autumn", Typed(prompt="a cat in autumn", style="Oil Painting")),
        ("a cat --style nobody knows", Typed(prompt="a cat", style="nobody knows")),
        ("a cat --private --video", Typed(prompt="a cat", private=True, timelapse=True)),
        ("a cat --steps 5 --steps 6", Typed(prompt="a cat", settings={"steps": "6"})),
        (
            "a cat --learning-rate 0.2 --cutouts 8",
            Typed(prompt="a cat", settings={"learning_rate": "0.2", "cutouts": "8"}),
        ),
        ("a cat --no fog ^ a dog --steps 3", Typed(prompt="a cat ^ a dog", settings={"steps": "3"}, negative="fog")),
        ("a cat --chaos 50 --seed 1", Typed(prompt="a cat --chaos 50", settings={"seed": "1"})),
        ("a cat —sleeping", Typed(prompt="a cat —sleeping")),
        ("a cat - no dog -- here", Typed(prompt="a cat - no dog -- here")),
        ("```a cat --seed 3```", Typed(prompt="a cat", settings={"seed": "3"})),
        ("--seed 3 a cat", Typed(prompt="a cat", settings={"seed": "3"})),
        (
            "a cat --palette navy, #ffcc00 ,white in the snow --symmetry both",
            Typed(prompt="a cat in the snow", settings={"palette": "navy, #ffcc00 ,white", "symmetry": "both"}),
        ),
        ("a cat --border black, in the snow", Typed(prompt="a cat in the snow", settings={"border": "black"})),
    ],
)
def test_options_are_taken_out_of_a_prompt(prompt: str, wanted: Typed) -> None:
    assert read(prompt, STYLES) == wanted


def test_words_that_look_like_options_and_are_none_are_named() -> None:
    assert unknown_in("a well-known cat --v 6 — here --chaos 9 --v 5 ^ --ar") == ("--v", "--chaos")


@pytest.mark.parametrize(
    "prompt", ["a cat --ar", "a cat --seed --steps 3", "a cat --no | dog", "a cat --no ,", "x --style"]
)
def test_an_option_without_a_value_is_refused_by_its_name(prompt: str) -> None:
    with pytest.raises(InvalidJobSpec, match=r"--(ar|seed|no|style) needs a value"):
        read(prompt)


@given(PLAIN, st.lists(st.tuples(DASHES, st.sampled_from(sorted(WORDS))), unique_by=lambda item: WORDS[item[1]].name))
def test_typed_options_are_those_of_the_command_in_any_order(prompt: str, words: list[tuple[str, str]]) -> None:
    parts = [f"{dash}{word.replace('_', '-')}" for dash, word in words]
    kinds = [WORDS[word].kind for _, word in words]
    values = [
        "" if kind is Kind.SWITCH else f" {value_of(WORDS[word].name)}"
        for (_, word), kind in zip(words, kinds, strict=True)
    ]
    typed = read(" ".join([prompt, *(f"{part}{value}" for part, value in zip(parts, values, strict=True))]), STYLES)
    names = {WORDS[word].name for _, word in words}
    assert typed.prompt == prompt
    assert unknown_in(typed.prompt) == ()
    assert typed.settings == {name: value_of(name) for name in names & set(SETTINGS)}
    assert (typed.style, typed.negative) == (
        "oil painting" if "style" in names else None,
        "fog" if "negative" in names else "",
    )
    assert (typed.private, typed.timelapse) == ("private" in names, "timelapse" in names)


@given(TEXT)
def test_a_text_without_an_option_is_unchanged(text: str) -> None:
    harmless = re.sub(r"--|[—–]", "-", text)
    assert read(harmless) == Typed(prompt=harmless)


@given(
    st.lists(
        st.one_of(TEXT, st.sampled_from([f"--{word}" for word in WORDS]), st.sampled_from(["—no", "|", "^", "16:9"]))
    )
)
def test_any_text_is_read_or_refused_and_unknown_words_stay(parts: list[str]) -> None:
    text = " ".join(parts)
    try:
        typed = read(text, STYLES)
    except InvalidJobSpec:
        return
    assert all(word in text for word in unknown_in(typed.prompt))
    assert read(typed.prompt, STYLES).settings == {} or "`" in text


@given(st.integers(1, 32), st.integers(1, 32), st.integers(64, 1_024), st.integers(256, 1_024))
def test_a_shape_keeps_its_ratio_on_the_models_grid_and_within_the_limit(
    width: int, height: int, side: int, most: int
) -> None:
    found = shaped((width, height), side, most)
    assert max(found) <= most + 8
    assert all(value % 16 == 0 for value in found)
    scale = min(side / (width * height) ** 0.5, most / max(width, height))
    assert all(abs(value - scale * part) <= 16 for value, part in zip(found, (width, height), strict=True))


@pytest.mark.parametrize("text", ["16:9", " 1 : 1 ", "2:3"])
def test_a_ratio_is_read(text: str) -> None:
    assert ratio_of(text) == tuple(map(int, text.split(":")))


@pytest.mark.parametrize("text", ["0:9", "16:0", "16", "16:9:1", "a:b", "1000:1", "", None, 16, "²:1"])
def test_anything_else_is_no_ratio(text: object) -> None:
    assert ratio_of(text) is None


def test_a_prompt_that_is_being_typed_is_continued_by_options_and_styles() -> None:
    assert suggestions("a cat --s", STYLES) == [
        f"a cat --{name} "
        for name in (
            "size",
            "steps",
            "seed",
            "start",
            "style",
            "sharpness",
            "scene-steps",
            "symmetry",
            "saturation",
            "symmetry-weight",
        )
    ]
    assert suggestions("a cat —ar", STYLES) == ["a cat --ar "]
    assert suggestions("a cat --style oi", STYLES) == ["a cat --style oil", "a cat --style oil painting"]
    assert suggestions("a cat", STYLES) == [f"a cat --style {name}" for name in STYLES]
    assert suggestions("", STYLES) == []


def test_every_setting_of_the_table_is_one_of_the_generators() -> None:
    assert set(SETTINGS) <= set(Settings().as_dict())
