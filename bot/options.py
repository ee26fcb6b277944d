"""Options of a picture: one table for /imagine and for words in a prompt such as `--ar 16:9`. Pure; any thread.

A word is two hyphens, or the dash that phones make of them, before an option's name. Its value is the next word, or
keyframes such as `0: 1.0, 50%: 0.2`; for colours also the words after its commas; for a text all words up to the next
option, `|` or `^`. Unknown words stay in the prompt.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from bot.errors import InvalidJobSpec
from bot.jobs import MAX_COUNT


class Kind(Enum):
    """The kind of an option's value."""

    SETTING = auto()
    """One of the generator's settings."""
    TEXT = auto()
    WORD = auto()
    """A text of one word."""
    COUNT = auto()
    SWITCH = auto()
    """True if it is there."""
    COLOURS = auto()
    """One of the generator's settings: colours, separated by commas."""
    WORDS = auto()
    """One of the generator's settings: words up to the next option."""
    ATTACHED = auto()
    """A file, or a number that belongs to one; it cannot be typed into a prompt."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option of a picture; `also` are other names of it in a prompt.

    With `only_typed` it is no option of /imagine, since Discord takes 25 at most, and is typed into the prompt.
    """

    name: str
    kind: Kind = Kind.SETTING
    only_typed: bool = False
    also: tuple[str, ...] = ()


OPTIONS = (
    Option(name="size", also=("ar", "aspect")),
    Option(name="steps"),
    Option(name="seed"),
    Option(name="start"),
    Option(name="init_image", kind=Kind.ATTACHED),
    Option(name="init_weight"),
    Option(name="mask", kind=Kind.ATTACHED),
    Option(name="repaint", kind=Kind.WORDS),
    Option(name="keep", kind=Kind.WORDS),
    Option(name="outpaint", kind=Kind.WORDS),
    Option(name="image_prompt", kind=Kind.ATTACHED),
    Option(name="image_weight", kind=Kind.ATTACHED),
    Option(name="style", kind=Kind.TEXT),
    Option(name="model", kind=Kind.WORD, also=("models",)),
    Option(name="negative", kind=Kind.TEXT, also=("no",)),
    Option(name="count", kind=Kind.COUNT),
    *(Option(name=name) for name in ("learning_rate", "cutouts", "colour")),
    *(Option(name=name) for name in ("noise", "optimiser", "coarse")),
    Option(name="timelapse", kind=Kind.SWITCH, also=("video",)),
    Option(name="private", kind=Kind.SWITCH),
    Option(name="preset", kind=Kind.TEXT, only_typed=True),
    *(Option(name=name, only_typed=True) for name in ("flip", "affine", "perspective", "sharpness", "scene_steps")),
    Option(name="feather", only_typed=True),
    Option(name="palette", kind=Kind.COLOURS, only_typed=True),
    *(Option(name=name, only_typed=True) for name in ("symmetry", "border", "flatness", "laplacian")),
    *(
        Option(name=name, only_typed=True)
        for name in ("saturation", "contrast", "likeness", "tile", "drawer", "pixel_size", "upscaler")
    ),
    *(Option(name=name, only_typed=True) for name in ("palette_weight", "symmetry_weight")),
    *(Option(name=name, only_typed=True) for name in ("border_weight", "border_width", "total_variation")),
)
"""All options of a picture beside the prompt; those of /imagine first, in its order."""
OF_COMMAND = tuple(option for option in OPTIONS if not option.only_typed)
"""The options of /imagine."""
SETTINGS = tuple(option.name for option in OPTIONS if option.kind in (Kind.SETTING, Kind.COLOURS, Kind.WORDS))
WORDS: Mapping[str, Option] = {
    word: option for option in OPTIONS if option.kind is not Kind.ATTACHED for word in (option.name, *option.also)
}
"""The option of each name in a prompt."""

GRAIN_PX = 16
"""The grid of the models' sizes."""
_RATIO = re.compile(r"\s*([0-9]{1,3})\s*:\s*([0-9]{1,3})\s*")
_WORD = re.compile(r"(?<!\S)(?P<dash>--|[—–]{1,2})(?P<name>[A-Za-z][\w-]*)(?:=|(?![^\s|^]))")
_FRAME = r"\d+(?:\.\d+)?%?[^\S\n]*:[^\S\n]*[+-]?[\d.]+"
_VALUE = re.compile(rf"[^\S\n]*(?P<value>{_FRAME}(?:[^\S\n]*,[^\S\n]*{_FRAME})+|[^\s|^]+)")
_COLOURS = re.compile(r"[^\S\n]*(?P<value>[^\s|^,]+(?:[^\S\n]*,[^\S\n]*[^\s|^,]+)*)")
_TEXT = re.compile(r"(?P<value>(?:\\[|^]|[^|^])*)")
_QUOTES = "\"'“”„«»"


@dataclass(frozen=True, kw_only=True)
class Typed:
    """A prompt without the options that were typed into it.

    Attributes:
        prompt: the rest of the prompt; unchanged if there was no option.
        settings: values of settings, as typed.
    """

    prompt: str
    settings: Mapping[str, str] = field(default_factory=dict)
    negative: str = ""
    style: str | None = None
    model: str | None = None
    preset: str | None = None
    count: int = 1
    private: bool = False
    timelapse: bool = False


def read(prompt: str, styles: Collection[str] = (), presets: Collection[str] = ()) -> Typed:
    """Take the options out of a prompt. Of an option that comes twice, the last counts; texts to avoid add up.

    `styles` and `presets` are the known names: of the words after `--style` or `--preset`, the longest name is taken.

    Raises:
        InvalidJobSpec: if an option has no value, or a count is no number.
    """
    text, names = _without_ticks(prompt), {"style": styles, "preset": presets}
    found: dict[str, str] = {}
    avoided, kept, at = list[str](), list[str](), 0
    for match in _WORD.finditer(text):
        option = _option(match)
        if match.start() < at or option is None:
            continue
        kept.append(text[at : match.start()])
        value, at = _value(text, match, option, names.get(option.name))
        if option.name == "negative":
            avoided += [part.strip(f" {_QUOTES}") for part in value.split(",")]
        else:
            found[option.name] = value
    if not kept:
        return Typed(prompt=prompt)
    return Typed(
        prompt=" ".join(" ".join([*kept, text[at:]]).split()),
        settings={name: value for name, value in found.items() if name in SETTINGS},
        negative=" | ".join(filter(None, avoided)),
        style=found.get("style"),
        model=found.get("model"),
        preset=found.get("preset"),
        count=_count(found.get("count", "1")),
        private="private" in found,
        timelapse="timelapse" in found,
    )


def unknown_in(prompt: str) -> tuple[str, ...]:
    """The words of a prompt without options that look like options and are none, as typed."""
    return tuple(
        dict.fromkeys(
            f"--{match['name']}"
            for match in _WORD.finditer(_without_ticks(prompt))
            if match["dash"] == "--" and _option(match) is None
        )
    )


def suggestions(prompt: str, styles: Sequence[str], presets: Sequence[str] = ()) -> list[str]:
    """Continuations of a prompt that is being typed: options whose names begin so, else a preset or a style for it."""
    text = prompt.rstrip()
    begun = re.search(r"(?<!\S)(?:--|[—–]{1,2})([\w-]*)$", text)
    if begun is not None:
        names = [word.replace("_", "-") for word in WORDS]
        return [f"{text[: begun.start()]}--{name} " for name in names if name.startswith(begun[1].casefold())]
    named = re.search(r"(?<!\S)(?:--|[—–]{1,2})(style|preset)(?:\s+([^|^]*))?$", prompt, re.IGNORECASE)
    option = "style" if named is None else named[1].casefold()
    names = list(styles if option == "style" else presets)
    if named is not None:
        wanted, text = (named[2] or "").strip().casefold(), prompt[: named.start()].rstrip()
        names = [name for name in names if name.casefold().startswith(wanted)]
    return [f"{text} --{option} {name}".strip() for name in names] if text else []


def written(values: Mapping[str, object]) -> str:
    """Options as words of a prompt that `read` takes out again; a switch has the value True."""
    return " ".join(f"--{name}" if value is True else f"--{name} {value}" for name, value in values.items())


def ratio_of(text: object) -> tuple[int, int] | None:
    """The shape in a text such as `16:9`; None for anything else."""
    found = _RATIO.fullmatch(text) if isinstance(text, str) else None
    if found is None or not int(found[1]) or not int(found[2]):
        return None
    return int(found[1]), int(found[2])


def shaped(ratio: tuple[int, int], side: float, most: int | None = None) -> tuple[int, int]:
    """Width and height for a ratio with about side x side pixels, on the models' grid, of at most `most` a side."""
    width, height = ratio
    scale = side / (width * height) ** 0.5
    if most is not None and max(ratio) * scale > most:
        scale = most / max(ratio)
        return int(width * scale) // GRAIN_PX * GRAIN_PX, int(height * scale) // GRAIN_PX * GRAIN_PX
    return round(width * scale / GRAIN_PX) * GRAIN_PX, round(height * scale / GRAIN_PX) * GRAIN_PX


def _option(match: re.Match[str]) -> Option | None:
    return WORDS.get(match["name"].casefold().replace("-", "_"))


def _value(text: str, match: re.Match[str], option: Option, names: Collection[str] | None) -> tuple[str, int]:
    """The value of an option, one of `names` if it has names, and the place in the text after it."""
    start = match.end()
    if option.kind is Kind.SWITCH:
        return "", start
    following = _WORD.search(text, start)
    end = len(text) if following is None else following.start()
    found = {Kind.TEXT: _TEXT, Kind.WORDS: _TEXT, Kind.COLOURS: _COLOURS}.get(option.kind, _VALUE).match(
        text, start, end
    )
    value = "" if found is None else found["value"].strip(f" \n\t,;{_QUOTES}")
    if found is None or not value:
        raise InvalidJobSpec("option_needs_value", field=option.name, name=f"--{match['name']}")
    if names is not None:
        return _name(found["value"], start, names)
    return value, found.end()


def _name(text: str, start: int, names: Collection[str]) -> tuple[str, int]:
    """The longest known name at the beginning of a text, and the place after it; else the whole text."""
    known = {name.casefold() for name in names}
    for match in reversed(list(re.finditer(r"\S+", text))):
        name = " ".join(text[: match.end()].split()).strip(f",;{_QUOTES}")
        if name.casefold() in known:
            return name, start + match.end()
    return " ".join(text.split()).strip(_QUOTES), start + len(text)


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text):
        raise InvalidJobSpec("out_of_range_whole", field="count", name="count", low=1, high=MAX_COUNT)
    return int(text)


def _without_ticks(prompt: str) -> str:
    """The text inside a code block, if the whole prompt is one."""
    text = prompt.strip()
    return text.strip("`").strip() if text.startswith("`") and text.endswith("`") else prompt
