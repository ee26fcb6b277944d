"""Lexicon: find the drawings that a prompt's words name; longest match first, plurals, counts. No torch; any thread."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

COUNTS = {"two": 2, "three": 3, "four": 4, "2": 2, "3": 3, "4": 4, "pair": 2}
LONGEST_NAME = 6
IRREGULAR = {
    "mice": "mouse", "geese": "goose", "children": "child", "feet": "foot", "teeth": "tooth", "oxen": "ox",
    "cacti": "cactus",
}  # fmt: skip
"""Singulars of nouns that have no regular plural, besides those with "men"."""
PREPOSITIONS = frozenset(
    ("in", "on", "at", "under", "among", "amid", "near", "by", "over", "above", "below", "behind", "inside", "within")
)


@dataclass(frozen=True)
class Mention:
    """Words of the prompt that name a concept: the possible concepts, likeliest first, and how many are wanted."""

    words: str
    concepts: tuple[int, ...]
    count: int


class Lexicon:
    """Look up words among the names and aliases of concepts.

    Args:
        names: for each concept its names; the first is its own, the others may be shared.
        common: everyday meanings that override the names: "car" is first of all an automobile.
        ignored: words that never name a thing by themselves, such as colours.
        places: words that name nothing after a preposition, such as "snow" in "in the snow".
        words: other words that the models have learnt.
        whole: concepts of which a single word of the name names nothing: "time bomb" is not found by "time".
        loose: words among the names that count only where a prompt names nothing else, such as "above" and "love".
        kinds: for some names, words for kinds of it that have no drawing of their own, joined by "|".
        tints: the colour of concepts that have drawings in black ink only, by their number.

    Attributes:
        names: as given.
        words: all words of all the above.
        things: single words that are a concept's own name, an everyday meaning or a place.
        everyday: single words that are a concept's own name or an everyday meaning, and words of places and colours.
        kinds: the name that is drawn for each word of `kinds`.
        tints: the colour of a concept that has drawings in black ink only.
    """

    def __init__(
        self,
        names: Sequence[Sequence[str]],
        common: Mapping[str, Sequence[int]] | None = None,
        ignored: Iterable[str] = (),
        places: Iterable[str] = (),
        words: Iterable[str] = (),
        whole: Iterable[int] = (),
        loose: Iterable[str] = (),
        kinds: Mapping[str, str] | None = None,
        tints: Mapping[str, str] | None = None,
    ) -> None:
        self.names, self._common = names, dict(common or {})
        phrases = [*(name for aliases in names for name in aliases), *self._common, *ignored, *places, *words]
        self.words = frozenset(word for phrase in phrases for word in phrase.split()) | COUNTS.keys() | PREPOSITIONS
        own = (*(aliases[0] for aliases in names), *self._common, *places)
        self.things = frozenset(name for name in own if " " not in name)
        self.everyday = frozenset([*(aliases[0] for aliases in names), *self._common, *ignored, *places])
        self._own: dict[str, list[int]] = {}
        self._shared: dict[str, list[int]] = {}
        self._part: dict[str, list[int]] = {}
        self._ignored, self._places = frozenset(ignored), frozenset(places)
        self._loose = frozenset(loose)
        self.kinds = {word: kind for kind, words in (kinds or {}).items() for word in words.split("|")}
        self.tints = {int(concept): colour for concept, colour in (tints or {}).items()}
        entire = frozenset(whole)
        for concept, aliases in enumerate(names):
            self._own.setdefault(aliases[0], []).append(concept)
            for alias in aliases[1:]:
                self._shared.setdefault(alias, []).append(concept)
            for word in () if concept in entire else aliases[0].split():
                self._part.setdefault(word, []).append(concept)

    def find(self, text: str, *, with_places: bool = False) -> list[Mention]:
        """Find the concepts that a prompt names, from left to right.

        Args:
            text: the prompt.
            with_places: words of places name things after prepositions too.
        """
        words = tokens(text)
        mentions, at, in_place = [], 0, False
        while at < len(words):
            length, concepts = self._longest(words[at:], in_place)
            if concepts:
                count = COUNTS.get(words[at - 1], 1) if at else 1
                mentions.append(Mention(" ".join(words[at : at + length]), concepts, count))
            in_place = not with_places and (words[at] in PREPOSITIONS or (in_place and words[at] in self._ignored))
            at += length
        return mentions or self._left(words)

    def guess(self, text: str) -> list[Mention]:
        """The one concept that a prompt may mean in which `find` finds none: by its first loose word."""
        for word in tokens(text):
            if word in self._loose - self._ignored and word not in PREPOSITIONS and (concepts := self._named(word)):
                return [Mention(word, concepts, 1)]
        return []

    def length_of_name(self, text: str) -> int:
        """How many words of a text belong to the name at its beginning; 0 if none is there."""
        length, concepts = self._longest(tokens(text), in_place=False)
        return length if concepts else 0

    def is_plural(self, words: str) -> bool:
        """True for the plural of a name, such as "cats"; not for a name that is one itself, such as "scissors"."""
        whole = words in self._own or not PREPOSITIONS.isdisjoint(words.split())  # "sun behind clouds"
        concepts = () if whole else self._look_up(words)
        return bool(concepts) and any(self._look_up(form) == concepts for form in singular(words))

    def is_passed_over(self, word: str) -> bool:
        """True for a word that never names a drawing by itself."""
        return word in self._ignored

    def kind_of(self, words: str) -> str:
        """The name that is drawn in place of words that have no drawing of their own; "" for others."""
        if self._named(words) and not self._loose.intersection((words, *singular(words))):
            return ""
        return next((self.kinds[form] for form in (words, *singular(words)) if form in self.kinds), "")

    def _left(self, words: list[str]) -> list[Mention]:
        """If nothing else is named, let a word that is otherwise ignored name a thing, as in "an orange"."""
        passed = [word for word in words if word in self._ignored and word in self._common]
        return [Mention(word, tuple(self._common[word]), 1) for word in passed]

    def _longest(self, words: list[str], in_place: bool) -> tuple[int, tuple[int, ...]]:
        for length in range(min(LONGEST_NAME, len(words)), 0, -1):
            phrase = " ".join(words[:length])
            if phrase in self._ignored or (in_place and phrase in self._places):
                return length, ()
            concepts = self._look_up(phrase)
            if concepts:
                return length, concepts
        return 1, ()

    def _look_up(self, phrase: str) -> tuple[int, ...]:
        forms = (phrase, *singular(phrase))
        # "lights" is loose if "light" is
        named = self._named(phrase) if self._loose.isdisjoint(forms) else self._own_name(forms)
        if named:
            return named
        kind = next((self.kinds[form] for form in forms if form in self.kinds), "")
        return self._named(kind) if kind else ()

    def _own_name(self, forms: Sequence[str]) -> tuple[int, ...]:
        for form in forms:
            for names in (self._common, self._own):
                if form in names:
                    return tuple(dict.fromkeys(names[form]))
        return ()

    def _named(self, phrase: str) -> tuple[int, ...]:
        forms = (phrase, *singular(phrase))
        # a concept's own name, also in the plural, beats shared names, and those beat one word of a longer name
        if own := self._own_name(forms):
            return own
        for form in forms:
            if form in self._shared:
                return tuple(dict.fromkeys(self._shared[form]))
            if len(form) > 2 and form in self._part and form not in self._ignored:
                return tuple(dict.fromkeys(self._part[form]))
        return ()


def tokens(text: str) -> list[str]:
    """The words of a prompt as they are looked up."""
    return re.findall(r"[a-z0-9ñãéô]+", text.lower().replace("'s ", " ").replace("’s ", " "))


def singular(phrase: str) -> tuple[str, ...]:
    """Possible singulars of an English plural; none for a singular."""
    *before, last = phrase.split(" ")
    forms = [" ".join((*before, IRREGULAR[last]))] if last in IRREGULAR else []
    if phrase.endswith("men"):
        forms.append(phrase[:-2] + "an")
    if phrase.endswith("ies"):
        forms.append(phrase[:-3] + "y")
    if phrase.endswith("ves"):
        forms += [phrase[:-3] + "f", phrase[:-3] + "fe"]
    if phrase.endswith("es"):
        forms.append(phrase[:-2])
    if phrase.endswith("s") and not phrase.endswith("ss"):
        forms.append(phrase[:-1])
    return tuple(forms)
