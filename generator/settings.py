"""Settings of a dream: names, defaults, ranges and help. No torch; any thread.

The command line, config.yaml, recipes and Discord all use these names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, NamedTuple

from generator.errors import InvalidRequest
from generator.messages import Message
from generator.notation.keyframes import (
    canonical_schedules,
    looks_scheduled,
    read_keyframes,
    schedules_of,
    text_of_schedules,
)
from generator.notation.palette import NONE, canonical
from generator.notation.regions import canonical_margins, canonical_region

COMPOSITIONS = ("fixed", "posed")
SYMMETRIES = ("none", "left-right", "up-down", "both")
TILES = ("none", "x", "y", "both")
MIN_TILE_PX = 64
"""Shortest side of a tile along its axis: below, most of it lies beside a seam."""
DRAWERS = ("vqgan", "pixel", "fourier")
STARTS = ("prior", "random", "pixels", "gradient", "fractal", "init", "parent")
OPTIMISERS = ("adam", "adamw", "radam", "adagrad", "rmsprop")
MAX_SEED = 2**32 - 1
MIN_SIDE_PX, MAX_SIDE_PX = 32, 2048
MAX_STEPS = 5000
MAX_COLOURS = 16
WEIGHED = {"palette": "palette_weight", "symmetry": "symmetry_weight", "border": "border_weight"}
"""Losses that are turned on by a value of their own, with the names of their weights."""
LOSSES = (*WEIGHED, "flatness", "laplacian", "saturation", "contrast", "likeness")
"""Settings that turn on losses of the picture itself, beside `total_variation`."""
_UPSCALER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
MASKS = ("keep", "repaint", "outpaint")
"""Settings that change a part of an init image; only one at a time."""
SCHEDULED = (
    "learning_rate", "cutouts", "init_weight", "total_variation", "flatness", "laplacian", "palette_weight",
    "symmetry_weight", "border_weight", "saturation", "contrast", "likeness",
)  # fmt: skip
"""Numbers that may change during a dream: keyframes such as `0: 1.0, 50%: 0.2` in place of one number."""
UNMASKED: Mapping[str, object] = dict.fromkeys(MASKS, NONE)
"""Values with which a picture is painted whole."""
FOR_LOSSES = "losses"
"""Key of the models' suggestions for pictures with such a loss or a tile, beside those for each start."""

_WORDS_FOR_BOOL = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Size:
        """Read `WIDTHxHEIGHT` or one number for a square.

        Raises:
            InvalidRequest: if the text is neither.
        """
        match = re.fullmatch(r"\s*(\d{1,5})\s*(?:[x×X*]\s*(\d{1,5})\s*)?", text)
        if match is None:
            said = "{given} is not a size; write width and height in pixels, for example 256x192."
            raise InvalidRequest(Message(said, given=repr(text[:40])), "size")
        width = int(match[1])
        return cls(width, int(match[2] or width))

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


def _number(default: float, low: float, high: float, help_text: str) -> Any:  # noqa: ANN401 - dataclasses.field is Any too
    return field(default=default, metadata={"low": low, "high": high, "help": help_text})


def _choice(default: str, choices: tuple[str, ...], help_text: str) -> Any:  # noqa: ANN401
    return field(default=default, metadata={"choices": choices, "help": help_text})


def _colours(most: int, help_text: str) -> Any:  # noqa: ANN401
    return field(default=NONE, metadata={"colours": most, "help": help_text})


def _text(read: Callable[[str, str], str], help_text: str) -> Any:  # noqa: ANN401
    return field(default=NONE, metadata={"read": read, "help": help_text})


def _upscaler_name(text: str, field_name: str) -> str:
    name = text.strip()
    if not _UPSCALER.fullmatch(name):
        said = "{given} cannot name an upscaler; RealESRGAN_x4plus is one."
        raise InvalidRequest(Message(said, given=repr(text[:40])), field_name)
    return NONE if name.casefold() == NONE else name


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that shapes a picture besides its prompts; frozen and always valid.

    Raises:
        InvalidRequest: for a value of the wrong type or out of range; the message names both.
    """

    size: Size = field(
        default=Size(512, 512),
        metadata={
            "low": MIN_SIDE_PX,
            "high": MAX_SIDE_PX,
            "help": "width x height in pixels, rounded to a size that the model supports",
        },
    )
    steps: int = _number(300, 1, MAX_STEPS, "number of improvement steps")
    learning_rate: float = _number(0.1, 1e-4, 2.0, "how far each step moves the latent")
    learning_rate_end: float = _number(1.0, 0.0, 1.0, "share of the learning rate that remains at the last step")
    optimiser: str = _choice("adam", OPTIMISERS, "torch optimiser for the latent")
    seed: int = _number(0, 0, MAX_SEED, "the same seed gives the same picture")
    start: str = _choice("random", STARTS, "starting point of the picture")
    drawer: str = _choice(
        "vqgan", DRAWERS, "kind of picture: the models' own, a grid of large pixels (of `palette`), or a spectrum"
    )
    pixel_size: int = _number(8, 1, 64, "side of a pixel of the drawer pixel")
    candidates: int = _number(8, 1, 64, "number of proposals from the prior; the best one is used")
    composition: str = _choice(
        "fixed", COMPOSITIONS, "how the prior lays out its drawings: fixed, or posed by the seed, with children redrawn"
    )
    init_weight: float = _number(0.0, 0.0, 10.0, "how strongly the picture is held to its starting point")
    cutouts: int = _number(32, 1, 256, "cutouts that the perceptor sees in each step")
    cut_power: float = _number(1.0, 0.0, 4.0, "higher values make the inner cutouts smaller")
    cut_min: float = _number(0.25, 0.05, 1.0, "smallest inner cutout, as a share of the short edge")
    overview: float = _number(0.25, 0.0, 1.0, "share of the cutouts that show the whole picture, at the first step")
    overview_end: float = _number(0.25, 0.0, 1.0, "the same share at the last step")
    flip: float = _number(0.5, 0.0, 1.0, "augmentation: how often a cutout is mirrored")
    affine: float = _number(
        0.8, 0.0, 1.0, "augmentation: how often a cutout is rotated by up to 30 degrees and shifted"
    )
    perspective: float = _number(0.4, 0.0, 1.0, "augmentation: how often a cutout is tilted")
    colour: float = _number(0.7, 0.0, 1.0, "augmentation: how often the colours of a cutout are shifted")
    sharpness: float = _number(0.4, 0.0, 1.0, "augmentation: how often a cutout is blurred or sharpened")
    noise: float = _number(0.1, 0.0, 1.0, "augmentation: maximum noise added to a cutout")
    ema: float = _number(0.0, 0.0, 0.999, "moving average of the latent; 0 turns it off")
    total_variation: float = _number(0.0, 0.0, 10.0, "total variation loss, which smooths the picture; 0 turns it off")
    flatness: float = _number(0.0, 0.0, 10.0, "loss for even areas with sharp edges; 0 turns it off")
    laplacian: float = _number(0.0, 0.0, 10.0, "loss against ripples and grain, which keeps gradients; 0 turns it off")
    palette: str = _colours(
        MAX_COLOURS, "colours to paint with, such as navy, #ffcc00, or picture: those of the image prompt"
    )
    palette_weight: float = _number(10.0, 0.0, 100.0, "how strongly the picture is held to `palette`")
    symmetry: str = _choice("none", SYMMETRIES, "mirror symmetry")
    symmetry_weight: float = _number(20.0, 0.0, 100.0, "how strongly the picture is held to `symmetry`")
    border: str = _colours(1, "colour of the picture's edges")
    border_width: float = _number(0.1, 0.01, 0.5, "width of the `border`, as a share of the short edge")
    border_weight: float = _number(20.0, 0.0, 100.0, "how strongly the edges are held to `border`")
    saturation: float = _number(0.0, -10.0, 10.0, "loss for more colour, or below 0 for less; 0 turns it off")
    contrast: float = _number(0.0, -10.0, 10.0, "loss for more contrast, or below 0 for less; 0 turns it off")
    likeness: float = _number(0.0, 0.0, 100.0, "how strongly the picture is held to the pixels of the image prompts")
    tile: str = _choice("none", TILES, "seamless tiling: sides that continue each other across x, y or both")
    keep: str = _text(
        canonical_region, "region of the init image that stays: left 50%, box 10% 20% 60% 80%, picture or words"
    )
    repaint: str = _text(canonical_region, "region of the init image that is painted anew, as for `keep`")
    outpaint: str = _text(
        canonical_margins, "margins to add to the init image: left 50%, or top 25%, bottom 25%, or all 20%"
    )
    feather: float = _number(
        0.06, 0.0, 0.5, "width of the soft edge of what is painted anew, as a share of the short edge"
    )
    pull: float = _number(
        0.0, 0.0, 10.0, "regularisation of the latent towards zero, for coherent shapes; 0 turns it off"
    )
    pull_decay: float = _number(0.98, 0.0, 1.0, "factor by which `pull` decays after each step")
    coarse: float = _number(0.0, 0.0, 0.9, "share of the steps at half size")
    variation: float = _number(0.0, 0.0, 1.0, "share of noise in the first latent when starting from a picture")
    scene_steps: int = _number(0, 0, 5000, "steps for each scene of a story; 0 divides them evenly")
    plateau: int = _number(0, 0, 5000, "stop after this many steps without improvement; 0 turns it off")
    upscaler: str = _text(_upscaler_name, "network that enlarges the finished picture, such as RealESRGAN_x4plus")
    schedules: str = _text(
        canonical_schedules, "all numbers that change during the dream; give each to its own setting: 0: 1.0, 50%: 0.2"
    )
    exact: bool = field(
        default=False,
        metadata={"help": "on a GPU, use only operations with reproducible results, byte for byte; slower"},
    )

    translate: bool = field(
        default=False,
        metadata={"help": "read other languages, emoji and typing mistakes, if the models have dictionaries for it"},
    )

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, _checked(item, getattr(self, item.name)))
        self._apply_schedules()
        if ("x" in self.tiled and self.size.width < MIN_TILE_PX) or (
            "y" in self.tiled and self.size.height < MIN_TILE_PX
        ):
            text = "A tile must be at least {least} pixels long along its axis, not {given}; choose a larger size."
            raise InvalidRequest(Message(text, least=MIN_TILE_PX, given=str(self.size)), "tile_size")
        if len(both := [name for name in MASKS if getattr(self, name) != NONE]) > 1:
            text = "{first} and {second} cannot be combined; choose one of them."
            raise InvalidRequest(Message(text, first=both[0], second=both[1]), "mask")
        for name, weight in WEIGHED.items():
            if getattr(self, name) != NONE and getattr(self, weight) == 0:
                text = "{name} has no effect with {weight} 0; raise the weight or leave {name} out."
                raise InvalidRequest(Message(text, name=name, weight=weight), "losses")

    def _apply_schedules(self) -> None:
        """Check the schedules; of each number the field holds the value farthest from 0."""
        items = {item.name: item for item in fields(self) if item.name in SCHEDULED}
        for name, frames in schedules_of(self.schedules).items():
            if name not in items:
                text = "{name} cannot change during a dream; these can: {known}."
                raise InvalidRequest(Message(text, name=_shown(name), known=", ".join(sorted(items))), "schedules")
            whole = items[name].type == "int"
            values = [int(frame.value) if whole and frame.value.is_integer() else frame.value for frame in frames]
            for value in values:
                _checked_number(items[name], value)
            object.__setattr__(self, name, max(values, key=abs))

    @property
    def masked(self) -> bool:
        """True if only a part of the picture is painted."""
        return any(getattr(self, name) != NONE for name in MASKS)

    @property
    def tiled(self) -> str:
        """Axes along which the picture continues itself: some of the letters of `xy`."""
        return {"none": "", "both": "xy"}.get(self.tile, self.tile)

    def merged(self, values: Mapping[str, object]) -> Settings:
        """Return a copy with the named values changed.

        Raises:
            InvalidRequest: for an unknown name, a wrong type or a value out of range.
        """
        if not values:
            return self
        known = {item.name for item in fields(self)}
        for name in values:
            if name not in known:
                text = "There is no setting {name}, only {known}."
                raise InvalidRequest(Message(text, name=_shown(name), known=", ".join(sorted(known))), name)
        values = self._with_schedules(values)
        return replace(self, **values)  # type: ignore[arg-type]  # __post_init__ checks each type

    def _with_schedules(self, values: Mapping[str, object]) -> Mapping[str, object]:
        """The values with keyframes put into `schedules`; a plain number ends an earlier schedule of its setting."""
        given = values.get("schedules", self.schedules)
        if not isinstance(given, str):
            return values
        schedules = schedules_of(given)
        plain = dict(values)
        for name in SCHEDULED:
            value = values.get(name)
            if isinstance(value, str) and looks_scheduled(value):
                schedules[name] = read_keyframes(value, name)
                del plain[name]
            elif name in values and "schedules" not in values:
                schedules.pop(name, None)
        return {**plain, "schedules": text_of_schedules(schedules)}

    def as_dict(self) -> dict[str, object]:
        """All settings as plain JSON values; `Settings().merged(...)` reads them."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self)}


def suggestions_for(
    start: str, values: Mapping[str, object], suggestions: Mapping[str, Mapping[str, object]]
) -> Mapping[str, object]:
    """Settings that models suggest for a start.

    A start without suggestions takes those for losses if one of `values`, as given by host or requester, turns on a
    loss of the picture or a tile: a proposal of the prior needs hardly any steps, but these do. The palette of a pixel
    grid is no loss.
    """
    default = Settings()
    names = [name for name in (*LOSSES, "tile") if (name, values.get("drawer")) != ("palette", "pixel")]
    wants_steps = any(values.get(name, getattr(default, name)) != getattr(default, name) for name in names)
    return suggestions.get(start) or suggestions.get(FOR_LOSSES if wants_steps else "", {})


def read_setting(name: str, text: str) -> object:
    """Parse text typed for the setting `name` into a value for `Settings.merged`, which checks it.

    Text that does not match the setting's type is returned unchanged, so that the check can quote it.
    """
    kind = {item.name: item.type for item in fields(Settings)}.get(name)
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
    except ValueError:
        return text
    if kind == "bool":
        return _WORDS_FOR_BOOL.get(text.lower(), text)
    return text


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Size) else value


def _shown(value: object) -> str:
    """Format an untrusted value for a message: always short."""
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else f"{value[:60]}…")
    if isinstance(value, int) and abs(value) > 10**30:
        return Message("a number of absurd length")
    if value is None or isinstance(value, int | float):
        return repr(value)
    return Message("a {kind}", kind=type(value).__name__)


def _checked(item: Field[Any], value: object) -> object:
    if item.name == "size":
        return _checked_size(item, value)
    if "colours" in item.metadata:
        return _checked_colours(item, value)
    if "read" in item.metadata:
        if not isinstance(value, str):
            raise InvalidRequest(
                Message("{name} must be text, not {given}.", name=item.name, given=_shown(value)), item.name
            )
        read: Callable[[str, str], str] = item.metadata["read"]
        return read(value, item.name)
    if "choices" in item.metadata:
        if value not in item.metadata["choices"]:
            choices = ", ".join(item.metadata["choices"])
            text = "{name} cannot be {given}; choose one of {choices}."
            raise InvalidRequest(Message(text, name=item.name, given=_shown(value), choices=choices), item.name)
        return value
    if item.type == "bool":
        if not isinstance(value, bool):
            text = "{name} must be true or false, not {given}."
            raise InvalidRequest(Message(text, name=item.name, given=_shown(value)), item.name)
        return value
    return _checked_number(item, value)


def _checked_colours(item: Field[Any], value: object) -> str:
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        value = ", ".join(value)
    if not isinstance(value, str):
        text = "{name} must be text with colours, such as navy, #ffcc00, not {given}."
        raise InvalidRequest(Message(text, name=item.name, given=_shown(value)), item.name)
    return canonical(value, item.metadata["colours"], item.name)


def _checked_number(item: Field[Any], value: object) -> int | float:
    low, high = item.metadata["low"], item.metadata["high"]
    whole = item.type == "int"
    right_type = isinstance(value, int) or (not whole and isinstance(value, float))
    if isinstance(value, bool) or not isinstance(value, int | float) or not right_type or not low <= value <= high:
        kind = Message("a whole number") if whole else Message("a number")
        text = "{name} must be {kind} from {low} to {high}, not {given}."
        message = Message(text, name=item.name, kind=kind, low=low, high=high, given=_shown(value))
        raise InvalidRequest(message, item.name)
    return value if whole else float(value)


def _checked_size(item: Field[Any], value: object) -> Size:
    if isinstance(value, str):
        value = Size.parse(value)
    elif type(value) is int:
        value = (value, value)
    if not isinstance(value, tuple) or len(value) != 2 or not all(type(side) is int for side in value):
        text = "size must be width and height in pixels, such as 256x192, not {given}."
        raise InvalidRequest(Message(text, given=_shown(value)), "size")
    size = Size(*value)
    low, high = item.metadata["low"], item.metadata["high"]
    if not all(low <= side <= high for side in size):
        shown = "x".join(map(_shown, size))
        text = "Each side of size must be from {low} to {high} pixels, not {given}."
        raise InvalidRequest(Message(text, low=low, high=high, given=shown), "size")
    return size
