"""Typing mistakes: the known words that a word may have been meant as. No torch; any thread."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

from rapidfuzz import process
from rapidfuzz.distance import OSA

SHORTEST = 4
"""Words of fewer letters have too many neighbours to be guessed."""
LONG = 7
"""From this length on, two mistakes are tolerated instead of one."""
SUGGESTIONS = 3
_CACHED = 4_000


class Spelling:
    """Known words, compared by their edit distance with transpositions (optimal string alignment).

    Args:
        everyday: words that are preferred among equally near ones.
        words: all known words.
        is_word: tells words of the language from mistakes; a proper word that is merely unknown is not replaced.
    """

    def __init__(self, everyday: Iterable[str], words: Iterable[str], is_word: Callable[[str], bool]) -> None:
        self._everyday = frozenset(word for word in everyday if len(word) >= SHORTEST - 1 and word.isalpha())
        self._words = sorted(
            self._everyday.union(word for word in words if len(word) >= SHORTEST - 1 and word.isalpha())
        )
        self._is_word = is_word
        self._has_ascii = any(char.isascii() for word in self._words for char in word)
        self._near = functools.lru_cache(_CACHED)(self._find)

    def near(self, word: str) -> tuple[str, ...]:
        """At most SUGGESTIONS known words within the tolerated distance, everyday and near ones first."""
        if len(word) < SHORTEST or not word.isalpha() or (word.isascii() and not self._has_ascii):
            return ()
        # A prompt is read several times, by each dictionary, and many prompts have the same words.
        return self._near(word)

    def _find(self, word: str) -> tuple[str, ...]:
        most = 2 if len(word) >= LONG else 1
        found = process.extract(word, self._words, scorer=OSA.distance, score_cutoff=most, limit=None)
        rated = sorted((*self._rank(word, known), known[:1] != word[:1], known) for known, *_ in found)
        return tuple(known for *_, known in rated[:SUGGESTIONS])

    def correct(self, word: str) -> str | None:
        """The word that was meant, if one is nearer than the others and `word` is no proper word; else None."""
        near = self.near(word)
        if not near or self._is_word(word):
            return None
        if len(near) == 1 or self._rank(word, near[0]) < self._rank(word, near[1]):
            return near[0]
        return None

    def _rank(self, word: str, known: str) -> tuple[bool, int, bool]:
        """Everyday words first, then near ones, then those that only swap letters."""
        return known not in self._everyday, OSA.distance(word, known), sorted(known) != sorted(word)
