"""The bot's texts: complete in every language, with the same placeholders, for every key that the code uses."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from omegaconf import OmegaConf

import bot
from bot.texts import LANGUAGES, Sentence, language_of, say, texts

BOT = Path(bot.__file__).parent
SPEAKERS = {"say", "of", "Sentence"}


def forms(language: str, key: str) -> list[str]:
    text = texts(language)[key]
    return [text] if isinstance(text, str) else list(text.values())


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def keys_in_the_code() -> Iterator[tuple[str, str]]:
    """Find every literal first argument of a call that shows a text or raises one of our errors, with its file."""
    for path in BOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            first = node.args[0]
            is_error = name in ERRORS and isinstance(first, ast.Constant)
            if (is_error or name in SPEAKERS) and isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value, path.name


def error_names() -> set[str]:
    tree = ast.parse((BOT / "errors.py").read_text("utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.ClassDef)} | {"PainterDied", "Unsafe"}
    return names - {"IllegalTransition"}


ERRORS = error_names()


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_every_text_is_there_in_every_language(language: str) -> None:
    # The generator's messages are in English; tests/bot/test_generator_texts.py checks their translations.
    translations = OmegaConf.load(BOT / "texts" / language / "generator.yaml")
    assert set(texts(language)) - set(translations) == set(texts(LANGUAGES[0]))


@pytest.mark.parametrize("key", texts(LANGUAGES[0]))
def test_translations_have_the_same_placeholders_and_forms(key: str) -> None:
    first = set().union(*map(placeholders, forms(LANGUAGES[0], key)))
    for language in LANGUAGES[1:]:
        assert set().union(*map(placeholders, forms(language, key))) == first
    for language in LANGUAGES:
        text = texts(language)[key]
        assert isinstance(text, str) or set(text) == {"one", "other"}
        assert all(form.strip() for form in forms(language, key))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_stricter_reader_of_the_same_yaml_reads_the_same_texts(language: str) -> None:
    # It refuses a key that a mapping has twice.
    files = map(OmegaConf.load, (BOT / "texts" / language).glob("*.yaml"))
    assert texts(language) == OmegaConf.to_container(OmegaConf.merge(*files), resolve=False)


def test_no_key_stands_in_two_files_of_a_language() -> None:
    for language in LANGUAGES:
        names = [line.partition(":")[0] for path in (BOT / "texts" / language).glob("*.yaml")
                 for line in path.read_text("utf-8").splitlines() if line[:1].isalpha()]  # fmt: skip
        assert len(names) == len(set(names))


def test_every_key_that_the_code_says_has_a_text() -> None:
    used = set(keys_in_the_code())
    assert len(used) > 50
    assert {(key, name) for key, name in used if key not in texts(LANGUAGES[0])} == set()


@pytest.mark.parametrize(
    ("locale", "language"), [("de", "de"), ("en-GB", "en"), ("en-US", "en"), ("fr", "en"), ("pt-BR", "en"), ("", "en")]
)
def test_a_locale_gets_its_language_or_english(locale: str, language: str) -> None:
    assert language_of(locale) == language


def test_the_form_follows_the_count() -> None:
    assert say("note_more", count=1) != say("note_more", count=2)
    assert "3" in say("note_more", "de", count=3)


UNDO = {
    "host_drained": "/host drain on: False",
    "painter_drained": "/host painters add",
    "paused": "/resume",
    "rule_added": "/blocklist remove",
    "channel_is_denied": "/channels reset",
    "person_is_blocked": "/people unblock",
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("key", UNDO)
def test_what_lasts_names_the_command_that_ends_it(key: str, language: str) -> None:
    assert UNDO[key] in say(key, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_step_is_singular(language: str) -> None:
    line = partial(say, "recipe_line", language, size="8x8", seed="1", start="prior", models="tiny")
    assert line(count=1).split(" · ")[1] == {"en": "1 step", "de": "1 Schritt"}[language]
    assert line(count=2).split(" · ")[1] == {"en": "2 steps", "de": "2 Schritte"}[language]


def test_user_text_is_never_taken_for_a_placeholder() -> None:
    assert "{weight}" in say("note_towards", text="{weight} {0} {a.b}", weight="1", share=50)


def test_a_sentence_without_a_text_or_a_value_still_says_something() -> None:
    assert Sentence.of("gone_since_then", a=1).said("de") == "gone_since_then"
    assert "{job}" in Sentence.of("job_unknown").said()


def test_a_sentence_survives_the_database() -> None:
    sentence = Sentence.of("blocked", rule="ein „böses“ Wort")
    assert Sentence.from_json(sentence.as_json()) == sentence
