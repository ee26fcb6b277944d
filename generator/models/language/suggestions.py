"""Suggestions after unknown words: the nearest words that models know, and prompts that they paint well. Any thread."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence, Set

from rapidfuzz import process
from rapidfuzz.distance import OSA

from generator.messages import Message

NEAREST, SHOWN_WORDS, SHOWN_EXAMPLES = 3, 3, 3
_CLOSE = 0.7
"""Share of the letters that stay, from which a word counts as near (optimal string alignment)."""
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
    found = process.extract(word, known, scorer=OSA.normalized_similarity, score_cutoff=_CLOSE, limit=None)
    close = [near for near, *_ in sorted(found, key=lambda item: (-item[1], item[0]))]
    ends = (part for length in range(len(word), _PART - 1, -1) for part in sorted({word[:length], word[-length:]}))
    return list(dict.fromkeys([*close, *(part for part in ends if part in known)]))[:NEAREST]
