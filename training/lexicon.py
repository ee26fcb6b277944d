"""The starter's lexicon, from the table of things: which words name which drawings.

A name of one word that is no plain noun, such as the keywords "above" and "crying" of emoji, is *loose*: it names a
thing only where a prompt names nothing else. Lists in training/drawings correct that rule by hand: `loose_names.txt`
and `firm_names.txt`. Nouns without a drawing of their own are drawn as the kind of thing that they are by WordNet, of
those in `kinds.txt`; `tints.tsv` gives things that have drawings in black ink only the colour of their kind.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from generator.models.language.parsing import SIZES
from training.compositor import COLOUR_WORDS, COLOURS
from training.drawings.nouns import Nouns, lines
from training.drawings.store import COLOURED
from training.scenes import SCENES
from training.sprites import meanings

# Words that never name a drawing by themselves
IGNORED = (
    "a an the in on at of and with to by under over behind next into from for near its his her their my your is are "
    "very big small little large tiny huge cute happy beautiful pretty nice old new young dark light bright colour "
    "color picture drawing photo image painting two three four pair slice slices piece pieces bunch flock herd group"
)
# Words that name no drawing after a preposition: "in the snow"
PLACES = (
    "night dark sky space sea ocean water underwater beach sand island desert dune snow ice winter forest woods jungle "
    "grass meadow field park hill garden flowers spring summer autumn fall mountain mountains city town street road "
    "buildings room kitchen floor home house fire flames hell lava rain storm day evening morning dusk dawn sunset "
    "sunrise midnight moonlight moon stars galaxy clouds trees leaves waves lake river"
)
PLAIN_TINT = "blue"
"""Colour of a thing of which WordNet knows no kind."""
_PEOPLE = {"woman": ("woman", "girl", "lady"), "man": ("man", "boy"), "person": ("person",)}
_HAIR = {"red": ("red", "ginger"), "curly": ("curly",), "white": ("white", "grey"), "blond": ("blond", "blonde")}
"""Words for the people and the hair of drawings such as "woman red hair"."""
_MORE = {"suit": "necktie"} | dict.fromkeys(
    ("hot chocolate", "cup of hot chocolate", "mug of hot chocolate"), "hot beverage"
)
"""Meanings of words that are no names for the drawing in other languages."""
_KIND = re.compile(r"[a-z]{3,}(?: [a-z]{3,})?")


def lexicon(table: list[dict[str, Any]], nouns: Nouns) -> dict[str, object]:
    """Names of every concept, its own first, without words that many concepts share.

    A thing that is no emoji is found by its whole name, and by the last word of that if nothing else is.
    """
    shared = Counter(alias for row in table for alias in row["aliases"])
    everyday = meanings()
    taken = {*everyday, *shared, *(word for row in table if row["emoji"] for word in row["name"].split())}
    names = []
    for row in table:
        others = [alias for alias in row["aliases"] if alias != row["name"] and shared[alias] <= 8]
        last = row["name"].split()[-1]
        if not row["emoji"] and last not in taken:
            others.append(last)
        names.append([row["name"], *others])
    colours = [*COLOURS, *(word for words in COLOUR_WORDS.values() for word in words)]
    numbers = {row["name"]: number for number, row in enumerate(table)}
    words = {word for _, phrases in SCENES.values() for phrase in phrases for word in phrase.split()}
    common = {word: [numbers[name]] for word, name in (everyday | people() | _MORE).items() if name in numbers}
    known = {*numbers, *common, *IGNORED.split(), *PLACES.split(), *colours, *words, *SCENES}
    loose = loose_names(names, common, nouns)
    known.update(alias for aliases in names for alias in aliases if alias not in loose)
    return {
        "names": names,
        "common": common,
        "words": sorted(words.union(SCENES)),
        "ignored": sorted({*IGNORED.split(), *colours}),
        "places": sorted(PLACES.split()),
        "whole": [number for number, row in enumerate(table) if not row["emoji"] and " " in row["name"]],
        "loose": sorted(loose),
        "kinds": kinds(numbers | {word: concepts[0] for word, concepts in common.items()}, known, nouns),
        "tints": {
            str(at): tint(row["name"], nouns) for at, row in enumerate(table) if row["rows"].keys().isdisjoint(COLOURED)
        },
    }


def people() -> dict[str, str]:
    """The drawing of a person that a phrase names by hair, beard or clothes: "a girl with ginger hair"."""
    found = dict[str, str]()
    for person, nouns in _PEOPLE.items():
        found |= {phrase: f"{person} beard" for phrase in (f"{person} with a beard", f"bearded {person}")}
        for noun in nouns:
            found |= {f"bald {noun}": f"{person} bald", f"redhead {noun}": f"{person} red hair"}
            found |= {f"{word} {noun}": f"{person} blond hair" for word in _HAIR["blond"]}
            for hair, words in _HAIR.items():
                for phrase in (
                    each for word in words for each in (f"{noun} with {word} hair", f"{word} haired {noun}")
                ):
                    found[phrase] = f"{person} {hair} hair"
        suits = (f"{person} in {suit}" for suit in ("suit", "a suit", "a black suit", "tuxedo", "a tuxedo"))
        found |= dict.fromkeys(suits, f"{person} in tuxedo")
    return found | {"old man with a beard": "man beard", "businessman": "man in tuxedo"}


def loose_names(names: list[list[str]], common: dict[str, list[int]], nouns: Nouns) -> set[str]:
    """Single words, of those that are no thing's own name, that are no plain noun."""
    own, firm = {aliases[0] for aliases in names} | common.keys(), set(lines("firm_names.txt"))
    single = {word for aliases in names for word in (*aliases[1:], *aliases[0].split()) if " " not in word}
    unfit = set(lines("loose_names.txt"))
    return {word for word in single - own - firm if word in unfit or not nouns.thing(word)}


def kinds(numbers: dict[str, int], known: set[str], nouns: Nouns) -> dict[str, str]:
    """For each word of `kinds.txt`, the nouns that are a kind of it and have no meaning of their own, joined by "|"."""
    targets = {word for row in lines("kinds.txt") for word in row.split() if word in numbers}
    adjectives = {*COLOURS, "gray", "silver", *SIZES}
    found: dict[str, list[str]] = {}
    for word in nouns.words():
        if (
            word in known
            or not _KIND.fullmatch(word)
            or not nouns.thing(word)
            or nouns.is_adjective(word)
            or word.split()[0] in adjectives
        ):
            continue
        above = (name for synonyms in nouns.kinds_of(word) for name in synonyms if name in targets)
        if kind := next(above, ""):
            found.setdefault(kind, []).append(word)
    return {kind: "|".join(sorted(found[kind])) for kind in sorted(found)}


def tint(name: str, nouns: Nouns) -> str:
    """The colour of a thing, by the nearest of its kinds that has one."""
    colours = dict(row.split("\t") for row in lines("tints.tsv"))
    words = re.sub(r"(?<=.) (?:head|face|tail|emblem|house)$", "", name).split()
    phrases = [" ".join(words[at:]) for at in range(len(words))]
    kinds_above = (kind for phrase in phrases for synonyms in nouns.kinds_of(phrase) for kind in synonyms)
    for kind in (name, *kinds_above):
        if kind in colours:
            return colours[kind]
    return PLAIN_TINT
