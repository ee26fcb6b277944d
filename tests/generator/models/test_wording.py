"""The words of a prompt that name no thing."""

from __future__ import annotations

import pytest

from generator.models.wording import (
    Scenery,
    carried,
    colours_of,
    drawing_of_style,
    look_of_style,
    scene_of,
    scenery_of,
    style_words,
    without_style,
)


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        (["a cat"], "a cat"),
        (["a cat", "an oil painting"], "a cat"),
        (["a cat", "a simple drawing with clear outlines"], "a cat"),
        (["a cat", "a photograph, sharp and detailed"], "a cat"),
        (["a cat, oil painting, highly detailed"], "a cat"),
        (["An oil painting of a cat"], "a cat"),
        (["a cat, 8k, unreal engine, studio lighting, award-winning"], "a cat"),
        (["a fox in the style of Van Gogh"], "a fox"),
        (["a fox by van gogh"], "a fox"),
        (["a cat in watercolour"], "a cat"),
        (["a 3D car"], "a car"),
        (["a house by the sea"], "a house by the sea"),
        (["a cat", "a hat"], "a cat, a hat"),
        (["a cat", "at night under the stars"], "a cat, at night under the stars"),
        (["a painting"], "a painting"),
        (["pixel art"], "pixel art"),
    ],
)
def test_words_of_a_style_name_no_second_thing(pieces: list[str], words: str) -> None:
    assert without_style(pieces) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a cat, Watercolour", {"watercolour"}),
        ("a 3D fox, clip art, 8-bit", {"3", "d", "clip", "art", "8", "bit"}),
        ("a clip on a line", set()),
    ],
)
def test_words_of_a_style_are_told_from_things(text: str, words: set[str]) -> None:
    assert style_words(text) == words


def test_a_style_chooses_the_drawing_that_suits_it() -> None:
    texts = ("a 3D cat", "a cartoon cat", "a cat | flat", "a cat in line art", "a cat in black and white")
    assert [drawing_of_style(text) for text in texts] == [0, 1, 2, 3, 4]
    assert [drawing_of_style(text) for text in ("clip art of a cat", "a doodle of a cat", "a cat in pencil")] == [
        5,
        6,
        6,
    ]
    assert [drawing_of_style(text) for text in ("a cat", "a watercolour of a cat", "a black and white cat")] == [
        None
    ] * 3


@pytest.mark.parametrize(
    ("text", "look"),
    [
        ("a cat pixel art", "pixels"),
        ("a cat a simple drawing with clear outlines", "lines"),
        ("line art of a cat", "lines"),
        ("a soft watercolour painting", "watercolour"),
        ("a watercolor of a cat", "watercolour"),
        ("a cat as a stencil", "stencil"),
        ("a hand-drawn cat", "doodle"),
        ("a cat drawing a dog", ""),
        ("a pencil and a comic book", ""),
        ("a cat", ""),
    ],
)
def test_a_look_is_asked_for_by_its_words(text: str, look: str) -> None:
    assert look_of_style(text) == look


@pytest.mark.parametrize(
    ("text", "scene"),
    [
        ("a cat in the snow", ("snow", "in the snow")),
        ("a castle at night", ("night", "at night")),
        ("a fish under the sea", ("underwater", "under the sea")),
        ("a fox in the dark forest", ("forest", "in the dark forest")),
        ("a bus on a rainy day", ("rain", "on a rainy day")),
        ("a cat on a car", ("", "")),
        ("a snow globe", ("", "")),
    ],
)
def test_a_scene_is_named_after_a_preposition(text: str, scene: tuple[str, str]) -> None:
    assert scene_of(text) == scene


def test_colours_are_known_by_their_other_names() -> None:
    assert colours_of("a gray cat, a Violet hat and a grey dog") == ("grey", "purple")


@pytest.mark.parametrize(
    ("new", "old", "words"),
    [
        ("a dog", "a blue cat in the snow", "a blue dog in the snow"),
        ("a dog", "an orange cat", "an orange dog"),
        ("dog", "a blue cat", "blue dog"),
        ("a red dog", "a blue cat in the snow", "a red dog in the snow"),
        ("a dog at night", "a blue cat in the snow", "a blue dog at night"),
        ("a dog", "a blue cat and a red hat", "a dog"),
        ("a dog", "a cat", "a dog"),
        ("a dog", "a cat in the forest at night", "a dog in the forest at night"),
        ("a dog under water", "a cat in the forest at night", "a dog under water"),
    ],
)
def test_a_remix_takes_over_what_its_words_leave_open(new: str, old: str, words: str) -> None:
    assert carried(new, old, "dog") == words


@pytest.mark.parametrize(
    ("scenes", "ground"),
    [
        ([], ("", "")),
        (["night"], ("night", "")),
        (["city", "night"], ("city", "night")),
        (["sunset", "sea"], ("sunset", "")),
        (["forest", "autumn"], ("autumn", "")),
        (["space", "night"], ("space", "")),
        (["beach", "sunset"], ("beach", "sunset")),
        (["sky", "night"], ("night", "")),
    ],
)
def test_several_scenes_make_one_ground(scenes: list[str], ground: tuple[str, str]) -> None:
    assert scenery_of(scenes) == Scenery(*ground)
