"""A person's words in a Discord message: shown as typed, without effect. Pure; any thread.

Discord gives effect to markdown, links, mentions, timestamps, emoji and commands that a message holds. It takes a
backslash before any ASCII punctuation for "show the next character as it is", so each character that can begin, end or
divide something with an effect gets one, whatever stands around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from bot.texts import Sentence, say

_EFFECTIVE = re.compile(r"[\\`*_~|<>\[\]():@]")
_BEGINNING = re.compile(r"\A\d*(?=[#+.-])")
"""Headings, small print and lists: only at the beginning of a line."""
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Characters that turn the direction of all that follows them, our own words too."""
_OURS = frozenset({"channel", "channels", "link"})
"""Values of sentences that are links made by us: to channels, and the invitation of the bot."""


def as_typed(text: str, most: int) -> str:
    """At most `most` characters of a person's words in one line, to be sent as part of a message.

    With its backslashes it can be twice as long.
    """
    short = " ".join(_TURNING.sub("", text).split())
    short = short if len(short) <= most else f"{short[: most - 1]}…"
    return _BEGINNING.sub(r"\g<0>\\", _EFFECTIVE.sub(r"\\\g<0>", short))


def said_plainly(sentence: Sentence, locale: str, most: int = 600) -> str:
    """A sentence whose values may be a person's words, as part of a message."""
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
    """As many of the first parts as have room in `most` characters, none of them cut in two."""
    kept = ""
    for part in parts:
        longer = f"{kept}{between}{part}" if kept else part
        if len(longer) > most:
            break
        kept = longer
    return kept
