"""Clip art of Debian's package openclipart-svg (public domain): files worth drawing, and the things that they show."""

from __future__ import annotations

import re
from pathlib import Path

from training.drawings.nouns import NO_THING, Nouns, plain

_LEFT_OUT = re.compile(
    r"^(shapes|special|buttons|logos|geography$|computer/(icons|buttons|connectors|diagrams|folders)|"
    r"signs_and_symbols($|/(flags|led|map_symbols|hazard|disability|money))|transportation/(roadsigns|aiga-symbols)|"
    r"recreation/games/(cards|dice)|people/(smilies|stickmen|clothing/pantyhose)|unsorted/duplicates)"
)
_LARGEST_BYTES = 250_000
"""More complex drawings become noise when they are small."""


def read(folder: Path) -> list[Path]:
    """SVG files without text, pictures and flags, each content once, in a fixed order."""
    root = folder / "usr/share/openclipart/svg"
    kept: dict[str, Path] = {}
    for path in sorted(root.rglob("*.svg")):
        if path.is_symlink() or _LEFT_OUT.match(path.parent.relative_to(root).as_posix()):
            continue
        svg = path.read_text("utf-8", errors="replace")
        if len(svg) < _LARGEST_BYTES and not re.search(r"<(svg:)?(text|image|flowRoot)\b", svg):
            kept.setdefault(svg, path)
    return list(kept.values())


def thing(path: Path, nouns: Nouns, known: frozenset[str]) -> str:
    """The thing that a file shows by its name or its title; "" if neither is a plain noun."""
    title = re.search(r"<dc:title>(.*?)</dc:title>", path.read_text("utf-8", errors="replace"), re.DOTALL)
    file = re.sub(r"(_[a-z]*_?[a-z]*)?_?\d*$", "", path.stem)
    for words in (plain(title[1]) if title else "", plain(file), plain(path.stem)):
        name = words if words in known else nouns.described(words) if words else ""
        if name and name not in NO_THING:
            return name
    return ""
