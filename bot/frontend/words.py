"""Escaping of a person's text in a Discord message: shown as typed, without effect. Pure; any thread.

Discord interprets markdown, links, mentions, timestamps, emoji and commands in a message. A backslash before any ASCII
punctuation shows the next character as it is, so each character that can begin, end or divide something with an effect
gets one, regardless of its context.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from bot.texts import Sentence, say

_EFFECTIVE = re.compile(r"[\\`*_~|<>\[\]():@]")
_BEGINNING = re.compile(r"\A\d*(?=[#+.-])")
"""Headings, small print and lists, only at the start of a line."""
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Characters that turn the direction of all that follows them, our own words too."""
_OURS = frozenset({"channel", "channels", "link", "role"})
"""Values of sentences that are links made by us: to channels and roles, and the invitation of the bot."""


def as_typed(text: str, most: int) -> str:
    """At most `most` characters of a person's text on one line, escaped for a message.

    The backslashes can double its length.
    """
    short = " ".join(_TURNING.sub("", text).split())
    short = short if len(short) <= most else f"{short[: most - 1]}…"
    return _BEGINNING.sub(r"\g<0>\\", _EFFECTIVE.sub(r"\\\g<0>", short))


def prompt_as_typed(prompt: str, most: int, locale: str) -> str:
    """A prompt as typed, or the words for a request that has only pictures."""
    return as_typed(prompt, most) or say("no_words", locale)


def prompt_label(prompt: str, locale: str) -> str:
    """A prompt for the label of a menu's option, which Discord shows without markdown."""
    return prompt or say("no_words", locale).strip("*")


def said_plainly(sentence: Sentence, locale: str, most: int = 600) -> str:
    """A sentence for a message, with values escaped that may be a person's text."""
    values = {
        name: said_plainly(value, locale, most)
        if isinstance(value, Sentence)
        else as_typed(value, most)
        if isinstance(value, str) and name not in _OURS
        else value
        for name, value in sentence.values
    }
    return say(sentence.key, locale, **values)


def within(parts: Iterable[str], most: int, between: str = "\n") -> str:
    """The first parts, complete, as many as fit in `most` characters."""
    kept = ""
    for part in parts:
        longer = f"{kept}{between}{part}" if kept else part
        if len(longer) > most:
            break
        kept = longer
    return kept
