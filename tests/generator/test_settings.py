"""The settings: ranges, types, merging and parsing of typed text."""

import json
from dataclasses import Field, fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.errors import InvalidRequest
from generator.notation.palette import rgb_of
from generator.settings import Settings, Size, read_setting, suggestions_for

NUMBERS = [item for item in fields(Settings) if "low" in item.metadata and item.name != "size"]


def test_every_setting_has_help_and_a_range() -> None:
    for item in fields(Settings):
        assert item.metadata["help"]
        assert {"low", "choices", "colours", "read"} & set(item.metadata) or item.type == "bool"


@pytest.mark.parametrize("item", NUMBERS, ids=lambda item: item.name)
def test_a_number_is_held_to_its_range(item: Field[Any]) -> None:
    low, high = item.metadata["low"], item.metadata["high"]
    for value in (low, high):
        assert getattr(Settings(**{item.name: value}), item.name) == value
    too_much = (low - 1, high + 1, float("nan"), float("inf"), 10**400, 10**5000, "1", None, True, [1], [[[]]])
    for value in too_much:
        with pytest.raises(InvalidRequest, match=rf"^{item.name} must be .* from .* to .*, not .*\.$") as caught:
            Settings(**{item.name: value})
        assert caught.value.field == item.name
        assert len(str(caught.value)) < 200


def test_whole_numbers_serve_as_numbers_but_not_the_reverse() -> None:
    assert isinstance(Settings(learning_rate=1).learning_rate, float)
    with pytest.raises(InvalidRequest, match="whole number"):
        Settings(steps=10.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("96x64", Size(96, 64)), (" 96 X 64 ", Size(96, 64)), ("96×64", Size(96, 64)), ("128", Size(128, 128))],
)
def test_sizes_are_read(text: str, expected: Size) -> None:
    assert Size.parse(text) == expected
    assert Settings(size=text).size == expected  # type: ignore[arg-type]


def test_one_number_is_a_square() -> None:
    assert Settings(size=128).size == Size(128, 128)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", ["x", "96x", "-96x64", "96x64x3", "1e3", "999999", "", (96,), (96, 64.0), None, True])
def test_an_invalid_size_gets_a_message(size: object) -> None:
    with pytest.raises(InvalidRequest, match=r"for example 256x192\.|such as 256x192, not"):
        Settings(size=size)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", ["31x64", "64x31", "2049x64", "99999", (10**5000, 64)])
def test_sizes_out_of_range_get_a_sentence(size: object) -> None:
    with pytest.raises(InvalidRequest, match="Each side of size must be from 32 to 2048 pixels"):
        Settings(size=size)  # type: ignore[arg-type]


def test_merging_changes_only_what_is_named() -> None:
    settings = Settings().merged({"steps": 5, "size": "96x64"})
    assert (settings.steps, settings.size) == (5, (96, 64))
    assert settings.merged({}) == settings
    with pytest.raises(InvalidRequest, match="There is no setting 'stepz', only affine, border, border_weight"):
        Settings().merged({"stepz": 5})


@settings(max_examples=30)
@given(st.fixed_dictionaries({}, optional={item.name: st.just(item.metadata["high"]) for item in NUMBERS}))
def test_settings_survive_json(values: dict[str, object]) -> None:
    merged = Settings().merged(values)
    assert Settings().merged(json.loads(json.dumps(merged.as_dict()))) == merged


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("navy, #FFCC00", "#000080, #ffcc00"),
        ("red blue red", "#ff0000, #0000ff"),
        ("light blue, Dark-Grey", "#add8e6, #a9a9a9"),
        ("light blue", "#add8e6"),
        ("#fa0,0f0", "#ffaa00, #00ff00"),
        (["navy", "gold"], "#000080, #ffd700"),
        (" None ", "none"),
    ],
)
def test_colours_are_read_by_names_and_codes(given: object, expected: str) -> None:
    palette = Settings(palette=given).palette  # type: ignore[arg-type]
    assert palette == Settings(palette=palette).palette == expected


def test_colours_are_numbers_for_the_loss() -> None:
    assert rgb_of(Settings(palette="red, #003300").palette) == ((1.0, 0.0, 0.0), (0.0, 0.2, 0.0))
    assert rgb_of(Settings().palette) == ()


@pytest.mark.parametrize(
    ("start", "values", "steps"),
    [
        ("random", {}, 60),
        ("random", {"palette": "red"}, 60),
        ("prior", {}, None),
        ("prior", {"palette": "none", "contrast": 0.0, "palette_weight": 3}, None),
        ("prior", {"palette": "red"}, 40),
        ("init", {"contrast": 1}, 40),
        ("prior", {"tile": "x"}, 40),
    ],
)
def test_a_loss_has_suggestions_of_its_own_where_the_start_has_none(
    start: str, values: dict[str, object], steps: int | None
) -> None:
    models = {"random": {"steps": 60}, "losses": {"steps": 40}}
    assert suggestions_for(start, values, models).get("steps") == steps


def test_typed_text_becomes_a_value_or_stays_for_the_sentence() -> None:
    assert read_setting("steps", "10") == 10
    assert read_setting("noise", "0.5") == 0.5
    assert read_setting("exact", "Yes") is True
    assert read_setting("optimiser", "adamw") == "adamw"
    assert read_setting("size", "96x64") == "96x64"
    assert read_setting("no such", "1") == "1"
    for name in ("steps", "noise", "exact"):
        with pytest.raises(InvalidRequest, match=r"not 'many'\.$"):
            Settings().merged({name: read_setting(name, "many")})
