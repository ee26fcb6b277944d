"""Words and phrases that no prompt may hold. Pure; any thread, but the event loop's only for a short text.

The admins of any server write rules and its members write texts, so that neither may be able to make the search long:
a pattern takes the nearest place for each of its parts and never goes back on it, hence no rule takes more than a time
that grows with the square of the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

_FILLERS = re.compile("[\u115f\u1160\u2800\u3164\uffa0]")
"""Letters, by their category, that stand for no letter, and the pattern of no dots."""
_INVISIBLE = re.compile(
    rf"{_FILLERS.pattern}|[\u034f\u17b4\u17b5\u180b-\u180f\u2065\ufe00-\ufe0f\ufff0-\ufff8]"
    "|[\U00016fe4\U0001d159\U000e0000-\U000e0fff]"
)
"""Unicode's default ignorable characters outside the categories of controls: joiners, selectors, fillers, tags."""


def first_hit(rules: Iterable[str], text: str) -> str | None:
    """The first rule that a text breaks; None if it breaks none.

    Rules are matched as whole words, whatever the case, the width of the characters or the spaces between them:
    "ass" does not hit "grass". A `*` in a rule stands for any letters of the same word.
    """
    # A filler shows a gap in some fonts and nothing in others: the text is read both ways.
    readings = {_plain(text), _plain(_FILLERS.sub(" ", text))}
    return next((rule for rule in rules if any(map(_pattern(rule).search, readings))), None)


def tidy(rule: str) -> str:
    """A rule as it is kept: lower case, single spaces."""
    return _plain(rule)


@lru_cache(maxsize=4096)
def _pattern(rule: str) -> re.Pattern[str]:
    """Each part of a rule at its nearest place, in a group of its own that is not tried again.

    A rule without anything that shows forbids nothing.
    """
    if not _plain(rule).strip("* "):
        return re.compile(r"(?!)")
    groups, gap = "", ""
    for word in _plain(rule).split():
        *parts, last = word.split("*")
        for part in parts:
            if part:
                groups += f"(?>{gap}{re.escape(part)})"
                gap = ""
            gap += r"\w*?"
        # The end of a rule's word is the end of a word in the text too.
        end = r"(?!\w)" if re.fullmatch(r"\w", last[-1:]) else ""
        groups += f"(?>{gap}{re.escape(last)}{end})" if last else f"(?>{gap.replace('?', '')})"
        gap = r"\W+?"
    return re.compile(rf"(?<!\w){groups}(?!\w)")


def _plain(text: str) -> str:
    """Compatible forms made one, case folded, characters that show nothing gone, spaces single."""
    seen = "".join(char for char in text if char.isspace() or not _shows_nothing(char))
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", seen).casefold()).split())


def _shows_nothing(char: str) -> bool:
    return unicodedata.category(char) in ("Cf", "Cc") or _INVISIBLE.match(char) is not None
