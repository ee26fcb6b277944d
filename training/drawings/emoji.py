"""Emoji that show a thing: their names and keywords, and the file of each in the packages of emoji."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SKIPPED_GROUPS = ("Flags", "Component")
# Of the symbols only those that show a thing; the rest are letters, arrows and signs.
_KEPT_SYMBOLS = (
    (
        "warning,no entry,radioactive,biohazard,star of David,yin yang,peace symbol,check mark,cross mark,musical note,"
        "musical notes,recycling symbol,red circle,orange circle,yellow circle,green circle,blue circle,purple circle,"
        "brown circle,black circle,white circle,red square,orange square,yellow square,green square,blue square,"
        "purple square,brown square,eight-pointed star,sparkle,trident emblem,question mark,exclamation mark,infinity"
    )
    .replace("question mark", "red question mark")
    .replace("exclamation mark", "red exclamation mark")
)


@dataclass(frozen=True)
class Concept:
    """One thing that can be drawn: its emoji ("" if it has none), its name, its group and its aliases."""

    emoji: str
    name: str
    group: str
    aliases: tuple[str, ...]


def hexadecimal(emoji: str) -> str:
    """Code of an emoji as files are named: "1f600" or "2764-fe0f"."""
    return "-".join(f"{ord(char):04x}" for char in emoji)


def _clean(words: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"[_\-:“”\"'’!.,&()]+", " ", words)).strip().lower()


def read_concepts(packages: Path) -> list[Concept]:
    """Read all concepts that are drawn things, in Unicode's order; aliases are tags and keywords, the name first."""
    names = json.loads((packages / "names/package/data-by-emoji.json").read_text("utf-8"))
    rows = json.loads((packages / "tags/package/en/data.json").read_text("utf-8"))
    keywords = json.loads((packages / "keywords/package/dist/emoji-en-US.json").read_text("utf-8"))
    tags: dict[str, list[str]] = {row["hexcode"].lower().replace("-fe0f", ""): row.get("tags", []) for row in rows}
    concepts = []
    for emoji, info in names.items():
        if info["group"] in _SKIPPED_GROUPS or not _is_drawn(info):
            continue
        name = _clean(info["name"])
        extra = [*tags.get(hexadecimal(emoji).replace("-fe0f", ""), []), *keywords.get(emoji, [])]
        aliases = dict.fromkeys([name, *(_clean(word) for word in extra)])
        kept = tuple(word for word in aliases if re.fullmatch(r"[a-z][a-z ]{1,30}", word))
        if re.fullmatch(r"[a-z0-9 ñãéô]{2,60}", name):
            concepts.append(Concept(emoji, name, info["group"], kept))
    return concepts


def _is_drawn(info: dict[str, Any]) -> bool:
    if info["group"] == "Symbols":
        return info["name"] in _KEPT_SYMBOLS.split(",")
    return not info["name"].startswith(("keycap", "input", "family:"))


class EmojiFiles:
    """Files of the packages of emoji that are pictures of pixels: `fluent` and `twitter`."""

    def __init__(self, packages: Path) -> None:
        self._fluent = packages / "fluent/package/assets"
        self._twitter = packages / "twitter/package/img/twitter/64"
        pretty = json.loads((packages / "twitter/package/emoji.json").read_text("utf-8"))
        self._has_twitter = {row["unified"].lower() for row in pretty if row["has_img_twitter"]}

    def find(self, emoji: str, style: str) -> Path | None:
        code = hexadecimal(emoji)
        bare = code.replace("-fe0f", "")
        if style == "twitter":
            return self._twitter / f"{code}.png" if code in self._has_twitter else None
        paths = [self._fluent / f"{code}.webp", self._fluent / f"{bare}.webp", self._fluent / f"{bare}-fe0f.webp"]
        return next((path for path in paths if path.exists()), None)
