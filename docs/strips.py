"""Contents of the documents' pictures: for each strip the labels above its pictures, the prompts and the settings.

Used by docs/make_images.py, which generates them, and by the tests. No torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

CELL_PX = 160
SMALL: Mapping[str, object] = {"size": "128x128", "coarse": 0.0}
"""Strips are generated small, at one size from the first step on; other settings are as the models suggest."""
NOISE_STEPS = 40
"""Steps for a start from noise; half of the starter's suggestion, to finish in a few minutes."""
AUGMENTATIONS = ("flip", "affine", "perspective", "colour", "sharpness", "noise")
OFF: Mapping[str, object] = dict.fromkeys(AUGMENTATIONS, 0.0)


LOSSES: Mapping[str, object] = {
    "palette": "navy, gold, white", "symmetry": "both", "border": "black", "flatness": 3, "laplacian": 10,
    "saturation": 1, "contrast": 2,
}  # fmt: skip
"""Settings of the pictures that show what the losses do."""


SHEETS = ("tile",)
"""Strips of which each picture is shown twice in each direction."""


class Cell(NamedTuple):
    """One picture: its label, its prompt, its settings that differ from the defaults, init image and image prompt."""

    label: str
    prompt: str
    settings: Mapping[str, object]
    init: Cell | None = None
    like: Cell | None = None


PICTURES: Mapping[str, Cell] = {
    "red-apple": Cell("a red apple", "a red apple", {"seed": 1}),
    "blue-cat": Cell("a blue cat", "a blue cat", {"seed": 1}),
    "castle-at-night": Cell("a castle at night", "a castle at night", {"seed": 1}),
}
"""The pictures of README, at the size that the models suggest."""

TIMELAPSE = ("timelapse", Cell("a castle at night", "a castle at night", {"seed": 1, "steps": 40}))
"""The timelapse of README: its file name and its request."""


def _varied(prompt: str, setting: str, *values: object, **others: object) -> list[Cell]:
    """The same prompt with each value of one setting."""
    words = setting.replace("_", " ")
    return [Cell(f"{words} {value}", prompt, {**SMALL, "seed": 1, **others, setting: value}) for value in values]


def _prompts(*prompts: str) -> list[Cell]:
    return [Cell(prompt, prompt, {**SMALL, "seed": 1}) for prompt in prompts]


def _masked(base: Cell, prompt: str, name: str, value: str) -> Cell:
    """A picture of which a part is painted anew."""
    size = "192x128" if name == "outpaint" else base.settings["size"]
    return Cell(
        f"{name} {value.split(' ')[0]}: {prompt}", prompt, {"seed": 2, "start": "init", "size": size, name: value}, base
    )


_FROM_NOISE = {"seed": 1, "start": "random", "steps": NOISE_STEPS}
_FIVE = "#0a0a2a, #3a3a8a, #8888aa, #ffcc66, #ffffff"
_DOG = Cell("a dog in the snow", "a dog in the snow", {**SMALL, "seed": 1})

EXAMPLES: Mapping[str, str] = {
    "boat": "a sailing boat on the sea at sunset",
    "fox": "a red fox in the snow",
    "sunflower": "a sunflower",
    "castle": "a castle at night",
}
"""The pictures of the preview's first message, at the settings that the models suggest and with seed 1."""

STRIPS: Mapping[str, list[Cell]] = {
    "prompts": _prompts("a dog in the snow", "two red apples", "a yellow car", "a cat and a dog", "a pink flower"),
    "weights": _prompts("a castle", "a castle | at night", "a castle | at night:3", "a castle | blue:-0.5"),
    "seed": _varied("a blue cat", "seed", 1, 2, 3, 4),
    "steps": _varied("a blue cat", "steps", 4, 16, 64),
    "learning-rate": _varied("a blue cat", "learning_rate", 0.01, 0.03, 0.1, 0.3),
    "cutouts": _varied("a blue cat", "cutouts", 2, 12, 48),
    "init-weight": _varied("a blue cat", "init_weight", 0.0, 0.2, 2.0),
    "losses": [
        Cell(
            "none, 40 steps", "a castle", {**SMALL, "seed": 1, "steps": 40, "learning_rate": 0.05, "init_weight": 0.05}
        ),
        *(Cell(f"{name} {value}", "a castle", {**SMALL, "seed": 1, name: value}) for name, value in LOSSES.items()),
    ],
    "likeness": [
        _DOG,
        *(
            Cell(f"a cat, likeness {value}", "a cat", {**SMALL, **_FROM_NOISE, "likeness": value}, like=_DOG)
            for value in (0, 3, 30)
        ),
    ],
    "keyframes": _varied("a castle", "saturation", -2, "0: -2, 100%: 2", "0: 2, 100%: -2", 2),
    "tile": [
        *_varied("pink flowers", "tile", "none", "x", "both", start="random", steps=NOISE_STEPS),
    ],
    "masks": [
        _DOG,
        _masked(_DOG, "a frog", "repaint", "dog"),
        _masked(_DOG, "in the forest", "keep", "dog"),
        _masked(_DOG, "a balloon", "repaint", "box 60% 0% 100% 45%"),
        _masked(_DOG, "a house", "outpaint", "left 50%"),
    ],
    "drawer": [
        *_varied("a castle at night", "drawer", "vqgan", "pixel", pixel_size=4),
        Cell(
            "pixel, five colours",
            "a castle at night",
            {**SMALL, "seed": 1, "drawer": "pixel", "pixel_size": 4, "palette": _FIVE},
        ),
        *_varied("a castle at night", "drawer", "fourier", steps=NOISE_STEPS, learning_rate=0.02),
    ],
    "start": [
        *_varied("a blue cat", "start", "prior"),
        *_varied("a blue cat", "start", "random", "pixels", "gradient", "fractal", steps=NOISE_STEPS),
    ],
    "augmentations": [
        Cell(label, "a blue cat", {**SMALL, "seed": 1, "start": "fractal", "steps": NOISE_STEPS, **settings})
        for label, settings in (("none", OFF), ("as suggested", {}), ("noise 0.5", {"noise": 0.5}))
    ],
}
"""The strips of docs/using.md by the names of their files."""


def shown(document: str, name: str) -> str:
    """Put a strip into a document below the mark of its name, in place of the earlier one; others stay as they are."""
    mark = f"<!-- strip {name} -->"
    if mark not in document:
        return document
    words = ", ".join(cell.label for cell in STRIPS[name]).replace("|", "and")
    return re.sub(rf"{mark}(\n!\[.*)?", f"{mark}\n![{words}](images/{name}.webp)", document)
