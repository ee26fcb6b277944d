"""Dictionaries of other languages for the starter: `python -m training.translations`.

Hand-written words (training/languages/*.yaml: colours, places, numbers, relations, everyday things) come first. The
names and keywords of Unicode's annotations (CLDR) add a word for every drawing.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml

from generator.models.language.translation import EXACT, LONGEST_PHRASE, plain, stem_with
from generator.models.lexicon import Lexicon
from training.sprites import COMMON

STARTER = Path("generator/starter")
SOURCES = Path(__file__).parent / "languages"
SCENES = {
    "sky": "in the sky", "night": "at night", "space": "in space", "sunset": "at sunset", "sea": "on the sea",
    "underwater": "under water", "beach": "on the beach", "desert": "in the desert", "snow": "in the snow",
    "forest": "in the forest", "meadow": "on the grass", "garden": "in a garden", "mountains": "in the mountains",
    "city": "in the city", "fire": "on fire", "rain": "in the rain", "road": "on the road", "room": "in a room",
    "autumn": "in autumn",
}  # fmt: skip
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey", "golden")
UNLIKELY = frozenset(("zzz",))
"""Drawings that nobody means by their keywords: "schläft" is "sleeps"."""
SIMPLE_KINDS = ("skip", "single", "plural", "and", "with", "place")
TABLED_KINDS = ("relation", "number", "size", "colour", "thing", "style")
_WORD = re.compile(r"[^\W_]+")


def clean(name: str) -> str:
    """An annotation's English name as the lexicon writes names."""
    return re.sub(r"\s+", " ", re.sub(r"[_\-:“”\"'’!.,&()]+", " ", name)).strip().lower()


class Things:
    """English words for the starter's drawings, by emoji."""

    def __init__(self, lexicon: dict[str, Any], english: dict[str, Any]) -> None:
        numbers: dict[str, int] = {}
        for number, names in enumerate(lexicon["names"]):
            numbers.setdefault(names[0], number)
        self._lexicon = Lexicon(**lexicon)
        meant = json.loads(COMMON.read_text("utf-8"))
        everyday = {numbers[name]: word for word, name in reversed(meant.items()) if name in numbers}
        self.favoured = {concept for concepts in lexicon["common"].values() for concept in concepts}
        self.words: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.concepts: dict[str, int] = {}
        for emoji, row in english.items():
            number = numbers.get(clean(row["tts"][0])) if row.get("tts") else None
            if number is None:
                continue
            self.names[emoji] = lexicon["names"][number][0]
            self.words[emoji] = everyday.get(number, self.names[emoji])
            self.concepts[emoji] = number

    def is_coloured(self, emoji: str) -> bool:
        """True for drawings such as "red apple"."""
        return " " in self.names[emoji] and self.names[emoji].split()[0] in COLOURS

    def is_known(self, word: str) -> bool:
        return bool(self._lexicon.find(word))


def dictionary(source: dict[str, Any], annotations: dict[str, Any], things: Things) -> dict[str, Any]:
    """The arguments of generator.models.language.translation.Dictionary."""
    stem = stem_with(source.get("stemmer", ""))
    words: dict[str, dict[str, str]] = defaultdict(dict)
    singulars: dict[str, str] = {}

    def key(phrase: str) -> str:
        found = _WORD.findall(phrase.casefold())
        return (
            plain("".join(found))
            if any(ord(char) >= 0x3000 for char in phrase) and " " not in phrase
            else " ".join(map(stem, found))
        )

    for kind in SIMPLE_KINDS:
        for phrase in source.get("places" if kind == "place" else kind, ()):
            words[key(phrase)].setdefault(kind, "")
    for kind in TABLED_KINDS:
        for english, phrases in source[f"{kind}s"].items():
            if kind == "thing" and not things.is_known(english):
                print(f"the starter draws no {english}")
                continue
            for phrase in phrases:
                exact = kind == "number" and english == "0"  # "le" and "les" have one stem
                words[EXACT + plain(phrase) if exact else key(phrase)].setdefault(kind, english)
                if kind == "thing":
                    singulars.setdefault(key(phrase), phrase.casefold())
    for scene, phrases in source["scenes"].items():
        for phrase in phrases:
            words[key(phrase)].setdefault("scene", SCENES[scene])
    colours = {phrase for phrase, meanings in words.items() if "colour" in meanings}
    small = {phrase for phrase, meanings in words.items() if meanings.keys() & {"place", "relation"}}
    for phrase, (rank, english) in annotated(annotations, things, key).items():
        taken = words[phrase].keys() if rank else words[phrase].keys() - {"scene", "colour"}
        first, *rest = phrase.split()
        if not taken and (rank == 0 or colours.isdisjoint(phrase.split())) and not (rest and first in small):
            words[phrase]["thing" if rank < 2 else "hint"] = english
    # The stem of the Turkish "adada" is "a", which means nothing.
    stubs = {
        phrase for phrase, meanings in words.items() if len(phrase) == 1 and phrase.isascii() and "scene" in meanings
    }
    kept = {
        phrase: meanings for phrase, meanings in sorted(words.items()) if phrase and meanings and phrase not in stubs
    }
    for emoji in things.words:
        name = annotations.get(emoji, {}).get("tts", [""])[0]
        singulars.setdefault(key(name), name.casefold())
    plurals = source.get("plurals", [])
    nouns = {stem: noun for stem, noun in sorted(singulars.items()) if plurals and "thing" in kept.get(stem, {})}
    return {
        "name": source["name"],
        "stemmer": source.get("stemmer", ""),
        "after": source.get("after") == "true",
        "postpositions": source.get("postpositions") == "true",
        "plurals": plurals,
        "singulars": {stem: noun for stem, noun in nouns.items() if " " not in noun},
        "words": kept,
    }


def annotated(annotations: dict[str, Any], things: Things, key: Any) -> dict[str, tuple[int, str]]:  # noqa: ANN401 - a function
    """Names and keywords of drawings: for each phrase the rank of its best drawing and that drawing's English.

    Ranks: 0 if the phrase is the drawing's name, 1 if the name contains it, 2 for other keywords, which must be unique.
    Everyday drawings come before others.
    """
    rated: dict[str, list[tuple[int, int, int, str]]] = defaultdict(list)
    for emoji, english in things.words.items():
        row = annotations.get(emoji, {})
        if not row.get("tts"):
            continue
        name = key(row["tts"][0])
        everyday = 0 if things.concepts[emoji] in things.favoured else 1
        rated[name].append((0, everyday, len(name), things.names[emoji] if things.is_coloured(emoji) else english))
        for word in row.get("default", []):
            phrase = key(word)
            if phrase == name or not phrase:
                continue
            if things.names[emoji] in UNLIKELY:
                continue
            inside = f" {phrase} " in f" {name} " or (not name.isascii() and " " not in name and phrase in name)
            rated[phrase].append((1 if inside else 2, everyday, len(name), english))
    chosen = {}
    for phrase, candidates in rated.items():
        best = min(candidates)
        loose = sum(rank == best[0] for rank, *_ in candidates)
        if best[0] == 2 and loose > 1:
            continue
        if (len(phrase) > 1 or not phrase.isascii()) and phrase.count(" ") < LONGEST_PHRASE:
            chosen[phrase] = (best[0], best[-1])
    return chosen


def build(packages: Path, out: Path) -> None:
    """Write `LANGUAGE.json` for each language and `emoji.json`."""

    def read(language: str) -> dict[str, Any]:
        path = packages / "annotations/package/annotations" / language / "annotations.json"
        annotations: dict[str, Any] = json.loads(path.read_text("utf-8"))["annotations"]["annotations"]
        return annotations

    lexicon = json.loads((STARTER / "lexicon.json").read_text("utf-8"))
    things = Things(lexicon, read("en"))
    out.mkdir(exist_ok=True)
    for path in sorted(SOURCES.glob("*.yaml")):
        # Every scalar is text: "on" and "no" are words here.
        source = yaml.load(path.read_text("utf-8"), yaml.BaseLoader)  # noqa: S506 - makes plain text only
        _write(out / f"{path.stem}.json", dictionary(source, read(path.stem), things))
    _write(out / "emoji.json", {emoji.replace("\ufe0f", ""): word for emoji, word in things.words.items()})


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=0, sort_keys=True) + "\n", "utf-8")
    print(f"{path.stat().st_size / 1e3:6.0f} kB  {path.name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="folder for all training files")
    parser.add_argument("--out", type=Path, default=STARTER / "languages", help="folder for the dictionaries")
    options = parser.parse_args()
    build(options.work / "packages", options.out)


if __name__ == "__main__":
    main()
