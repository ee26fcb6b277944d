"""Parsing of prompts: things with number, colour, size and relation, the scenery, and what is left. No torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from generator.models.lexicon import Lexicon, Mention, singular, tokens
from generator.models.wording import COLOURS, Scenery, landscape, scene_spans, scenery_of, style_words

MAX_THINGS = 5
_FEW, _SEVERAL = 3, 0
"""How many things "a flock of birds" and "birds" alone show; and the number of things of which none was named."""
_GROUPS = frozenset(("flock", "herd", "pack", "swarm", "group", "crowd", "school", "bunch", "pile", "stack", "heap"))
_NUMBERS = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "dozen": 12,
    "pair": 2, "couple": 2, "both": 2, "several": 3, "some": 3, "few": 3, "lot": 3, "lots": 3, "many": 5, "dozens": 5,
    "hundreds": 5, "thousands": 5, "single": 1,
}  # fmt: skip
SIZES = {
    **dict.fromkeys(("tiny", "miniature"), 0.35),
    **dict.fromkeys(("small", "little"), 0.55),
    **dict.fromkeys(("big", "large"), 1.4),
    **dict.fromkeys(("huge", "giant", "gigantic", "enormous"), 1.8),
}
"""Size that each word means, as multiple of the usual one."""
_RELATIONS = {
    "on": "on", "upon": "on", "atop": "on", "riding": "on", "above": "above", "over": "above", "under": "under",
    "below": "under", "beneath": "under", "underneath": "under", "inside": "in", "in": "in", "within": "in",
    "into": "in", "behind": "behind", "before": "before", "between": "between",
}  # fmt: skip
_SIDES = {"left of": "left", "right of": "right"}
_SHORTER = {
    "on top of": "on", "at the top of": "on", "in front of": "before", "left side of": "left of",
    "right side of": "right of",
}  # fmt: skip
"""Relations of several words, which could name things by themselves, as one word."""
_PLACED = re.compile(
    r"\b(?:in|at|on|to) (?:the )?(?:(?:far|top|upper|bottom|lower) )?"
    r"(left|right|middle|cent(?:er|re)|foreground|background|distance|corner|top|bottom)\b"
    r"(?: corner|(?: hand)? side)?(?: of the (?:picture|image|frame|scene))?(?! of| side| hand| left| right| corner)"
)
_PLACES = {"left": "atleft", "right": "atright", "background": "atback", "distance": "atback", "top": "attop"}
"""Places in the picture, such as "on the left", as one word each; other places are left out."""
_COUNTED = re.compile(r"\b(\d+)(girls?|boys?)\b")
_TWO_WORDS = re.compile(r"\b([a-z]{2,}) (?=([a-z]{3,})\b)")
_GESTURE = re.compile(r"\b(?:(?:holding|shaking) hands|(?:hand in hand|arm in arm)\b)")
OPEN_ABOVE = frozenset((
    "box", "pot", "vase", "bowl", "cup", "mug", "teacup", "basket", "bucket", "bag", "backpack", "handbag", "pouch",
    "bathtub", "bath", "tub", "pan", "cauldron", "barrel", "crate", "carton", "nest", "hat", "jar", "wok",
    "saucepan", "bin", "trashcan", "wastebasket", "cradle", "stroller", "cart", "wheelbarrow",
))  # fmt: skip
"""Things in which another stands, with its upper part above them."""
WORN = ("worn", "dressed")
"""Relations of several to as many, each of which has one."""
_HEADGEAR = frozenset(("hat", "crown", "cap", "helmet", "beret", "sombrero", "tiara"))
_CLOTHES = frozenset((
    "dress", "suit", "coat", "kimono", "shirt", "sweater", "jacket", "sari", "robe", "gown", "uniform", "vest",
    "raincoat", "swimsuit", "bikini", "pyjamas", "hoodie", "jersey", "cape", "cloak",
))  # fmt: skip
_PAIRS = frozenset((
    "shoes", "boots", "sandals", "slippers", "mittens", "stockings", "earrings", "ears", "wings", "horns", "feet",
    "legs", "arms", "hands", "paws",
))  # fmt: skip
_ONE = frozenset(("headphones", "bagpipes", "ruins", "crossroads", "pincers", "darts", "cards", "oats"))
"""Plurals of which two are shown, and one."""
_CONJURED = frozenset(("rabbit", "rabbits", "bunny", "bunnies"))
"""Those that are in a hat, where others have it on."""
_WEARING = frozenset(("with", "wearing", "wears", "has"))
_FLAT = frozenset(("table", "desk", "chair", "bench", "plate", "bridge", "roof", "skateboard", "bicycle", "horse"))
"""Things that have nothing in them: some languages say "in the table"."""
_BODY = frozenset((
    "eye", "eyes", "ear", "ears", "nose", "mouth", "teeth", "tongue", "hair", "beard", "face", "hand", "hands", "arm",
    "arms", "leg", "legs", "foot", "feet", "paw", "paws", "tail", "wing", "wings", "feather", "feathers", "horn",
    "horns", "fur", "skin",
))  # fmt: skip
_PARTS = _BODY | frozenset((
    "window", "windows", "door", "doors", "roof", "chimney", "wheel", "wheels", "sail", "sails", "headlights",
))  # fmt: skip
"""Parts that a drawing has or has not: "with green eyes" names no second thing."""
_BREAK = re.compile(r"[,;/+&\n]|\.(?=\s)")
"""Between things of a list, such as "cat, dog"."""
_FEATURES = frozenset(("hair", "eyes", "beard", "face", "skin", "fur"))
_ITS = frozenset(("its", "his", "her", "their"))
_NEGATIONS = frozenset(("no", "without"))
_STANDING = frozenset(("is", "are", "sits", "sit", "stands", "stand", "lies", "lie"))
_COLOURED = _STANDING | frozenset(("all", "in", "that", "which", "coloured", "colored"))
_ARTICLES = frozenset(("a", "an", "the"))
_JOINING = _ARTICLES | frozenset((
    "and", "or", "with", "next", "to", "beside", "near", "by", "of", "from", "plus", "its", "his", "her", "their",
    "my", "your",
))  # fmt: skip
SILENT = frozenset((
    "is", "are", "was", "be", "at", "for", "as", "like", "one", "very", "so", "some", "it", "this", "that", "these",
    "those", "there", "i", "me", "we", "you", "please", "make", "draw", "paint", "show", "scene", "view",
    "background", "foreground", "distance", "middle", "center", "centre", "corner", "bottom", "upper", "lower", "far",
    "hand", "lot", "lots", "few", "single", "dozens", "hundreds", "thousands", "cute", "lovely", "full", "top", "front",
    "left", "right", "side", "s",
))  # fmt: skip
"""Words that nobody expects to see."""


@dataclass(frozen=True)
class Thing:
    """A thing that a prompt names.

    Attributes:
        words: as the prompt names it.
        concepts: possible concepts, likeliest first.
        count: how many are wanted.
        colour: as asked for, in the words of `wording.COLOURS`; "" keeps the drawing's own.
        relation: of this thing to the one before it, which is "on", "above", "under", "in", "behind", "before", "left"
            or "right" of it, "between" several of it, or "worn" by it; "dressed" if those are in it, as in a coat; ""
            if they are only named together.
        kind: name of the thing that is drawn in its place, if it has no drawing of its own.
        size: multiple of the usual one.
    """

    words: str
    concepts: tuple[int, ...]
    count: int = 1
    colour: str = ""
    relation: str = ""
    kind: str = ""
    size: float = 1.0


@dataclass(frozen=True)
class Parsed:
    """A prompt taken apart.

    Attributes:
        things: that it names.
        scenery: the ground that it names.
        unused: words without an influence on the picture that somebody may have wanted.
        uncombined: words that would have one elsewhere, such as "robot" in "a robot dog".
    """

    things: tuple[Thing, ...]
    scenery: Scenery
    unused: tuple[str, ...]
    uncombined: tuple[str, ...] = ()


class Parser:
    """Take prompts apart by the words of a lexicon."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon

    def parse(self, text: str) -> Parsed:
        """Things, at most MAX_THINGS in all, scenery and what is left of a text.

        Of a compound such as "robot dog" only the last thing counts.
        """
        text, scenes = self._without_scenes(self._closed(_shorter(text.lower())))
        sentence = _Sentence(self.lexicon)
        sentence.uncombined += (word for hit in _GESTURE.finditer(text) for word in hit[0].split())
        text = _GESTURE.sub(" ", text)
        parts = [tokens(part) for part in _BREAK.split(text)]
        begins = set(accumulate(map(len, parts)))
        words, at = [word for part in parts for word in part], 0
        for mention in self._mentions(text, words, has_scene=bool(scenes)):
            if mention.words in _NUMBERS:  # part of a name, such as "five o'clock"
                continue
            named = mention.words.split()
            first = next((n for n in range(at, len(words)) if words[n : n + len(named)] == named), None)
            if first is None:
                continue
            between, at = words[at:first] or ["and"] * (first in begins), first + len(named)
            if scene := landscape(mention.words):
                scenes.append(scene)
                sentence.left += between
                words[first] = "and"
                at = first
                continue
            sentence.add(mention, between)
        ends = sorted(number for number in begins if number > at)
        sentence.end(*(words[begin:end] for begin, end in pairwise([at, *ends])))
        left = [*sentence.left, *words[at:]]
        scenes += filter(None, map(landscape, left))
        unused, uncombined = (
            tuple(dict.fromkeys(words))
            for words in ((word for word in left if not self._is_understood(word)), sentence.uncombined)
        )
        return Parsed(_limited(sentence.things), scenery_of(scenes), unused, uncombined)

    def _closed(self, text: str) -> str:
        """The text with names that are written as two words, such as "sea horse", as one."""

        def joined(match: re.Match[str]) -> str:
            first, second = match.groups()
            if any(first in words for words in (COLOURS, SIZES, _NUMBERS, _RELATIONS, _JOINING, SILENT)):
                return match[0]
            closed = (
                self.lexicon.length_of_name(first + second) and self.lexicon.length_of_name(f"{first} {second}") < 2
            )
            return first if closed else match[0]

        return _TWO_WORDS.sub(joined, text)

    def _mentions(self, text: str, words: Sequence[str], *, has_scene: bool) -> list[Mention]:
        found = self.lexicon.find(text, with_places=True)  # scenes are cut out
        if found or has_scene or any(map(landscape, words)):
            return found
        return self.lexicon.guess(" ".join(word for word in words if word not in style_words(text)))

    def _without_scenes(self, text: str) -> tuple[str, list[str]]:
        """The text without the scenes that it names after prepositions, and their names."""
        scenes, kept, at = list[str](), "", 0
        for begin, end, scene in scene_spans(text):
            last = text.rindex(" ", 0, end) + 1 if " " in text[begin:end] else begin
            if self.lexicon.length_of_name(text[last:]) > 1:  # "on a beach ball"
                continue
            kept, at = f"{kept}{text[at:begin]} and ", end
            scenes.append(scene)
        return kept + text[at:], scenes

    def _is_understood(self, word: str) -> bool:
        """True for a word that changes the picture, or that says nothing."""
        tables = (COLOURS, SIZES, _RELATIONS, _GROUPS, _JOINING, SILENT, _PLACES.values())
        understood = any(word in table for table in tables) or _number(word) > 0 or bool(landscape(word))
        return understood or self.lexicon.is_passed_over(word)


class _Sentence:
    """The things of a prompt, as they are found from left to right.

    Attributes:
        things: so far.
        left: words between them.
        uncombined: words that would change the picture elsewhere.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self.things: list[Thing] = []
        self.left: list[str] = []
        self.uncombined: list[str] = []
        self._begins_with, self._after_with = "", False
        self._places, self._leads = ["", "", ""], False

    def add(self, mention: Mention, between: Sequence[str]) -> None:
        """Add a thing after the words between it and the one before."""
        between = self._placed(between)
        if not _NEGATIONS.isdisjoint(_phrase(between)):
            self.left += [word for word in between if word not in _NEGATIONS]
            return
        last, described = mention.words.split()[-1], not between and self._after_with
        self._after_with = not _WEARING.isdisjoint(between)
        is_part = last in _PARTS and (self._after_with or described or not _ITS.isdisjoint(between))
        if self.things and (is_part or (last in _FEATURES and not _relation(between))):
            if described:  # "with a carrot nose"
                self.uncombined += self.things.pop().words.split()
            self.uncombined += [word for word in between if word in COLOURS] + mention.words.split()
            self.left += between
            return
        relation = _relation(between)
        if self.things and not relation and _is_in(last, _HEADGEAR) and not _WEARING.isdisjoint(between):
            relation = "worn"
            between = [word for word in between if word not in _WEARING]
        if relation == "in" and "in" in between and self.things:
            relation = _in(last, self.things[-1].words.split()[-1])
        self.left += between
        if not self.things:
            relation, self._begins_with = "", relation
        colours = _colours(between)
        self.uncombined += colours[1:] and [word for word in between if COLOURS.get(word) in colours]
        colour = colours[0] if len(colours) == 1 else ""
        kind = self._lexicon.kind_of(mention.words)
        count, size = _count(between), _size(between)
        if count == 1 and last not in _ONE and self._lexicon.is_plural(mention.words):
            count = _SEVERAL if _GROUPS.isdisjoint(between[-4:]) else _FEW
        self._place(Thing(mention.words, mention.concepts, count, colour, relation, kind, size), between)

    def end(self, *clauses: Sequence[str]) -> None:
        """Read the words after the last thing: its place, and a colour, as in "the car is red" and "a car, red"."""
        clauses = tuple(self._placed(words) for words in clauses)
        if len(self.things) > 1 and not self.things[1].relation:
            self.things[:2] = _side_by_side(self.things[0], self.things[1], *self._places[:2])
        named = [
            COLOURS[words[-1]]
            for words in clauses
            if words and words[-1] in COLOURS and _COLOURED.issuperset(words[:-1])
        ]
        if named and len(self.things) == 1 and not self.things[0].colour:
            self.things = [replace(self.things[0], colour=named[0])]

    def _placed(self, words: Sequence[str]) -> list[str]:
        """Note the places in the picture among words after a thing, or before it if the first is; return the others."""
        for word in words:
            if word in _PLACES.values():
                self._leads |= not self.things
                at = len(self.things) - (not self._leads)
                self._places[min(at, 2)] = word
        return [word for word in words if word not in _PLACES.values()]

    def _place(self, thing: Thing, between: Sequence[str]) -> None:
        if self._holds(thing, between):
            self.things[-1:] = [replace(thing, count=thing.count or _FEW), replace(self.things[-1], relation="in")]
        elif self.things and not thing.relation and (not between or _is_of(between)):
            whole = self.things.pop()
            if whole.words in SIZES:  # "a giant" alone is a thing
                whole = replace(whole, size=SIZES[whole.words])
            elif not between:
                self.uncombined += [word for word in whole.words.split() if word not in thing.words]
            self.things.append(
                replace(
                    whole,
                    words=thing.words,
                    concepts=thing.concepts,
                    kind=thing.kind,
                    count=thing.count if whole.count in (1, _SEVERAL) else whole.count,
                    colour=thing.colour or whole.colour,
                    size=whole.size if thing.size == 1 else thing.size,
                )
            )
        elif len(self.things) == 1 and self._begins_with and not thing.relation and not _STANDING.isdisjoint(between):
            self.things = [thing, replace(self.things[0], relation=self._begins_with)]  # "on a table there is a cat"
        else:
            self.things.append(thing)

    def _holds(self, thing: Thing, between: Sequence[str]) -> bool:
        """True if the thing before is the first, and a box or a vase of or with this thing."""
        if len(self.things) != 1 or self.things[0].count != 1 or thing.relation:
            return False
        holder = self.things[0].words.split()[-1]
        if holder not in OPEN_ABOVE or holder == "hat":
            return False
        last = thing.words.split()[-1]
        several = thing.count != 1 or last == "fruit" or (last.endswith("s") and last != "noodles")
        return "with" in between or (several and "of" in between)


def _side_by_side(first: Thing, second: Thing, place: str, other: str) -> list[Thing]:
    """Two things in the order and relation that their places in the picture mean."""
    if "atback" in (place, other):
        near, far = (second, first) if place == "atback" else (first, second)
        return [near, replace(far, relation="before")]
    if "attop" in (place, other):
        upper, lower = (first, second) if place == "attop" else (second, first)
        return [upper, replace(lower, relation="on")]
    if not place and not other:
        return [first, second]
    left, right = (second, first) if place == "atright" or other == "atleft" else (first, second)
    return [left, replace(right, relation="left")]


def _in(last: str, inner: str) -> str:
    """The relation that "in" names between things with these last words; "inside" is always "in"."""
    if _is_in(last, _CLOTHES):
        return "dressed"
    if _is_in(last, _HEADGEAR) and inner not in _CONJURED:
        return "worn"
    return "on" if last in _FLAT else "in"


def _is_in(word: str, words: frozenset[str]) -> bool:
    """True for one of the words and for its plural."""
    return not words.isdisjoint((word, *singular(word)))


def _shorter(text: str) -> str:
    """The text with relations and places of several words as one."""
    for phrase, word in _SHORTER.items():
        text = re.sub(rf"\b{phrase}\b", word, text)
    text = _COUNTED.sub(r"\1 \2", text)
    return _PLACED.sub(lambda match: _PLACES.get(match[1], ""), text)


def _phrase(between: Sequence[str]) -> list[str]:
    """The words that belong to the thing after them: those after the last that joins it to what is before."""
    begin = max((at + 1 for at, word in enumerate(between) if word in _JOINING - _ARTICLES), default=0)
    return list(between[begin:])


def _is_of(between: Sequence[str]) -> bool:
    """True for "of" with adjectives, as in "a glass of red wine"."""
    return between[:1] == ["of"] and all(word in COLOURS or word in SIZES for word in between[1:])


def _count(between: Sequence[str]) -> int:
    """The number that stands before a thing, perhaps with adjectives between: "two big red apples"."""
    for word in reversed(between[-4:]):
        if number := _number(word):
            return number
        if word in _JOINING and word != "of":
            return 1
    return 1


def _number(word: str) -> int:
    """The number that a word names; 0 for others, such as the year in "a 1960 car"."""
    return int(word) if word.isdigit() and len(word) <= 3 else _NUMBERS.get(word, 0)


def _size(between: Sequence[str]) -> float:
    """The size that the adjectives before a thing name."""
    for word in reversed(between):
        if word in SIZES:
            return SIZES[word]
        if word in _JOINING or word in _RELATIONS:
            break
    return 1.0


def _colours(between: Sequence[str]) -> list[str]:
    """The colours among the adjectives before a thing."""
    colours = list[str]()
    for number, word in reversed(list(enumerate(between))):
        if word == "and" and number and between[number - 1] in COLOURS and colours:
            continue  # "black and white" is not one colour
        if word in _JOINING or word in _RELATIONS:
            break
        if word in COLOURS:
            colours.append(COLOURS[word])
    return list(dict.fromkeys(reversed(colours)))


def _relation(between: Sequence[str]) -> str:
    text = " ".join(between)
    for phrase, relation in _SIDES.items():
        if phrase in text:
            return relation
    return next((_RELATIONS[word] for word in between if word in _RELATIONS), "")


def _limited(things: Sequence[Thing]) -> tuple[Thing, ...]:
    """The things, at most MAX_THINGS; plurals without a number get one as far as there is room."""
    spare = MAX_THINGS - sum(thing.count or 1 for thing in things)
    plurals = [thing for thing in things if thing.count == _SEVERAL and thing.relation not in WORN]
    room, kept = MAX_THINGS, list[Thing]()
    for thing in things:
        count = thing.count
        if count == _SEVERAL and thing.relation in WORN:  # each has its own
            kept.append(replace(thing, count=kept[-1].count))
            continue
        if count == _SEVERAL:
            two = len(plurals) > 1 or thing.relation == "between" or thing.words.split()[-1] in _PAIRS
            more = max(0, min(spare, 1 if two else _FEW - 1))
            count, spare = 1 + more, spare - more
        if room > 0:
            kept.append(replace(thing, count=min(count, room)))
            room -= kept[-1].count
    return tuple(kept)
