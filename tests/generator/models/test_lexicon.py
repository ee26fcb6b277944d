"""Names found in the words of a prompt."""

from __future__ import annotations

import pytest

from generator.models.lexicon import Lexicon

NAMES = (
    ["red apple", "apple", "fruit"],
    ["cat", "kitty"],
    ["cat face", "cat"],
    ["automobile", "red car"],
    ["railway car", "car"],
    ["leaf", "foliage"],
    ["knife", "cutlery"],
    ["cherry", "fruit"],
    ["snow"],
)


@pytest.fixture
def lexicon() -> Lexicon:
    return Lexicon(NAMES, common={"car": [3], "blue": [7]}, ignored=["a", "the", "red", "blue"], places=["snow"])


def found(lexicon: Lexicon, text: str) -> list[tuple[str, tuple[int, ...], int]]:
    return [(mention.words, mention.concepts, mention.count) for mention in lexicon.find(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a red apple", [("red apple", (0,), 1)]),
        ("a blue apple", [("apple", (0,), 1)]),
        ("a blue", [("blue", (7,), 1)]),
        ("a red", []),
        ("Two CATS and a cherry!", [("cats", (1,), 2), ("cherry", (7,), 1)]),
        ("the cat's knife", [("cat", (1,), 1), ("knife", (6,), 1)]),
        ("three knives, four leaves, 2 cherries", [("knives", (6,), 3), ("leaves", (5,), 4), ("cherries", (7,), 2)]),
        ("a car", [("car", (3,), 1)]),
        ("a railway car", [("railway car", (4,), 1)]),
        ("fruit", [("fruit", (0, 7), 1)]),
        ("an angry face", [("face", (2,), 1)]),
        ("a cat in the snow", [("cat", (1,), 1)]),
        ("snow on the cat", [("snow", (8,), 1), ("cat", (1,), 1)]),
        ("zeppelin", []),
        ("", []),
        ("猫 🐈 قط", []),
    ],
)
def test_words_name_concepts(lexicon: Lexicon, text: str, expected: list[tuple[str, tuple[int, ...], int]]) -> None:
    assert found(lexicon, text) == expected


def test_a_word_of_a_whole_name_names_nothing() -> None:
    names = [["time bomb", "explosive"], ["health potion"]]
    assert found(Lexicon(names, whole=[0]), "a time") == []
    assert found(Lexicon(names, whole=[0]), "a time bomb, an explosive") == [
        ("time bomb", (0,), 1),
        ("explosive", (0,), 1),
    ]
    assert found(Lexicon(names, whole=[0]), "a potion") == [("potion", (1,), 1)]


def test_a_loose_word_names_a_thing_only_where_nothing_else_does() -> None:
    lexicon = Lexicon([["red heart", "love", "above"], ["cat"], ["wing", "cats"]], loose=["love", "above"])
    assert found(lexicon, "a cat above, with love") == [("cat", (1,), 1)]
    assert found(lexicon, "love") == []
    assert [mention.words for mention in lexicon.guess("above all love")] == ["love"]
    assert lexicon.guess("a cat") == []


def test_the_plural_of_an_own_name_beats_a_shared_name() -> None:
    assert found(Lexicon([["wing", "birds"], ["bird"]]), "two birds") == [("birds", (1,), 2)]


def test_a_noun_without_a_drawing_is_drawn_as_its_kind() -> None:
    lexicon = Lexicon([["dog"], ["cat", "siamese"]], kinds={"dog": "retriever|golden retriever|siamese"})
    assert found(lexicon, "a golden retriever and two retrievers") == [
        ("golden retriever", (0,), 1),
        ("retrievers", (0,), 2),
    ]
    assert [lexicon.kind_of(words) for words in ("retrievers", "dog", "siamese", "car")] == ["dog", "", "", ""]


def test_words_of_places_name_things_where_places_are_cut_out() -> None:
    lexicon = Lexicon([["house"], ["star"]], ignored=["a"], places=["house"])
    assert found(lexicon, "a star above a house") == [("star", (1,), 1)]
    assert [mention.words for mention in lexicon.find("a star above a house", with_places=True)] == ["star", "house"]


def test_plurals_are_told_from_names_that_end_alike(lexicon: Lexicon) -> None:
    assert all(map(lexicon.is_plural, ("cats", "cars", "leaves", "cherries", "kitties", "cutleries")))
    assert not any(map(lexicon.is_plural, ("cat", "car", "leaf", "dogs", "zxcvs", "")))
    assert all(map(Lexicon([["mouse"], ["snowman"], ["toy child"]]).is_plural, ("mice", "snowmen", "toy children")))
    own = Lexicon([["scissors"], ["glass"], ["glasses", "spectacles"]])
    assert not any(map(own.is_plural, ("scissors", "glasses", "spectacles")))
