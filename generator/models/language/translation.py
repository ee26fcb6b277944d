"""Translation of short prompts into the English of a model set: things, counts, colours, relations, places. No torch.

A dictionary holds the phrases of one language, each word reduced to its stem (Snowball, Porter) without accents. The
English is put together anew from what the phrases mean, since word order differs: "une pomme rouge dans la neige" is
"a red apple in the snow". Words without a meaning are left out and reported. Any thread.
"""

from __future__ import annotations

import functools
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import snowballstemmer

from generator.models.language.spelling import Spelling
from generator.models.lexicon import IRREGULAR
from generator.models.wording import is_time_of_day

LONGEST_PHRASE = 5
LONGEST_UNSPACED = 8
"""Longest phrase in words, and in characters for languages that do not put spaces between words."""
EXACT = "="
"""Begins a word that a dictionary holds as it is typed, not as its stem."""
SMALL_NUMBERS = {0: "", 2: "two", 3: "three", 4: "four", 5: "five"}

SURENESS = {"skip": 0.9, "and": 0.9, "with": 0.9, "place": 0.9, "mistake": 0.6, "hint": 0.5}
"""Share of a phrase's letters that counts as understood, by kind; 1 for others. Small words are shared by languages."""

MARGIN = 0.15
"""How much more of a prompt another language must understand than English."""

_PLURALS = {noun: several for several, noun in IRREGULAR.items()} | {
    noun: f"{noun[:-2]}en" for noun in ("man", "woman", "snowman", "fireman", "policeman")
}
_PLURALS |= {noun: f"{noun.rstrip('fe')}ves" for noun in ("wolf", "elf", "shelf", "scarf", "calf", "loaf", "knife")}
_PLURALS["leaf"] = "leaves"
_SAME = frozenset(("fish", "sheep", "deer", "people"))
_CONTENT = frozenset(("thing", "hint", "colour", "size", "scene", "style"))
_SMALL = frozenset(("skip", "single", "plural", "and", "with", "number", "place", "relation"))
SHORT, MEDIUM, LONG = 2, 5, 8
"""Letters of a word that many languages have, and of a mistyped one that only one has, with accents and without."""
_BESIDE, _OUTSIDE = ("in front of", "behind", "next to", "between"), ("on", "under", "above")
"""Relations to things only; and those to a house that say that nothing is in it."""
_ROOM = "in a room"

_WORD = re.compile(r"[^\W_]+")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


@dataclass(frozen=True)
class Translation:
    """A prompt in English.

    Attributes:
        language: English name of the language it was typed in.
        text: the English prompt; empty if nothing was understood.
        unknown: typed words without a meaning, in order.
        understood: share of the typed letters that have a meaning, 0..1.
        fit: rank among the languages: share of the letters with a meaning, of those in small words, letters of stems.
        sure: a word of it is surely one of this language: spelt as it should be, or mistyped but long.
    """

    language: str
    text: str
    unknown: tuple[str, ...]
    understood: float
    sure: bool = True
    fit: tuple[float, ...] = ()


@dataclass
class _Thing:
    noun: str
    count: int
    size: str
    colours: list[str]
    link: str


@dataclass
class _Sentence:
    """An English prompt under construction."""

    things: list[_Thing] = field(default_factory=list)
    place: str = ""
    time: str = ""
    styles: list[str] = field(default_factory=list)
    count: int = 1
    size: str = ""
    colours: list[str] = field(default_factory=list)
    link: str = "and"
    after_place: bool = False
    joined: bool = True
    below: bool = False
    single: bool = False

    def add_thing(self, noun: str) -> None:
        thing = _Thing(noun, self.count, self.size, self.colours, self.link)
        if self.below and self.things:  # "table on cat" in a language with postpositions: the cat on the table
            ground = self.things.pop()
            thing.link, ground.link = ground.link, self.link
            self.things += [thing, ground]
        else:
            self.things.append(thing)
        self._begin_phrase()

    def add_scene(self, phrase: str) -> None:
        if is_time_of_day(phrase):
            self.time = self.time or phrase
        else:
            self.place = self.place or phrase
        self._begin_phrase()

    def end(self) -> None:
        """Use a relation after the last thing ("cat table under" is a cat under a table), and one before the first."""
        if self.below and len(self.things) > 1 and self.things[-1].link == "and":
            self.things[-1].link = self.link
        if len(self.things) > 1 and self.things[0].link == "with":  # "wearing hat 's dog"
            self.things[:2] = self.things[1::-1]

    def _begin_phrase(self) -> None:
        self.count, self.size, self.colours, self.link = 1, "", [], "and"
        self.after_place = self.joined = self.below = self.single = False

    def text(self) -> str:
        words = []
        for number, thing in enumerate(self.things):
            if number:
                words.append(thing.link)
            noun = plural(thing.noun) if thing.count in SMALL_NUMBERS else thing.noun
            described = [word for word in (thing.size, *dict.fromkeys(thing.colours), noun) if word]
            one = "" if noun.endswith("s") and plural(noun) == noun else article(described[0])
            words += filter(None, (SMALL_NUMBERS.get(thing.count, one), *described))
        if not self.things:
            words += dict.fromkeys(self.colours)
        words += filter(None, (self.place, self.time))
        return ", ".join(part for part in (" ".join(words), *dict.fromkeys(self.styles)) if part)


class Dictionary:
    """The phrases of one language.

    Args:
        name: English name of the language.
        stemmer: name of its Snowball stemmer; empty if words are not inflected at their ends.
        after: colours may follow their noun.
        postpositions: "on" and "in" follow their noun.
        words: meanings by phrase, in stems. A meaning is a kind (`thing`, `hint`, `colour`, `size`, `scene`, `style`,
            `number`, `plural`, `relation`, `place`, `and`, `with`, `skip`) and its English; a hint is a thing that the
            phrase may mean, the number 0 is several, a plural follows its noun, and `single` comes before one thing.
        plurals: endings of a noun and of its plural, such as "al>aux".
        singulars: nouns by their stems.
    """

    def __init__(
        self,
        name: str,
        words: Mapping[str, Mapping[str, str]],
        stemmer: str = "",
        after: bool = False,
        postpositions: bool = False,
        plurals: Sequence[str] = (),
        singulars: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self._words, self._after, self._postpositions = name, words, after, postpositions
        self._plurals, self._singulars = [rule.split(">") for rule in plurals], singulars or {}
        self._stem = functools.lru_cache(4096)(stem_with(stemmer))
        named = {"thing", "colour", "scene"}
        nouns = (phrase for phrase, kinds in words.items() if " " not in phrase and named & kinds.keys())
        self._spelling = Spelling(nouns, (), lambda word: False)

    def translate(self, text: str) -> Translation:
        """Put `text` into English."""
        found, unknown, letters, known, small, stems, sure = [], [], 0, 0.0, 0, 0, False
        for typed, meanings in self._phrases(text):
            letters += len(typed)
            meant = None if meanings else self._spelling.correct(self._stem(typed))
            if meanings:
                small += len(typed) * _SMALL.issuperset(meanings)
                stems += len(self._stem(typed))
                known += len(typed) * max(SURENESS.get(kind, 1.0) for kind in meanings)
                sure |= bool(_CONTENT & meanings.keys()) and (len(typed) > SHORT or not typed.isascii())
            elif meant is not None:
                known += len(typed) * SURENESS["mistake"]
                sure |= len(typed) >= (LONG if typed.isascii() else MEDIUM)
            else:
                unknown.append(typed)
            if "hint" in meanings:
                meanings = {"thing": meanings["hint"]}
            found.append(meanings if meant is None else self._words[meant])
        sentence = self._sentence(found)
        understood, little, text = known / max(1, letters), small / max(1, letters), sentence.text()
        # "das Auto" is a car in German, not a badger and a car as in Dutch; "vélo" is closer to French than to "vela".
        fit = (min(1.0, understood + (1 - SURENESS["skip"]) * little), little, stems) if text else ()
        return Translation(self.name, text, tuple(dict.fromkeys(unknown)), understood, sure, fit)

    def is_small(self, word: str) -> bool:
        """True for an article, a number or a conjunction of this language."""
        kinds = self._meanings([word]).keys()
        return bool(kinds) and _SMALL.issuperset(kinds)

    def _phrases(self, text: str) -> Iterator[tuple[str, Mapping[str, str]]]:
        words = [match[0] for match in _WORD.finditer(text.casefold())]
        at = 0
        while at < len(words):
            if _UNSPACED.search(words[at]):
                yield from self._unspaced(words[at])
                at += 1
                continue
            for length in range(min(LONGEST_PHRASE, len(words) - at), 0, -1):
                meanings = self._meanings(words[at : at + length])
                if meanings or length == 1:
                    yield " ".join(words[at : at + length]), meanings
                    at += length
                    break

    def _meanings(self, words: Sequence[str]) -> Mapping[str, str]:
        exact = self._words.get(EXACT + plain(words[0])) if len(words) == 1 else None
        meanings = exact or self._words.get(" ".join(map(self._stem, words))) or {}
        is_many = "thing" in meanings and any(map(self._is_plural, words))
        return {**meanings, "many": ""} if is_many else meanings

    def _is_plural(self, word: str) -> bool:
        noun = self._singulars.get(self._stem(word), word)
        bare, typed = plain(noun), plain(word)
        ends = (bare.removesuffix(old) + new for old, new in self._plurals if bare.endswith(old))
        return noun != word and typed in ends

    def _unspaced(self, text: str) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Cut a run of characters into the longest phrases that are known; what is left between them is unknown."""
        at, start = 0, 0
        while at < len(text):
            for length in range(min(LONGEST_UNSPACED, len(text) - at), 0, -1):
                phrase = plain(text[at : at + length])
                meanings = self._words.get(EXACT + phrase) or self._words.get(phrase)
                if meanings:
                    if start < at:
                        yield text[start:at], {}
                    yield text[at : at + length], meanings
                    at = start = at + length
                    break
            else:
                at += 1
        if start < len(text):
            yield text[start:], {}

    def _sentence(self, found: Sequence[Mapping[str, str]]) -> _Sentence:
        sentence = _Sentence()
        for index, kinds in enumerate(found):
            sentence.single |= "single" in kinds
            if (
                not kinds
                or kinds.keys() <= {"skip", "single"}
                or ("skip" in kinds and index and "number" in found[index - 1])
            ):
                continue
            if "style" in kinds and "thing" not in kinds:
                sentence.styles.append(kinds["style"])
            elif "colour" in kinds and not self._is_noun(found, index, sentence):
                after = self._after and not sentence.joined and sentence.things
                (sentence.things[-1].colours if after else sentence.colours).append(kinds["colour"])
            elif "size" in kinds and "thing" not in kinds:
                after = self._after and not sentence.joined and sentence.things
                (sentence.things[-1] if after else sentence).size = kinds["size"]
            elif "scene" in kinds and ("thing" not in kinds or self._is_place(sentence, found, index)):
                sentence.add_scene(kinds["scene"])
            elif "thing" in kinds:
                if "many" in kinds and sentence.count == 1 and not sentence.single:
                    sentence.count = 0
                sentence.add_thing(kinds["thing"])
            elif "plural" in kinds:
                if sentence.things and not sentence.joined:
                    sentence.things[-1].count = 0
            elif "number" in kinds:
                self._count(sentence, int(kinds["number"]), found[index + 1 :])
            else:
                self._join(sentence, kinds)
        sentence.end()
        return sentence

    def _count(self, sentence: _Sentence, count: int, following: Sequence[Mapping[str, str]]) -> None:
        """Set the number of the thing that follows, or of the one before it: "balloons three" in some languages."""
        described = next((kinds for kinds in following if not {"skip", "colour", "size"} & kinds.keys()), {})
        if self._postpositions and sentence.things and not sentence.joined and "thing" not in described:
            sentence.things[-1].count = count
        else:
            sentence.count, sentence.joined = count, True

    def _is_noun(self, found: Sequence[Mapping[str, str]], index: int, sentence: _Sentence) -> bool:
        """True if a word that is also a colour, such as "orange", names a thing here."""
        if "thing" not in found[index]:
            return False
        if self._after and not sentence.joined and sentence.things:
            return False
        follows = next((kinds for kinds in found[index + 1 :] if kinds.keys() != {"skip"}), {})
        return "thing" not in follows

    def _is_place(self, sentence: _Sentence, found: Sequence[Mapping[str, str]], index: int) -> bool:
        """True if a word that names both a thing and a place means the place here."""
        thing_follows = any("thing" in kinds for kinds in found[index + 1 :])
        link = sentence.link
        if self._postpositions:
            link = next((kinds for kinds in found[index + 1 :] if kinds.keys() != {"skip"}), {}).get("relation", "")
        if link in _BESIDE or (link in _OUTSIDE and found[index]["scene"] == _ROOM):
            return False
        return thing_follows if self._postpositions else sentence.after_place and bool(sentence.things or thing_follows)

    def _join(self, sentence: _Sentence, kinds: Mapping[str, str]) -> None:
        sentence.joined = True
        sentence.after_place = "place" in kinds
        if "relation" in kinds and sentence.things:
            sentence.link, sentence.below = kinds["relation"], self._postpositions
        elif "with" in kinds:
            sentence.link = "with"


class Translator:
    """Translate prompts by the dictionary that understands most of them.

    Args:
        dictionaries: one for each language.
        emoji: English names of emoji.
    """

    def __init__(self, dictionaries: Sequence[Dictionary], emoji: Mapping[str, str]) -> None:
        self._dictionaries, self._emoji = tuple(dictionaries), dict(emoji)
        symbols = sorted(map(re.escape, self._emoji), key=len, reverse=True)
        self._symbol = re.compile(f"(?:{'|'.join(symbols)})") if symbols else None

    @classmethod
    def read(cls, folder: Path) -> Translator:
        """Read the dictionaries of a folder as training.translations writes them.

        Raises:
            OSError, ValueError, TypeError, KeyError: if a file is missing or damaged.
        """
        read = [_json(path) for path in sorted(folder.glob("??.json"))]
        return cls([Dictionary(**content) for content in read], _json(folder / "emoji.json"))

    def name_emoji(self, text: str) -> str:
        """Replace emoji by their English names, joined to their neighbours by spaces; others are kept."""
        if self._symbol is None or text.isascii():
            return text
        bare = "".join(char for char in text if char not in "\ufe0e\ufe0f" and not 0x1F3FB <= ord(char) <= 0x1F3FF)
        if not self._symbol.search(bare):
            return text
        named = self._symbol.sub(lambda match: f" \0{self._emoji[match[0]]}\0 ", bare)
        return " ".join(re.sub("\0\\s*\0", " and ", named).replace("\0", "").split())

    def is_small(self, word: str) -> bool:
        """True for an article, a number or a conjunction of any of the languages."""
        return any(each.is_small(word) for each in self._dictionaries)

    def translate(self, text: str, english: float) -> Translation | None:
        """Put `text` into English; None if it may be English, of which the share `english` (0..1) is known."""
        if english + MARGIN >= 1.0:
            return None
        best = max((each.translate(text) for each in self._dictionaries), key=lambda each: each.fit, default=None)
        if best is None or not best.text or not best.sure:
            return None
        return best if best.understood > english + MARGIN else None


def stem_with(stemmer: str) -> Any:  # noqa: ANN401 - snowballstemmer has no types
    """Return a function from a word to its stem without accents; see `snowballstemmer.algorithms()` for names."""
    stem = snowballstemmer.stemmer(stemmer).stemWord if stemmer else str
    return lambda word: plain(stem(word.casefold()))


def plain(text: str) -> str:
    """Remove accents from Latin, Greek and Cyrillic letters; other scripts are composed (NFKC)."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("ß", "ss").replace("ł", "l").replace("\u0131", "i")
    parts = unicodedata.normalize("NFD", text)
    if any(ord(char) >= 0x3000 for char in text):
        return text
    return "".join(char for char in parts if not unicodedata.combining(char) or char == "\u0306")


def article(word: str) -> str:
    """Indefinite article by the word's first letter."""
    return "an" if word[:1] in "aeiou" and not word.startswith(("uni", "euro")) else "a"


def plural(noun: str) -> str:
    """English plural."""
    if noun in _PLURALS:
        return _PLURALS[noun]
    if noun in _SAME or (noun.endswith("s") and not noun.endswith(("ss", "us", "is", "as"))):
        return noun
    if noun.endswith(("s", "x", "ch", "sh")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def _json(path: Path) -> Any:  # noqa: ANN401 - JSON
    return json.loads(path.read_text(encoding="utf-8"))
