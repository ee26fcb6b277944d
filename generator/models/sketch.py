"""Sketches: the drawings of a prompt's things, posed and laid out on a picture of any shape. Worker thread.

A stored drawing is pasted where it belongs. The seed chooses drawing and pose, so that the pictures of a grid differ.
A named style chooses the drawings of that style; a thing without one goes through the style's filter.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as functional
from torch import Tensor

from generator.models.drawings.arrangement import OWN, arranged, covering, fills_square, front_of
from generator.models.drawings.pixels import Box, Cut, inked, paste, recoloured, tinted, trimmed
from generator.models.drawings.stored import STYLES, StoredDrawings
from generator.models.language.parsing import OPEN_ABOVE, WORN, Parser, Thing
from generator.models.lexicon import Lexicon
from generator.models.looks import DRAWN, looking
from generator.models.wording import Scenery

MAX_CUTS = 32
"""Drawings kept as pixels, 600 kB each at most."""
_RIM_PX = 4
"""Half the width of the outline around a thing that goes through a filter."""
_INK = frozenset(STYLES.index(style) for style in ("line", "stencil", "doodle"))
"""Styles whose colour is that of their ink."""


@dataclass(frozen=True)
class Pose:
    """Choice and place of the drawings.

    Attributes:
        drawing: of those of the thing, for any number.
        mirrored: left and right are exchanged.
        right, down: shift of the composition, as shares of the picture's shorter side.
        scale: of the composition.
        style: number of the style that is asked for, in `stored.STYLES`; None leaves it to `drawing`.
    """

    drawing: int = 0
    mirrored: bool = False
    right: float = 0.0
    down: float = 0.0
    scale: float = 1.0
    style: int | None = None

    @classmethod
    def of_seed(cls, seed: int) -> Pose:
        """The pose of a first picture: four seeds in a row give four that a person would call different."""
        turn, chance = seed % 4, random.Random(seed)  # noqa: S311 - a choice that must repeat, not a secret
        side = chance.choice((-1, 1)) if turn < 2 else 1 if turn == 2 else -1
        if turn < 2:
            return cls(
                turn, False, side * chance.uniform(0, 0.03), chance.uniform(-0.02, 0.02), chance.uniform(0.96, 1.08)
            )
        shift, scale = side * chance.uniform(0.06, 0.1), chance.uniform(0.8, 0.92)
        return cls(turn, True, shift, chance.uniform(-0.04, 0.08), scale)

    @classmethod
    def over(cls, mask: Tensor, drawing: int) -> Pose:
        """The pose of one thing in the place of what a mask `[1, H, W]` shows."""
        rows, columns = (torch.nonzero(mask[0].amax(dim=axis) > 0.5)[:, 0] for axis in (1, 0))
        height, width = mask.shape[1:]
        side = min(height, width)
        edge = max(int(rows[-1] - rows[0]), int(columns[-1] - columns[0])) + 1
        scale = min(1.3, max(0.35, edge / (OWN.width * side)))
        right = float(columns[0] + columns[-1]) / 2 - width / 2
        down = float(rows[0] + rows[-1]) / 2 - height / 2 - (OWN.y - 0.5) * height * scale
        return cls(drawing, False, right / side, down / side, scale)

    def varied(self, strength: float, seed: int) -> Pose:
        """Another pose of the same things: moved (below .34), mirrored and scaled (below .67), or another drawing."""
        chance = random.Random(seed)  # noqa: S311
        across, along = ((1, 1), (-1, -1), (1, -1), (-1, 1))[seed % 4]
        if strength < 0.34:
            right = _within(self.right + across * chance.uniform(0.05, 0.09), self.right - across * 0.07)
            down = _within(self.down + along * chance.uniform(0.03, 0.06), self.down - along * 0.05)
            return replace(self, right=right, down=down, scale=self.scale * chance.uniform(0.92, 1.0))
        scale = chance.uniform(0.78, 0.88) if self.scale > 0.93 else chance.uniform(0.98, 1.08)
        room = 0.12 if scale < 0.93 else 0.03
        right, down = across * chance.uniform(0.4, 1) * room, along * chance.uniform(0.3, 0.6) * room
        drawing = self.drawing if strength < 0.67 else self.drawing + 1
        mirrored = not self.mirrored if strength < 0.67 else seed % 2 == 1
        return Pose(drawing, mirrored, right, down, scale, self.style)


@dataclass(frozen=True)
class Layer:
    """The drawings of a composition: `image [3, H, W] in 0..1` and where they are, `mask [1, H, W] in 0..1`.

    `styled`: they have the look that was asked for; `inked`: and that is black ink.
    """

    image: Tensor
    mask: Tensor
    styled: bool = False
    inked: bool = False


_SIDES = ("left", "right")
"""Relations that hold in a mirrored pose too."""


class Sketcher:
    """Compose the stored drawings."""

    def __init__(self, lexicon: Lexicon, drawings: StoredDrawings) -> None:
        self.lexicon, self._stored = lexicon, drawings
        self.parse = Parser(lexicon).parse
        self._cuts: OrderedDict[tuple[int, int], Cut] = OrderedDict()

    def read(self, text: str) -> tuple[Thing, ...]:
        """Things that the text names."""
        return self.parse(text).things

    def scenery(self, text: str) -> Scenery:
        """The ground that the text names."""
        return self.parse(text).scenery

    def ground(self, scene: str, number: int) -> Tensor | None:
        """A stored picture `[1, 3, h, w]` of a scene, on the CPU, for any number; None if there is none."""
        return self._stored.ground(scene, number)

    @torch.no_grad()
    def layer(self, things: Sequence[Thing], pose: Pose, height: int, width: int, look: str = "") -> Layer:
        """Lay the things out on `height` x `width` pixels; those that lack a wanted style go through its filter.

        A drawing that fills its square, such as a city at night, alone fills the picture.
        """
        image, mask = torch.ones(3, height, width), torch.zeros(1, height, width)
        if not things:
            return Layer(image, mask)
        styled = look in DRAWN
        drawn = list[tuple[Thing, Cut]]()
        for number, (thing, style) in enumerate(zip(things, self._styles(things, pose), strict=True)):
            cut = self._drawn(thing, style, pose, look)
            many = thing.count
            if thing.relation in WORN and 1 < many == things[number - 1].count:
                drawn[-many:] = [self._worn(one, (thing, cut), pose, min(height, width)) for one in drawn[-many:]]
            else:
                drawn += [(thing, cut)] * many
        if len(drawn) == 1 and not things[0].colour and fills_square(drawn[0][1]):
            paste(image, mask, drawn[0][1], covering(height, width), self._turned(things[0], pose))
            return Layer(image, torch.ones_like(mask), styled)
        self._lay_out(self._joined(drawn, pose, min(height, width)), pose, image, mask)
        return Layer(image, mask, styled, styled and pose.style in _INK)

    def _joined(self, drawn: list[tuple[Thing, Cut]], pose: Pose, side: int) -> list[tuple[Thing, Cut]]:
        """Make drawings of things in a relation into one, until at most one thing has a relation to those before it.

        "A candle on a cake on a table" is a drawing of two things on a third.
        """
        if end := _clause_end([thing for thing, _ in drawn]):
            rest = self._joined(drawn[end:], pose, side)
            if any(thing.relation for thing, _ in rest):
                rest = [self._whole(rest, pose, side)]
            return [self._whole(self._joined(drawn[:end], pose, side), pose, side), *rest]
        changes = [at for at, (thing, _) in enumerate(drawn) if thing.relation and drawn[at - 1][0] != thing]
        if len(changes) < 2:
            return drawn
        head = self._joined(drawn[: changes[-1]], pose, side)
        return [self._whole(head, pose, side), *drawn[changes[-1] :]]

    def _worn(self, wearer: tuple[Thing, Cut], clothes: tuple[Thing, Cut], pose: Pose, side: int) -> tuple[Thing, Cut]:
        """One of several drawings with what each of them wears."""
        _, cut = self._whole([wearer, clothes], pose, side)
        return wearer[0], cut

    def _whole(self, drawn: list[tuple[Thing, Cut]], pose: Pose, side: int) -> tuple[Thing, Cut]:
        """One drawing of several; it takes the place of its first thing."""
        image, mask = torch.ones(3, side, side), torch.zeros(1, side, side)
        self._lay_out(drawn, Pose(pose.drawing, style=pose.style), image, mask)
        whole = replace(drawn[0][0], size=1.0, relation="")
        if self._turned(whole, pose) and any(thing.relation in _SIDES for thing, _ in drawn):
            image, mask = image.flip(-1), mask.flip(-1)  # so that it is turned back when it is pasted
        return whole, trimmed(image, mask)

    def _lay_out(self, drawn: list[tuple[Thing, Cut]], pose: Pose, image: Tensor, mask: Tensor) -> None:
        """Paste drawings, of which at most one thing has a relation to those before it."""
        height, width = image.shape[1:]
        first = next((number for number, (thing, _) in enumerate(drawn) if thing.relation), 0)
        relation = drawn[first][0].relation
        if relation == "in" and drawn[first][0].words.split()[-1] in OPEN_ABOVE:
            relation = "into"
        cuts = [_turned_cut(cut) if self._turned(thing, pose) != pose.mirrored else cut for thing, cut in drawn]
        boxes = arranged(cuts, [thing.size for thing, _ in drawn], first, relation, height, width)
        if relation == "into":
            drawn = [*drawn, *((thing, front_of(cut)) for thing, cut in drawn[first:])]
            boxes += [(number + len(boxes) - first, box) for number, box in boxes if number >= first]
        place = replace(pose, mirrored=pose.mirrored and relation not in _SIDES)
        for number, box in boxes:
            thing, cut = drawn[number]
            paste(image, mask, cut, _posed(box, place, height, width), self._turned(thing, pose))

    def _turned(self, thing: Thing, pose: Pose) -> bool:
        """True if the drawing is mirrored; one without a second is turned about where others show that."""
        alone = pose.drawing % 2 == 1 and len(self._stored.usual(thing.concepts[0])) == 1
        return pose.mirrored != alone

    def _styles(self, things: Sequence[Thing], pose: Pose) -> list[int]:
        """Style of the drawing of each thing: the same for all where each has one in it."""
        concepts = [thing.concepts[0] for thing in things]
        if pose.style is not None:
            return [self._stored.style(concept, pose.style) for concept in concepts]
        usual = [self._stored.usual(concept) for concept in concepts]
        common = tuple(style for style in usual[0] if all(style in other for other in usual))
        return [styles[pose.drawing % len(styles)] for styles in ([common] * len(usual) if common else usual)]

    def _drawn(self, thing: Thing, style: int, pose: Pose, look: str) -> Cut:
        """The drawing of a thing in a style, in its colour."""
        concept, styled = thing.concepts[0], look in DRAWN
        cut = self._cut(concept, style)
        inks = style in _INK or (styled and pose.style in _INK)
        if styled and style != pose.style:
            cut = _filtered(cut, look)
        colour = thing.colour or ("" if styled else self.lexicon.tints.get(concept, ""))
        if colour and inks:
            return inked(cut, colour) if styled else tinted(cut, colour)
        return recoloured(cut, colour) if thing.colour else cut

    def _cut(self, concept: int, style: int) -> Cut:
        key = (concept, style)
        cut = self._cuts.pop(key, None)
        if cut is None:
            cut = self._stored.cut(concept, style)
            while len(self._cuts) >= MAX_CUTS:
                self._cuts.popitem(last=False)
        self._cuts[key] = cut
        return cut


def _filtered(cut: Cut, look: str) -> Cut:
    """A drawing on white through a filter, with an outline of its own where the look has outlines."""
    rim = (_RIM_PX,) * 4
    mask = functional.pad(cut.mask, rim)
    on_white = functional.pad(cut.image, rim) * mask + 1 - mask
    image, reach = looking(on_white[None], look, 0)[0], 2 * _RIM_PX - 1
    outer = functional.max_pool2d(mask[None], reach, 1, reach // 2)[0]
    if look != "flat":
        inner = -functional.max_pool2d(-mask[None], reach, 1, reach // 2)[0]
        image = image * (1 - 0.85 * (outer - inner))
    return Cut(image, outer)


def _clause_end(things: Sequence[Thing]) -> int:
    """Where the first clause ends, as in "a cat on a car and a dog under a tree"; 0 if there is only one."""
    related = [bool(thing.relation) for thing in things]
    for at in range(1, len(things)):
        before, thing = things[at - 1], things[at]
        if before.relation == "between" and before.count == 1 and not thing.relation:  # "between a cat and a dog"
            related[at : at + thing.count] = [True] * thing.count
    return next((at for at, has_one in enumerate(related) if not has_one and any(related[:at])), 0)


def _turned_cut(cut: Cut) -> Cut:
    return Cut(cut.image.flip(-1), cut.mask.flip(-1))


def _within(wanted: float, other: float, bound: float = 0.14) -> float:
    return wanted if abs(wanted) <= bound else other


def _posed(box: Box, pose: Pose, height: int, width: int) -> Box:
    """Move and scale a box about the picture's centre, but not out of the picture."""
    side = min(height, width)
    x = width / 2 + (box.x - width / 2) * (-1 if pose.mirrored else 1) * pose.scale + pose.right * side
    y = height / 2 + (box.y - height / 2) * pose.scale + pose.down * side
    wide, high = box.width * pose.scale, box.height * pose.scale
    x = min(max(x, wide / 2), width - wide / 2) if wide < width else width / 2
    y = min(max(y, high / 2), height - high / 2) if high < height else height / 2
    return Box(x, y, wide, high, box.rise)
