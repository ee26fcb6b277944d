"""All texts of the bot, in English and German: one folder per language, one file per subject. Any thread.

The generator's messages are English; `de/generator.yaml` maps their templates to German.
A text is formatted by `str.format` with the values of its sentence. If its form depends on a number, it is a mapping
with `one` and `other`, chosen by the value `count`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml  # type: ignore[import-untyped]  # ships no types

from generator import Message

# The same safe reader in C takes a tenth of the time, at each start; few builds of the package lack it.
_Reader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
LANGUAGES = ("en", "de")
Plain = str | int | float
AS_IT_IS = "{text}"
_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Sentence:
    """A message in any language: the key of a text and the values for its placeholders."""

    key: str
    values: tuple[tuple[str, Value], ...] = ()
    """A value that is itself a sentence is rendered in the same language."""

    @classmethod
    def of(cls, key: str, /, **values: Value) -> Sentence:
        """A sentence by its key; keyword arguments are the values of the placeholders."""
        return cls(key, tuple(sorted(values.items())))

    @classmethod
    def of_generator(cls, message: str) -> Sentence:
        """A sentence from a generator message. The message's template is the key; other text is rendered unchanged."""
        if not isinstance(message, Message):
            return cls.of(AS_IT_IS, text=message)
        parts = {name: cls.of_generator(v) if isinstance(v, Message) else v for name, v in message.values.items()}
        return cls.of(message.template, **parts)

    def said(self, locale: str = "en") -> str:
        """The text in the language of a Discord locale (`de`, `en-GB`); English where we lack that language."""
        said = {name: value.said(locale) if isinstance(value, Sentence) else value for name, value in self.values}
        return say(self.key, locale, **said)

    def as_json(self) -> str:
        """JSON for the database; `from_json` reads it."""
        values = {name: [v.as_json()] if isinstance(v, Sentence) else v for name, v in self.values}
        return json.dumps([self.key, values], ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Sentence:
        """The sentence that `as_json` wrote; if its text no longer exists, it renders as its key."""
        key, values = json.loads(text)
        return cls.of(key, **{name: cls.from_json(v[0]) if isinstance(v, list) else v for name, v in values.items()})


Value = Plain | Sentence


def say(key: str, locale: str = "en", /, **values: Plain) -> str:
    """The formatted text `key` in the language of `locale`. The caller renders nested sentences first.

    A key without a text, possible only in a database of another version, is returned unchanged.
    """
    text = texts(language_of(locale)).get(key, key)
    if not isinstance(text, str):
        text = text["one" if values.get("count") == 1 else "other"]
    try:
        return text.format_map(values)
    except (KeyError, IndexError, ValueError):
        return text


def language_of(locale: str) -> str:
    """Our language for a Discord locale: `de` for `de`, otherwise `en`."""
    language = locale.partition("-")[0].lower()
    return language if language in LANGUAGES else LANGUAGES[0]


@cache
def texts(language: str) -> Mapping[str, str | Mapping[str, str]]:
    """All texts of a language by key, from all files of its folder."""
    found: dict[str, str | Mapping[str, str]] = {}
    for path in sorted((_FOLDER / language).glob("*.yaml")):
        found.update(_Reader(path.read_bytes()).get_single_data())
    return found
