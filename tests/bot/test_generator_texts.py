"""Translations of the generator's messages: complete for all that people may see."""

from __future__ import annotations

import ast
import copy
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from omegaconf import OmegaConf

import bot
import generator
from bot.texts import LANGUAGES, Sentence
from generator import GenerationRequest, GeneratorError, ImagePrompt, InvalidRequest, Message, Settings, read_recipe

GENERATOR = Path(generator.__file__).parent
TEXTS = Path(bot.__file__).parent / "texts"
MEETS = {
    "prompts", "request", "images/files", "images/metadata", "recipe", "settings", "optimisation/starts/init",
    "optimisation/targets", "optimisation/schedule", "optimisation/dream", "optimisation/latent",
    "optimisation/cutouts", "optimisation/starts/canvas", "optimisation/starts/named_regions",
    "notation/palette", "notation/regions", "notation/keyframes",
    "models/clip", "models/vqgan", "models/prior", "models/zero_shot/safety",
    "models/lexicon", "models/language/reading", "models/language/suggestions",
    "optimisation/request_warnings", "optimisation/autograd", "optimisation/memory/plan",
    "runtime/device", "loading", "checkpoints/sources", "runtime/precision", "images/sandbox", "provenance",
    "films/keyframes", "films/music", "films/plan", "films/templates", "filming/film", "filming/folder",
    "filming/morph", "filming/source", "images/films",
}  # fmt: skip
"""Modules with messages shown in Discord; messages of others concern hosts and command lines."""
SPEAKERS = {"Message", "_invalid", "_refuse"}


def calls(node: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for part in ast.walk(node):
        if isinstance(part, ast.Call):
            yield getattr(part.func, "id", getattr(part.func, "attr", "")), part


def templates(path: Path) -> Iterator[str]:
    """Find every text that a module makes a message of: written in the call, or named just before."""
    tree = ast.parse(path.read_text("utf-8"))
    named = [
        (target.id, part.value.value)
        for part in ast.walk(tree)
        if isinstance(part, ast.Assign) and isinstance(part.value, ast.Constant) and isinstance(part.value.value, str)
        for target in part.targets
        if isinstance(target, ast.Name)
    ]
    for name, call in calls(tree):
        if name in SPEAKERS and call.args:
            first = call.args[0]
            if isinstance(first, ast.Constant):
                yield str(first.value)
            elif isinstance(first, ast.Name):
                yield from (text for given, text in named if given == first.id)


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


SOURCES = (*(GENERATOR / f"{name}.py" for name in sorted(MEETS)), Path(bot.__file__).parent / "worker" / "engine.py")
SAID = sorted({text for path in SOURCES for text in templates(path)})


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_every_sentence_of_the_generator_is_translated_and_nothing_else(language: str) -> None:
    table = OmegaConf.to_container(OmegaConf.load(TEXTS / language / "generator.yaml"))
    assert len(SAID) > 50
    assert isinstance(table, dict)
    assert set(table) == set(SAID)
    for template, translated in table.items():
        assert placeholders(str(template)) == placeholders(str(translated)), template


def test_requests_are_refused_by_messages_only() -> None:
    plain = []
    for path in SOURCES:
        for called, call in calls(ast.parse(path.read_text("utf-8"))):
            first = call.args[0] if call.args else None
            plain_types = (ast.JoinedStr, ast.Constant) if called == "InvalidRequest" else (ast.JoinedStr,)
            if called in {"InvalidRequest", *SPEAKERS} and isinstance(first, plain_types):
                plain.append(f"{path.name}:{call.lineno}")
    assert plain == []


def refusals() -> Iterator[GeneratorError]:
    def refused(make: object) -> GeneratorError:
        with pytest.raises(InvalidRequest) as caught:
            make()  # type: ignore[operator]
        return caught.value

    yield refused(lambda: GenerationRequest(prompt="a | b ^ c |"))
    yield refused(lambda: GenerationRequest(prompt="a:999"))
    yield refused(lambda: Settings().merged({"steps": 10**40}))
    yield refused(lambda: read_recipe(b'{"format": 3}'))
    yield refused(lambda: ImagePrompt(image=b"\x89PNG\r\n\x1a\n", weight=1e9))


def test_parts_of_a_sentence_are_translated_too() -> None:
    said = [Sentence.of_generator(error.message) for error in refusals()]
    assert said[0].said("de") == "Ein Prompt in Szene 2 ist leer; schreibe Text vor und hinter jedes |."
    assert said[2].said("de") == "steps muss eine ganze Zahl von 1 bis 5000 sein, nicht eine viel zu lange Zahl."
    assert "einem Bild-Prompt" in said[4].said("de")
    for sentence, error in zip(said, refusals(), strict=True):
        assert sentence.said() == str(error)
        assert sentence.said("de") != str(error)
        assert Sentence.from_json(sentence.as_json()) == sentence


def test_an_untranslated_message_is_shown_as_it_is() -> None:
    assert Sentence.of_generator("100 % {of} it").said("de") == "100 % {of} it"


def test_a_copy_of_a_message_is_a_message() -> None:
    message = Message("{a} and {b}", a="{b}", b=Message("more"))
    again = copy.deepcopy(message)
    assert (again, again.template, again.values) == (message, "{a} and {b}", message.values)
