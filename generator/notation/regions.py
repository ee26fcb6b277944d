"""Regions of a picture in words, as text in one canonical form. No torch; any thread.

`left 50%` is a side, `box 10% 20% 60% 80%` an area between shares of the width and of the height, `picture` the mask
that comes with the request, and everything else names what the picture shows: `the sky`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from generator.errors import InvalidRequest
from generator.messages import Message
from generator.notation.palette import NONE

PICTURE = "picture"
"""The region that the mask of the request shows."""
SIDES = ("left", "right", "top", "bottom")
ALL_SIDES = "all"
MAX_WORDS_CHARACTERS = 200
MAX_MARGIN = 1.0
"""Largest margin, as a share of the picture that it is added to."""

_SHARE = r"(\d{1,3}(?:[.,]\d{1,4})?)\s*%"
_SIDE = re.compile(rf"(left|right|top|bottom)(?:\s+{_SHARE})?")
_BOX = re.compile(rf"(?:box\s+)?{_SHARE}[\s,]+{_SHARE}[\s,]+{_SHARE}[\s,]+{_SHARE}")
_BEGUN = re.compile(r"(box\b|(left|right|top|bottom|all)\s*[-\d%]|[-\d.,\s%]+$)")
_MARGIN = re.compile(rf"(left|right|top|bottom|all)(?:\s+{_SHARE})?")


class Area(NamedTuple):
    """A rectangle between shares of the picture's width and height, 0..1."""

    left: float
    top: float
    right: float
    bottom: float


class Margins(NamedTuple):
    """Margins that are added to a picture, as shares of its width (left, right) and its height (top, bottom)."""

    left: float = 0.0
    right: float = 0.0
    top: float = 0.0
    bottom: float = 0.0

    @property
    def across(self) -> float:
        """Width of the whole, as a multiple of the picture's."""
        return 1 + self.left + self.right

    @property
    def down(self) -> float:
        """Height of the whole, as a multiple of the picture's."""
        return 1 + self.top + self.bottom

    @property
    def kept(self) -> Area:
        """The picture's place in the whole."""
        left, top = self.left / self.across, self.top / self.down
        return Area(left, top, left + 1 / self.across, top + 1 / self.down)


def canonical_region(text: str, field: str) -> str:
    """Rewrite a region in one form; `none` stays.

    Raises:
        InvalidRequest: for an area that is none, and for text that is empty or too long; it names the `field`.
    """
    words = " ".join(text.split()).strip(" \"'“”„«».")
    plain = words.casefold()
    if plain in (NONE, PICTURE):
        return plain
    if (side := _SIDE.fullmatch(plain)) is not None:
        return f"{side[1]} {_percent(_share(side[2] or '50', field, text))}"
    if (box := _BOX.fullmatch(plain)) is not None:
        area = Area(*(_share(part, field, text, least=0) for part in box.groups()))
        if area.left < area.right and area.top < area.bottom and area != Area(0, 0, 1, 1):
            return f"box {' '.join(map(_percent, area))}"
        raise _no_region(field, text)
    if not words or _BEGUN.match(plain):
        raise _no_region(field, text)
    if len(words) > MAX_WORDS_CHARACTERS:
        said = "{name} has {count} characters; at most {most} are allowed."
        raise InvalidRequest(Message(said, name=field, count=len(words), most=MAX_WORDS_CHARACTERS), field)
    return words


def area_of(region: str) -> Area | None:
    """The area of a canonical region that is a side or a box; None for the others."""
    if (side := _SIDE.fullmatch(region)) is not None:
        share = float(side[2]) / 100
        return {
            "left": Area(0, 0, share, 1),
            "right": Area(1 - share, 0, 1, 1),
            "top": Area(0, 0, 1, share),
            "bottom": Area(0, 1 - share, 1, 1),
        }[side[1]]
    if (box := _BOX.fullmatch(region)) is not None:
        return Area(*(float(part) / 100 for part in box.groups()))
    return None


def canonical_margins(text: str, field: str) -> str:
    """Rewrite margins as `left 50%, top 25%`, each side once; `all 25%` stands for the four; `none` stays.

    Raises:
        InvalidRequest: for text that names no side, or a share that is out of range.
    """
    plain = " ".join(text.casefold().split())
    if plain == NONE:
        return NONE
    found: dict[str, float] = {}
    for part in plain.strip(" ,").split(","):
        margin = _MARGIN.fullmatch(part.strip())
        if margin is None:
            said = "{name} must name sides with shares, such as left 50% or top 25%, bottom 25%, not {given}."
            raise InvalidRequest(Message(said, name=field, given=repr(text[:40])), field)
        sides = SIDES if margin[1] == ALL_SIDES else (margin[1],)
        found |= dict.fromkeys(sides, _share(margin[2] or "50", field, text, most=MAX_MARGIN))
    return ", ".join(f"{side} {_percent(found[side])}" for side in SIDES if side in found)


def margins_of(text: str) -> Margins:
    """Margins from their canonical text."""
    if text == NONE:
        return Margins()
    parts = (part.split() for part in text.split(", "))
    return Margins(**{side: float(share.rstrip("%")) / 100 for side, share in parts})


def _share(text: str, field: str, given: str, least: float = 0.01, most: float = 0.99) -> float:
    share = float(text.replace(",", ".")) / 100
    if least == 0:
        most = 1.0
    if not least <= share <= most:
        said = "{name} takes shares from {low}% to {high}%, not {given}."
        shown = {"low": f"{100 * least:g}", "high": f"{100 * most:g}"}
        raise InvalidRequest(Message(said, name=field, given=repr(given[:40]), **shown), field)
    return share


def _percent(share: float) -> str:
    return f"{round(100 * share, 4):g}%"


def _no_region(field: str, text: str) -> InvalidRequest:
    said = "{name} must be a side such as left 50%, a box such as box 10% 20% 60% 80%, or words, not {given}."
    return InvalidRequest(Message(said, name=field, given=repr(text[:40])), field)
