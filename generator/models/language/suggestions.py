"""Suggestions after unknown words: the nearest words that models know, and prompts that they paint well. Any thread."""

from __future__ import annotations

import difflib
import zlib
from collections.abc import Iterable, Sequence, Set

from generator.messages import Message

NEAREST, SHOWN_WORDS, SHOWN_EXAMPLES = 3, 3, 3
_CLOSE = 0.75
"""Share of letters in common from which a word counts as near (difflib's ratio)."""
_PART = 4
"""Letters of the shortest word that counts as a part of a longer one, as "ship" in "spaceship"."""


def suggestions(unknown: Iterable[str], known: Set[str], examples: Sequence[str]) -> tuple[Message, ...]:
    """Sentences for a person whose prompt has unknown words; none without such words.

    Args:
        unknown: the words.
        known: names of things that the models know.
        examples: prompts that the models paint well.
    """
    words = tuple(dict.fromkeys(word.casefold() for word in unknown))
    if not words:
        return ()
    near = {word: found for word in words[:SHOWN_WORDS] if (found := nearest(word, known))}
    sentences = []
    if near:
        text = "; ".join(f"“{word}”: {', '.join(found)}" for word, found in near.items())
        sentences.append(Message("The nearest words that they know: {words}.", words=text))
    if examples:
        # Other words, other examples; the same words, the same.
        start = zlib.crc32(" ".join(words).encode()) % len(examples)
        chosen = [*examples[start:], *examples[:start]][:SHOWN_EXAMPLES]
        text = ", ".join(f"“{prompt}”" for prompt in chosen)
        sentences.append(Message("Prompts that they paint well: {prompts}.", prompts=text))
    return tuple(sentences)


def nearest(word: str, known: Set[str]) -> list[str]:
    """At most NEAREST known words that are spelt alike or are parts of a word, nearest first."""
    close = difflib.get_close_matches(word, sorted(known), NEAREST, _CLOSE)
    parts = [part for part in known if len(part) >= _PART and (word.startswith(part) or word.endswith(part))]
    return list(dict.fromkeys([*close, *sorted(parts, key=lambda part: (-len(part), part))]))[:NEAREST]
