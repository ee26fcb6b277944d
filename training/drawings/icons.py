"""Icons of the Iconify packages: their SVG by name, and the things that they show."""

from __future__ import annotations

import json
import re
from pathlib import Path

from training.drawings.nouns import NO_THING, Nouns, lines, plain
from training.drawings.raster import wrapped

_VARIANT = re.compile(r"-(negative|solid|remix|fill|filled|bold|thin|light|duotone|off|duo|flat|logo)(-|$)")
_COMPOUNDS = frozenset(lines("compounds.txt"))
"""Names of several words, not in WordNet, that plainly name a thing."""
_NUMBERED = re.compile(r"(-outline|-one|-two|-three|-four|-simple|-\d+(px)?)+$")


class IconSet:
    """One Iconify package: icons by name, with what names they can have."""

    def __init__(self, folder: Path) -> None:
        data = json.loads((folder / "icons.json").read_text("utf-8"))
        self._icons = {name: icon for name, icon in data["icons"].items() if not icon.get("hidden")}
        self._size = data.get("width", 16), data.get("height", 16)
        path = folder / "chars.json"
        chars = json.loads(path.read_text("utf-8")) if path.exists() else {}
        self.by_code = {code.replace("-fe0f", ""): name for code, name in chars.items() if name in self._icons}
        """Names of icons by the hexadecimal code of their emoji, without variation selectors."""

    def svg(self, name: str) -> str:
        icon = self._icons[name]
        width, height = icon.get("width", self._size[0]), icon.get("height", self._size[1])
        return wrapped(icon["body"], icon.get("left", 0), icon.get("top", 0), width, height)

    def things(self, nouns: Nouns, known: frozenset[str], outlined: bool | None = None) -> dict[str, str]:
        """The icon for each thing that the set shows: known names, compounds that are listed, and plain nouns.

        With `outlined`, only icons that are (or are not) the outline of another one.
        """
        found: dict[str, str] = {}
        for icon in self._icons:
            if _VARIANT.search(icon) or (outlined is not None and outlined != icon.endswith("-outline")):
                continue
            name = plain(_NUMBERED.sub("", icon))
            thing = name if name in known or name in _COMPOUNDS else nouns.described(name)
            if thing and thing not in NO_THING and (thing not in found or len(icon) < len(found[thing])):
                found[thing] = icon
        return found
