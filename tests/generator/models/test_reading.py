"""Prompts in other languages, with emoji, mistakes and names of people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

import generator
from generator import Dream, GenerationRequest, Models, Settings, load_models
from generator.models.clip import is_one_token
from generator.models.language.reading import Reader
from generator.models.language.translation import Dictionary, Translator, plural
from generator.models.lexicon import Lexicon

STARTER = Path(generator.__file__).parent / "starter"
TYPED = yaml.load(Path(__file__).with_name("prompts.yaml").read_text("utf-8"), yaml.BaseLoader)  # noqa: S506
LANGUAGES = (
    "German", "French", "Spanish", "Portuguese", "Italian", "Dutch", "Polish", "Russian", "Turkish", "Japanese",
    "Korean", "Chinese",
)  # fmt: skip


@pytest.fixture(scope="module")
def reader() -> Reader:
    lexicon = Lexicon(**json.loads((STARTER / "lexicon.json").read_text("utf-8")))
    names = (STARTER / "people.txt").read_text("utf-8").splitlines()
    return Reader(lexicon, Translator.read(STARTER / "languages"), names, is_one_token)


def test_the_list_holds_two_hundred_prompts() -> None:
    assert sum(map(len, TYPED.values())) >= 200
    assert set(LANGUAGES) < set(TYPED)


@pytest.mark.parametrize(
    ("kind", "typed", "expected"),
    [(kind, typed, expected) for kind, prompts in TYPED.items() for typed, expected in prompts.items()],
)
def test_prompts_are_read_as_meant(reader: Reader, kind: str, typed: str, expected: str) -> None:
    reading = reader.read(typed)
    assert reading.text == expected
    if kind in LANGUAGES:
        assert [note.values["language"] for note in reading.notes] == [kind]
        assert reading.unknown == ()
    elif kind == "English":
        assert reading.notes == ()
    elif kind != "Emoji":
        assert reading.notes


def test_words_without_a_meaning_are_named(reader: Reader) -> None:
    reading = reader.read("une pomme rouge avec un zorglub")
    assert (reading.text, reading.unknown) == ("a red apple", ("zorglub",))


@pytest.mark.parametrize("typed", ["a catt", "pokemon", "trump", "darth vader"])
def test_words_that_only_look_like_those_of_another_language_are_kept(reader: Reader, typed: str) -> None:
    assert reader.read(typed).text == typed


def test_names_of_styles_are_no_foreign_words(reader: Reader) -> None:
    reading = reader.read("a cat, graffiti")
    assert (reading.text, reading.notes) == ("a cat, graffiti", ())
    reading = reader.read("ein roter Apfel, watercolour")
    assert (reading.text, reading.unknown) == ("a red apple, watercolour", ())


def test_a_mistake_with_several_neighbours_is_answered_with_a_question(reader: Reader) -> None:
    (note,) = reader.read("a green xat").notes or (None,)
    assert note is None  # too short to guess
    (note,) = reader.read("a red wrll").notes
    assert note.template == "Did you mean {words} instead of “{typed}”?"


def test_a_name_alone_is_kept_and_said(reader: Reader) -> None:
    reading = reader.read("van Gogh")
    assert reading.text == "van Gogh"
    assert [note.template for note in reading.notes] == ["These models know no people: {names} changes nothing."]


@given(st.text(max_size=80))
def test_any_text_is_read(reader: Reader, typed: str) -> None:
    reading = reader.read(typed)
    assert reading.text == typed or reading.text.strip()


def test_colours_follow_their_noun_only_where_the_language_says_so() -> None:
    words = {"chat": {"thing": "cat"}, "noir": {"colour": "black"}, "chien": {"thing": "dog"}}
    assert Dictionary("French", words, after=True).translate("chat noir chien").text == "a black cat and a dog"
    assert Dictionary("German", words).translate("chat noir chien").text == "a cat and a black dog"


def test_a_postposition_puts_the_second_thing_on_the_first() -> None:
    words = {"masa": {"thing": "table"}, "üstünde": {"relation": "on"}, "kedi": {"thing": "cat"}}
    table = {key.replace("ü", "u"): value for key, value in words.items()}
    assert Dictionary("Turkish", table, postpositions=True).translate("masa üstünde kedi").text == "a cat on a table"
    assert Dictionary("German", table).translate("masa üstünde kedi").text == "a table on a cat"


@pytest.mark.parametrize(
    ("noun", "many"),
    [
        ("cat", "cats"), ("fox", "foxes"), ("cherry", "cherries"), ("key", "keys"), ("bus", "buses"), ("eyes", "eyes"),
        ("glass", "glasses"), ("child", "children"), ("woman", "women"), ("fish", "fish"), ("iris", "irises"),
    ],
)  # fmt: skip
def test_plurals(noun: str, many: str) -> None:
    assert plural(noun) == many


@pytest.fixture(scope="module")
def starter() -> Models:
    return load_models("starter", "cpu", precision="fp32")


def asked(prompt: str, **settings: object) -> GenerationRequest:
    values = {"size": "128x128", "candidates": 1, "start": "prior", "translate": True, **settings}
    return GenerationRequest(prompt=prompt, settings=Settings().merged(values))


def test_a_dream_starts_from_what_was_read(starter: Models) -> None:
    german, english = Dream(asked("eine blaue Katze"), starter), Dream(asked("a blue cat"), starter)
    assert torch.equal(german.latent, english.latent)
    assert german.request.prompt == "eine blaue Katze"
    assert [str(note) for note in german.warnings] == ["Read as “a blue cat” (German)."]
    assert english.warnings == ()


def test_earlier_recipes_are_taken_as_typed(starter: Models) -> None:
    dream = Dream(asked("eine blaue Katze", translate=False), starter)
    assert any("never seen" in note for note in dream.warnings)
    assert not torch.equal(dream.latent, Dream(asked("a blue cat"), starter).latent)
    assert not Settings().translate
    assert starter.defaults["translate"] is True


def test_unknown_foreign_words_are_said(starter: Models) -> None:
    notes = [str(note) for note in Dream(asked("une pomme rouge avec un zorglub"), starter).warnings]
    assert notes[0] == "Read as “a red apple” (French)."
    assert "zorglub" in notes[1]
