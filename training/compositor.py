"""Endless captioned pictures: sprites on scenes, recoloured, counted, side by side; and the sketch of each.

A *sketch* is the same sprites at the same positions in their own colours on white: the prior's input at run time if it
knows words of the prompt. Everything is drawn from the given random.Random, so a seed reproduces a data set.
"""

from __future__ import annotations

import itertools
import random
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from generator.models.prior import LAYOUTS, Place
from training.drawings.store import TRAINED, Drawings, is_held_out
from training.scenes import SCENES, paint

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (222, 36, 36), "orange": (248, 136, 22), "yellow": (252, 214, 40), "green": (52, 172, 70),
    "blue": (42, 106, 224), "purple": (136, 66, 190), "pink": (250, 128, 184), "brown": (138, 86, 50),
    "black": (46, 46, 52), "white": (244, 244, 246), "grey": (142, 146, 152), "turquoise": (54, 196, 190),
    "golden": (222, 172, 50),
}  # fmt: skip
COLOUR_WORDS = {
    "grey": ("grey", "gray", "silver"), "golden": ("golden", "gold"), "purple": ("purple", "violet"),
    "turquoise": ("turquoise", "cyan", "teal"),
}  # fmt: skip
NUMBERS = ("", "a", "two", "three", "four")
POOL = 40
GROUP_WEIGHTS = {
    "Animals & Nature": 3.0,
    "Food & Drink": 3.0,
    "Travel & Places": 2.0,
    "Objects": 1.5,
    "People & Body": 0.35,
}
FAVOURED = 0.7  # share of things drawn from the favourites, if there are any
Array = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Layer:
    """One drawing of a picture: its concept and style, where it stands, and its colour ("" for its own)."""

    concept: int
    style: str
    place: Place
    colour: str = ""


@dataclass(frozen=True)
class Plan:
    """A picture before it is painted: its content, and its layers from the back to the front."""

    layers: tuple[Layer, ...]
    concepts: tuple[int, ...]
    count: int
    colour: str
    scene: str


@dataclass(frozen=True)
class Sample:
    """One picture and its content; `Compositor.caption` words it."""

    picture: Image.Image
    concepts: tuple[int, ...]
    count: int
    colour: str
    scene: str


def layout(count: int, rng: random.Random) -> list[Place]:
    """Positions for 1 to 4 sprites, as the prior places them, with a little jitter in place and scale."""
    grow, shift = rng.uniform(0.88, 1.1), 0.03
    return [
        Place(place.x + rng.uniform(-shift, shift), place.y + rng.uniform(-shift, shift), place.side * grow)
        for place in LAYOUTS[count]
    ]


def recolour(sprite: Array, colour: str) -> Array:
    """Recolour the sprite `[S, S, 4]`: shading is kept, near-white and near-black are kept in part."""
    target = np.array(COLOURS[colour], np.float32) / 255
    rgb = sprite[..., :3].astype(np.float32) / 255
    light = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
    seen = sprite[..., 3] > 128
    middle = float(np.median(light[seen])) if seen.any() else 0.5
    middle = min(0.8, max(0.25, middle))
    dark = np.clip(light / middle, 0, 1)[..., None] * target
    bright = target + (1 - target) * np.clip((light - middle) / (1 - middle), 0, 1)[..., None] * 0.8
    painted = np.where((light < middle)[..., None], dark, bright)
    keep = np.clip((0.2 - light) / 0.12, 0, 1)[..., None] * 0.8
    out = painted * (1 - keep) + rgb * keep
    return np.concatenate([(out * 255).clip(0, 255).astype(np.uint8), sprite[..., 3:]], axis=-1)


def _weight(row: dict[str, str]) -> float:
    if "o clock" in row["name"] or row["name"].endswith("thirty"):
        return 0.1
    return GROUP_WEIGHTS.get(row["group"], 1.0)


class Compositor:
    """Make samples from the sprites of `work`.

    Args:
        styles: those that it may use.
        held_out: False leaves out the things that measure the VQGAN.
    """

    def __init__(
        self, work: Path, side_px: int, styles: tuple[str, ...] = TRAINED, seed: int = 0, held_out: bool = True
    ) -> None:
        self.side_px = side_px
        self.rng = random.Random(seed)
        self.drawings = Drawings(work)
        self.table = self.drawings.table
        self._styles = styles
        shared: dict[str, int] = {}
        for row in self.table:
            for alias in row["aliases"]:
                shared[alias] = shared.get(alias, 0) + 1
        # Words that name few things are good names; "face" or "happy" alone is not
        self._names = [
            [alias for alias in row["aliases"] if shared[alias] <= 3 and alias != row["name"]] for row in self.table
        ]
        weights = [_weight(row) if held_out or not is_held_out(row["name"]) else 0.0 for row in self.table]
        self._weights = list(itertools.accumulate(weights))
        self.favourites: tuple[int, ...] = ()
        self._pool: dict[str, list[Image.Image]] = {name: [] for name in SCENES}

    def concept(self) -> int:
        """Draw a concept's number; things that people ask for are more frequent than the many variants of people."""
        if self.favourites and self.rng.random() < FAVOURED:
            return self.rng.choice(self.favourites)
        return self.rng.choices(range(len(self.table)), cum_weights=self._weights)[0]

    def name(self, concept: int) -> str:
        """The concept's name, or occasionally a synonym."""
        names = self._names[concept]
        return str(self.rng.choice(names)) if names and self.rng.random() < 0.25 else str(self.table[concept]["name"])

    def style(self, concept: int, style: str | None = None) -> str:
        """The style if the concept has it, by default one of the compositor's; any that it has else."""
        there = self.drawings.styles(concept)
        wanted = [one for one in ((style,) if style else self._styles) if one in there]
        return self.rng.choice(wanted) if wanted else there[0]

    def sprite(self, concept: int, style: str | None = None) -> Array:
        """The drawing `[256, 256, 4]` in the style that `style` chooses."""
        return self.drawings.sprite(concept, self.style(concept, style))

    def scene(self, name: str) -> Image.Image:
        """A fresh or pooled picture of the scene, sometimes mirrored."""
        pool = self._pool[name]
        if len(pool) < POOL:
            pool.append(paint(name, self.side_px, self.rng))
        image = self.rng.choice(pool)
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if self.rng.random() < 0.5 else image

    def paste(self, canvas: Image.Image, sprite: Array, place: Place) -> None:
        """Put a sprite on the canvas."""
        size = max(8, round(place.side * self.side_px))
        # RGBa is premultiplied: transparent colours leave no fringe
        small = Image.fromarray(sprite, "RGBA").convert("RGBa").resize((size, size), Image.Resampling.LANCZOS)
        corner = (round(place.x * self.side_px - size / 2), round(place.y * self.side_px - size / 2))
        small = small.convert("RGBA")
        canvas.paste(small, corner, small.getchannel("A"))

    def sample(self) -> Sample:
        """One captioned picture, see `plan`."""
        return self.painted(self.plan())

    def plan(self) -> Plan:
        """Plan a picture: mostly one thing, otherwise two things, several of one, or a scene alone."""
        kind = self.rng.choices(("one", "pair", "many", "scene"), (0.68, 0.17, 0.09, 0.06))[0]
        if kind == "scene":
            return Plan((), (), 0, "", self.rng.choice([name for name in SCENES if name != "plain"]))
        count = {"one": 1, "pair": 2, "many": self.rng.randint(2, 4)}[kind]
        first = self.concept()
        concepts = (first, self.concept()) if kind == "pair" else (first,)
        colour = self.rng.choice(list(COLOURS)) if kind != "pair" and self.rng.random() < 0.33 else ""
        scene = self.rng.choice(list(SCENES)) if self.rng.random() < 0.6 else "plain"
        return self.arranged(concepts, count, colour, scene)

    def compose(
        self, concepts: tuple[int, ...], count: int, colour: str, scene: str, style: str | None = None
    ) -> Sample:
        """Compose a picture of `count` sprites; several concepts are placed side by side."""
        return self.painted(self.arranged(concepts, count, colour, scene, style))

    def arranged(
        self, concepts: tuple[int, ...], count: int, colour: str, scene: str, style: str | None = None
    ) -> Plan:
        """Plan such a picture."""
        styles = [self.style(concept, style) for concept in concepts]
        layers = [
            Layer(concepts[number % len(concepts)], styles[number % len(concepts)], place, colour)
            for number, place in enumerate(layout(count, self.rng))
        ]
        return Plan(tuple(layers), concepts, count, colour, scene)

    def painted(self, plan: Plan) -> Sample:
        """Paint the picture of a plan."""
        picture = self.scene(plan.scene).copy()
        for layer in plan.layers:
            sprite = self.drawings.sprite(layer.concept, layer.style)
            self.paste(picture, recolour(sprite, layer.colour) if layer.colour else sprite, layer.place)
        return Sample(picture, plan.concepts, plan.count, plan.colour, plan.scene)

    def sketch(self, plan: Plan) -> Image.Image:
        """The plan's drawings on white, in their own colours."""
        sketch = Image.new("RGB", (self.side_px, self.side_px), (255, 255, 255))
        for layer in plan.layers:
            self.paste(sketch, self.drawings.sprite(layer.concept, layer.style), layer.place)
        return sketch

    def caption(self, concepts: tuple[int, ...], count: int, colour: str, scene: str) -> str:
        """Word a caption for such a picture, differently at each call."""
        if not concepts:
            words = self.rng.choice(SCENES[scene][1]).split(" ", 1)[-1]
            return str(self.rng.choice((scene, words, f"a picture of {words}")))
        return self.worded([self.name(concept) for concept in concepts], count, colour, scene)

    def worded(self, names: list[str], count: int, colour: str, scene: str) -> str:
        """A caption for things with these names."""
        word = self.rng.choice(COLOUR_WORDS.get(colour, (colour,))) + " " if colour else ""
        if len(names) == 2:
            joint = self.rng.choice(("and a", "and a", "and", "next to a", "with a"))
            text = f"a {names[0]} {joint} {names[1]}"
        elif count > 1:
            text = f"{NUMBERS[count]} {word}{names[0]}{'' if names[0].endswith('s') else 's'}"
        else:
            lead = self.rng.choice(("a ", "a ", "a ", "", "the ", "a picture of a ", "a drawing of a "))
            text = f"{lead}{word}{names[0]}"
        text = re.sub(r"\ba (?=[aeiou])", "an ", text)
        if scene == "plain":
            return text
        where = self.rng.choice(SCENES[scene][1])
        return f"{text} {where}" if self.rng.random() < 0.9 else f"{where}, {text}"
