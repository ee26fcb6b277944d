"""Wording of a prompt beside its things: styles, scenes, colours, and those that a remix takes over. No torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_SCENE_WORDS = {
    "sky": "sky clouds cloud",
    "night": "night stars moonlight dark midnight moon",
    "space": "space galaxy",
    "sunset": "sunset dusk evening sunrise dawn",
    "sea": "sea ocean water lake waves river",
    "beach": "beach sand island",
    "desert": "desert dune",
    "snow": "snow winter ice snowstorm",
    "forest": "forest woods jungle trees",
    "meadow": "grass meadow field hill park summer",
    "garden": "garden flowers spring",
    "mountains": "mountains mountain",
    "city": "city town buildings",
    "fire": "fire flames hell lava",
    "rain": "rain storm",
    "road": "road street",
    "autumn": "autumn fall leaves",
}
_SCENES = {word: scene for scene, words in _SCENE_WORDS.items() for word in words.split()}
_OUTDOORS = "|".join(_SCENES)
_SCENES |= {"underwater": "underwater", "downtown": "city", "indoors": "room"}
_ROOMS = ("room", "home", "house", "kitchen", "bedroom", "bathroom", "classroom")
_SCENES |= dict.fromkeys((*_ROOMS, "floor"), "room")
SCENE_WORDS = frozenset(_SCENES)
"""Single words that name a scene."""
_NO_LANDSCAPES = (
    "clouds cloud stars moon ice leaves water trees room fire flames fall house home floor kitchen grass flowers hell"
)
_LANDSCAPES = {word: scene for word, scene in _SCENES.items() if word not in _NO_LANDSCAPES.split()}
_LANDSCAPES |= {
    "cityscape": "city", "skyline": "city", "seascape": "sea", "landscape": "mountains", "aurora": "night",
    "summer": "meadow", "spring": "garden", "universe": "space", "cosmos": "space",
}  # fmt: skip
"""Nouns that name a scene without a preposition too, and never a thing on it: "a city and a dog"."""
_NAMED = {
    "northern lights": "night", "night sky": "night", "starry sky": "night", "starry night": "night",
    "milky way": "space", "outer space": "space",
}  # fmt: skip
"""Scenes of two words, named with and without a preposition."""
_FIRST = [
    "underwater",
    "space",
    "fire",
    "rain",
    "autumn",
    "snow",
    "beach",
    "desert",
    "city",
    "mountains",
    "forest",
    "garden",
    "meadow",
    "road",
    "room",
    "sea",
    "sky",
    "sunset",
    "night",
]
"""Scenes of which a picture shows only the first that is named."""
_LIGHTS = {"night": ("sky", "space"), "sunset": ("sky", "sea")}
"""Times of day that fall on another scene, and the scenes on which they change nothing."""
_WHERE = re.compile(
    r"\b(?:(?:in|on|at|under|among|amid|near|by|over|above|through|across|during|out of|into|along|down|beneath|below|"
    r"around|against) "
    r"(?:(?:the|a|an|front of|middle of|deep|blue|dark|outer|starry|autumn|sunny|rainy|green|open|busy|day|middle) )"
    r"{0,4}"
    rf"(?:{_OUTDOORS})|(?:in|inside|at) (?:(?:the|a|an|my|your) )?(?:living |dining )?(?:{'|'.join(_ROOMS)})|"
    r"on the floor|"
    r"underwater|under water|downtown|indoors|on a (?:sunny|rainy) day)\b"
)
_UNDER_WATER = re.compile(r"\b(?:under|beneath|below) (?:the )?(?:water|sea|ocean|waves)\b|\bdeep sea\b")

PALETTE: dict[str, tuple[int, int, int]] = {
    "red": (222, 36, 36), "orange": (248, 136, 22), "yellow": (252, 214, 40), "green": (52, 172, 70),
    "blue": (42, 106, 224), "purple": (136, 66, 190), "pink": (250, 128, 184), "brown": (138, 86, 50),
    "black": (46, 46, 52), "white": (244, 244, 246), "grey": (142, 146, 152), "turquoise": (54, 196, 190),
    "golden": (222, 172, 50),
}  # fmt: skip
"""RGB of each colour that can be asked for."""
_GROUND = frozenset(
    {"background", "ground", "surroundings", "rest", "hintergrund", "fond", "arrière-plan", "fondo", "sfondo", "fundo",
     "achtergrond", "tło", "фон", "arka", "背景", "배경"}
)  # fmt: skip
"""Words for all of a picture that is no thing, in the languages that are understood."""
COLOURS = {
    **{colour: colour for colour in PALETTE},
    "gray": "grey", "silver": "grey", "gold": "golden", "violet": "purple", "cyan": "turquoise", "teal": "turquoise",
}  # fmt: skip
"""The colour that each word means."""

_MEDIUM = (
    "painting|watercolou?rs?|gouache|pixel art|pixels|drawing|sketch|photo|photograph|photography|illustration|"
    "logo|sticker|tattoo|poster|wallpaper|portrait|"
    "rendering|render|art|artwork|style|engraving|etching|lithograph|woodcut|anime|manga|cartoon|comic|icon|emoji|"
    "clip ?art|line ?art|mosaic|graffiti|3 ?d|2 ?d|flat|vector|glossy|realistic|photorealistic|detailed|hd|4k|8k|"
    "cinematic|masterpiece|trending|impressionism|cubism|surrealism|minimalist|doodles?|scribbles?|freehand|"
    "hand[- ]drawn|stencil|silhouettes?|linocut|lino print|paper ?cut|black and white|"
    "monochrome|outlines?|colou?ring (?:page|book)|"
    "unreal engine|octane(?: render)?|artstation|best quality|high quality|award[- ]winning|bokeh|depth of field|"
    "(?:sharp|soft) focus|close[- ]up|wide angle|(?:studio|cinematic|volumetric|dramatic|soft|natural) light(?:s|ing)?"
)
_OF_A_MEDIUM = re.compile(
    rf"^(?:(?:a|an|the|some) )?(?:[\w-]+ ){{0,3}}?(?:{_MEDIUM}|picture|image|portrait|statue) (?:of|showing) "
)
_MANNER = re.compile(
    r"\s*\b(?:(?:in|with) the (?:style|manner) of\b.*|in (?:an?|the) (?:[\w-]+ ){0,3}style\b.*|"
    rf"(?:in|as|like) (?:(?:an?|the) )?(?:[\w-]+ ){{0,2}}?(?:{_MEDIUM}|pencil|crayons?|chalk|ink)$|"
    rf"(?:painted |drawn )?by (?!(?:the|an?|my|his|her|their|day|{'|'.join(_SCENES)})\b)\w+(?: \w+){{0,3}}$)"
)
_STYLED = re.compile(rf"\b(?:{_MEDIUM})\b")
_STYLES = {
    "pixels": re.compile(r"\b(?:pixel art|pixels|pixelated|(?:8|16|32)-?bit)\b"),
    "watercolour": re.compile(r"\b(?:watercolou?rs?|gouache)\b"),
    "doodle": re.compile(
        r"\b(?:doodles?|doodled|scribbles?|sketch|freehand|hand[- ]drawn|(?:crayon|chalk|pencil|child'?s) drawing|"
        r"in (?:crayons?|chalk|pencil))\b"
    ),
    "line": re.compile(
        r"\b(?:line ?art|line drawing|ink drawing|in ink|(?:simple|clear) (?:drawing|outlines?)|outlines?|engraving|"
        r"etching|colou?ring (?:page|book))\b"
    ),
    "stencil": re.compile(
        r"\b(?:stencil|silhouettes?|linocut|lino print|paper ?cut|woodcut|monochrome|in black and white)\b|"
        r"(?:^|[,|]) ?black and white\b"
    ),
    "clipart": re.compile(r"\b(?:clip ?art|comic(?! book)|vector)\b"),
    "flat": re.compile(r"\b(?:flat|2 ?d|simple|icon|minimalist)\b"),
    "noto": re.compile(r"\b(?:cartoon|emoji)\b"),
    "3d": re.compile(r"\b(?:3 ?d|glossy|render|rendering|realistic|photo|photograph|photorealistic)\b"),
}
"""Words that name each style; the first that fits counts."""
_DRAWINGS = {
    style: number for number, style in enumerate(("3d", "noto", "flat", "line", "stencil", "clipart", "doodle"))
}
"""Numbers of the stored drawings of a style, as `models.drawings.stored.STYLES` has them."""
_LOOKS = {
    "line": "lines",
    **{style: style for style in ("pixels", "watercolour", "doodle", "stencil", "clipart", "flat")},
}
_ADJECTIVES = (
    "(?:8|16|32)-?bit|"
    "glossy|flat|simple|realistic|3 ?d|2 ?d|cartoon|pixel art|line ?art|clip ?art|watercolou?r|doodled?|hand[- ]drawn|"
    "stencil|pencil|crayon|minimalist"
)
_LEADING = re.compile(rf"^((?:an?|the) )?(?:(?:{_ADJECTIVES}) )+(?=\w)")


def without_style(pieces: Sequence[str]) -> str:
    """Join the pieces of a prompt without the words that only name a style, an artist or a medium.

    A prompt that consists of such words keeps them: "a painting" alone asks for one.
    """
    kept = [part for at, piece in enumerate(pieces) for part in _unstyled(piece, first=at == 0)]
    return ", ".join(kept) or " ".join(pieces)


def _unstyled(piece: str, first: bool) -> list[str]:
    parts = [part for part in (" ".join(part.lower().split()) for part in piece.split(",")) if part]
    found = []
    for at, part in enumerate(parts):
        subject = _OF_A_MEDIUM.sub("", _MANNER.sub("", part))
        if subject == part and _STYLED.search(part) and not (first and at == 0):
            continue
        found.append(_LEADING.sub(r"\1", subject).strip())
    return [part for part in found if part]


def style_of(text: str) -> str:
    """The style that the text names; "" for none."""
    return next((style for style, words in _STYLES.items() if words.search(text.lower())), "")


def drawing_of_style(text: str) -> int | None:
    """The number of the drawings that suit the named style, None if none is named or it has none of its own."""
    return _DRAWINGS.get(style_of(text))


def look_of_style(text: str) -> str:
    """The look of `models.looks` that the text asks for; "" for none."""
    return _LOOKS.get(style_of(text), "")


def style_words(text: str) -> frozenset[str]:
    """The words and digits of the text, in lower case, that name a style or a medium."""
    text = text.lower()
    spans = (hit[0] for words in (_STYLED, *_STYLES.values()) for hit in words.finditer(text))
    return frozenset(word for span in spans for word in re.findall(r"[^\W\d_]+|\d", span))


def scene_of(text: str) -> tuple[str, str]:
    """The scene that the text names and its words, such as ("night", "at night"); empty if there is none."""
    text = text.lower()
    found = _WHERE.search(text)
    if found is None:
        return "", ""
    words = found[0]
    if _UNDER_WATER.search(text) or words in ("underwater", "under water"):
        return "underwater", words
    if words.startswith("on a sunny"):
        return "sky", words
    if words.startswith("on a rainy"):
        return "rain", words
    return _SCENES[words.rsplit(" ", 1)[-1]], words


@dataclass(frozen=True)
class Scenery:
    """The ground of a picture.

    Attributes:
        scene: a scene's name; "" for plain paper.
        light: "night" or "sunset" where that falls on another scene, else "".
    """

    scene: str = ""
    light: str = ""


def scene_spans(text: str) -> list[tuple[int, int, str]]:
    """Begin, end and name of each scene that a text in lower case names, from left to right."""
    spans = [(*hit.span(), scene_of(hit[0])[0]) for hit in _WHERE.finditer(text)]
    for hit in re.finditer(rf"\b(?:{'|'.join(_NAMED)})\b", text):
        if not any(begin < hit.end() and hit.start() < end for begin, end, _ in spans):
            spans.append((*hit.span(), _NAMED[hit[0]]))
    return sorted(spans)


def landscape(words: str) -> str:
    """The scene that a noun names by itself; "" for others."""
    return _LANDSCAPES.get(words, "")


def scenery_of(scenes: Sequence[str]) -> Scenery:
    """The ground of a picture whose words name these scenes."""
    places = [scene for scene in scenes if scene not in _LIGHTS]
    light = next((light for light in _LIGHTS if light in scenes), "")
    scene = min(places, key=_FIRST.index, default="")
    if not scene or scene in _LIGHTS.get(light, ()):
        return Scenery(scene if scene == "space" else light or scene)
    return Scenery(scene, light)


def is_time_of_day(words: str) -> bool:
    """True for the words of a scene that is a light on others, such as "at night"."""
    return scene_of(words)[0] in _LIGHTS


def without_scene(text: str) -> str:
    """The text without the words of its scenes."""
    return " ".join(_WHERE.sub(" ", text).split())


def colours_of(text: str) -> tuple[str, ...]:
    """The colours that the text names, each once."""
    return tuple(dict.fromkeys(COLOURS[word] for word in re.findall(r"[a-z]+", text.lower()) if word in COLOURS))


def carried(new: str, old: str, thing: str) -> str:
    """The new words with the old ones' only colour and scenes where the new ones name none.

    Args:
        new: the words of a remix.
        old: its parent's words.
        thing: the one thing that the new words name, as they name it; "" if there are none or several.
    """
    new, old = " ".join(new.lower().split()), old.lower()
    colours = colours_of(old)
    if thing and len(colours) == 1 and not colours_of(new):
        new = re.sub(rf"\b(?:(an?) )?{re.escape(thing)}\b", lambda hit: _coloured(hit, colours[0], thing), new, count=1)
    if scene_spans(new):
        return new
    return " ".join((new, *(old[begin:end] for begin, end, _ in scene_spans(old))))


def _coloured(hit: re.Match[str], colour: str, thing: str) -> str:
    article = "" if hit[1] is None else "an " if colour[0] in "aeiou" else "a "
    return f"{article}{colour} {thing}"


def nearest_colour(rgb: Sequence[float]) -> str:
    """The name of the nearest colour to red, green and blue in 0..1; "" for one without a clear hue."""
    if max(rgb) - min(rgb) < 0.2:
        return ""
    distances = {
        name: sum((255 * value - other) ** 2 for value, other in zip(rgb, colour, strict=True))
        for name, colour in PALETTE.items()
        if name not in ("black", "white", "grey")
    }
    return min(distances, key=lambda name: distances[name])


def names_ground(words: str) -> bool:
    """True if words for a region mean all of the picture that is no thing."""
    return not _GROUND.isdisjoint(words.casefold().split())
