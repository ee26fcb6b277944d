"""Colours in words: names of CSS and hex codes, as text in one canonical form. No torch; any thread."""

from __future__ import annotations

import re

from PIL.ImageColor import colormap, getrgb

from generator.errors import InvalidRequest
from generator.messages import Message

NONE = "none"
"""The text for no colours at all."""
OF_PICTURE = "picture"
"""The text for the colours of a picture that comes with the request, which are found when it is painted."""

_HEX = re.compile(r"#?([0-9a-f]{3}|[0-9a-f]{6})")


def canonical(text: str, most: int, field: str) -> str:
    """Rewrite colours as hex codes such as `#000080, #ffd700`, each once; `none` stays, and so does `picture`.

    Commas separate colours whose names may have spaces (`light blue, navy`); without commas, spaces do. Where one
    colour alone is allowed, no picture is.

    Raises:
        InvalidRequest: if there is no colour, or one that is unknown, or more than `most`; it names the `field`.
    """
    words = text.strip().strip("[]").casefold()
    if words == NONE or (words == OF_PICTURE and most > 1):
        return words
    whole = "," in words or words.replace(" ", "") in colormap
    parts = [part.strip(" '\"") for part in (words.split(",") if whole else words.split())]
    colours = list(dict.fromkeys(_hex(part, field) for part in parts if part))
    if not colours:
        said = "{name} holds no colours; write names or codes, such as navy, #ffcc00, or none."
        raise InvalidRequest(Message(said, name=field), field)
    if len(colours) > most:
        said = "{name} takes at most {most} colours, not {count}."
        if most == 1:
            said = "{name} takes one colour, not {count}."
        raise InvalidRequest(Message(said, name=field, most=most, count=len(colours)), field)
    return ", ".join(colours)


def rgb_of(text: str) -> tuple[tuple[float, float, float], ...]:
    """Red, green and blue in 0..1 of each colour in a canonical text; none for `none` and `picture`."""
    if text in (NONE, OF_PICTURE):
        return ()
    values = (bytes.fromhex(code[1:]) for code in text.split(", "))
    return tuple((red / 255, green / 255, blue / 255) for red, green, blue in values)


def _hex(word: str, field: str) -> str:
    if (code := _HEX.fullmatch(word)) is not None:
        return f"#{code[1] if len(code[1]) == 6 else ''.join(digit * 2 for digit in code[1])}"
    name = word.replace(" ", "").replace("-", "")
    if name not in colormap:
        said = "{name} has the colour {given}, which is unknown; write a name such as navy or a code such as #ffcc00."
        raise InvalidRequest(Message(said, name=field, given=repr(word[:40])), field)
    return f"#{bytes(getrgb(name)[:3]).hex()}"
