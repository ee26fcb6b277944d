"""Words and phrases that no prompt may hold. Pure; any thread."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache


def first_hit(rules: Iterable[str], text: str) -> str | None:
    """The first rule that a text breaks; None if it breaks none.

    Rules are matched as whole words, whatever the case, the width of the characters or the spaces between them:
    "ass" does not hit "grass". A `*` in a rule stands for any letters of the same word.
    """
    plain = _plain(text)
    return next((rule for rule in rules if _pattern(rule).search(plain)), None)


def tidy(rule: str) -> str:
    """A rule as it is kept: lower case, single spaces."""
    return _plain(rule)


@lru_cache(maxsize=4096)
def _pattern(rule: str) -> re.Pattern[str]:
    words = [r"\w*".join(map(re.escape, word.split("*"))) for word in _plain(rule).split()]
    return re.compile(r"(?<!\w)" + r"\W+".join(words) + r"(?!\w)")


def _plain(text: str) -> str:
    """Compatible forms made one, case folded, invisible characters gone, spaces single."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join("".join(char for char in folded if unicodedata.category(char) != "Cf").split())
