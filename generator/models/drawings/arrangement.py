"""Places of drawings in a picture: side by side, or as a relation such as "on" says. No model; any thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import torch

from generator.models.drawings.pixels import Box, Cut

OWN = Box(0.5, 0.52, 0.74, 0.74)
"""Where one drawing stands, as shares of its picture's side."""
_FULL, _CORNER = 0.95, 1.14
"""Share of its square that a scenic drawing covers at least, and how much its round corners are enlarged away."""
_SIZES = {
    "on": ((0.5, 0.44), (0.82, 0.5)),
    "above": ((0.48, 0.38), (0.62, 0.42)),
    "under": ((0.46, 0.4), (0.88, 0.66)),
    "in": ((0.4, 0.38), (0.9, 0.86)),
    "into": ((0.5, 0.5), (0.7, 0.56)),
    "dressed": ((0.46, 0.42), (0.66, 0.6)),
    "before": ((0.46, 0.44), (0.74, 0.7)),
    "behind": ((0.74, 0.7), (0.46, 0.44)),
}
"""Largest width and height of the first and of the second of two things, as shares of the picture's shorter side."""
_RIM = 0.1
"""Height of the opening of a box or a bowl, as share of its own."""
_SUNK = 0.12
"""Share of a wearer's height by which a hat comes down over the head."""
_DEPTHS, _APART = (0.4, 0.36, 0.32, 0.28), 0.1
"""Upper shares of a wearer in which head and tail, and not only ears, may be apart; and by which share of its width."""
_IN_A_LINE, _LARGEST = 3, 1.25
"""How many things of several sizes stand on one line, and how large a thing alone can be, of its usual size."""
_MIDDLE, _MOST = 0.52, 0.92
"""Height of the middle of two related things, and their largest height together."""


def arranged(
    cuts: Sequence[Cut], scales: Sequence[float], first: int, relation: str, height: int, width: int
) -> list[tuple[int, Box]]:
    """A box for each drawing with its number, from back to front.

    Args:
        cuts: the drawings.
        scales: the size that each should have, as multiple of the usual one.
        first: number of the first drawing that stands in a relation to those before it; 0 for none.
        relation: that of those before it to it, see `sketch.Thing`.
        height: of the picture, in pixels.
        width: likewise.
    """
    numbers = list(range(len(cuts)))
    if relation == "worn" and len(cuts) == 2:
        return _worn(cuts[0], cuts[1], height, width)
    if first and relation in _SIZES:
        return _related(cuts, scales, first, relation, height, width)
    if first and relation == "right":
        numbers = [*numbers[first:], *numbers[:first]]
    if first and relation == "between":
        middle = (first + len(numbers)) // 2
        numbers = [*numbers[first:middle], *numbers[:first], *numbers[middle:]]
    boxes = side_by_side(len(numbers), height, width)
    if relation == "between" or any(scale != 1 for scale in scales):
        boxes = _scaled(boxes, [scales[number] for number in numbers], height, width)
    return list(zip(numbers, boxes, strict=True))


def fills_square(cut: Cut) -> bool:
    """True for a drawing that is a picture by itself, up to its edges."""
    high, wide = cut.image.shape[1:]
    return 0.95 < high / wide < 1.05 and float(cut.mask.mean()) > _FULL


def front_of(cut: Cut) -> Cut:
    """The front of a box, a pot or a bowl, which hides a part of the thing in it: all below its rim."""
    rim = round((_ledge(cut) + _RIM) * cut.mask.shape[1])
    below = torch.arange(cut.mask.shape[1])[None, :, None] >= rim
    return Cut(cut.image, cut.mask * below)


def covering(height: int, width: int) -> Box:
    """A box in which a scenic drawing covers the picture."""
    side = _CORNER * max(height, width)
    return Box(width / 2, height / 2, side, side)


def side_by_side(count: int, height: int, width: int) -> list[Box]:
    """Boxes in rows that make them as large as they can be; a short last row is centred."""
    if count == 1:
        side = OWN.width * min(width, height)
        return [Box(OWN.x * width, OWN.y * height, side, side)]
    columns = max(range(1, count + 1), key=lambda n: (min(width / n, height / -(-count // n)), n))
    rows = -(-count // columns)
    side = 0.88 * min(width / columns, height / rows)
    step_x, step_y = min(width / columns, side * 1.25), min(height / rows, side * 1.25)
    boxes = []
    for number in range(count):
        row, column = divmod(number, columns)
        here = min(columns, count - row * columns)
        x, y = (column - (here - 1) / 2) * step_x, (row - (rows - 1) / 2) * step_y
        boxes.append(Box(width / 2 + x, height / 2 + y, side, side))
    return boxes


def _scaled(boxes: Sequence[Box], scales: Sequence[float], height: int, width: int) -> list[Box]:
    """Boxes of drawings side by side, larger and smaller: up to three of them stand on one line."""
    if len(boxes) > _IN_A_LINE:
        return [_lowered(box, min(1.0, scale)) for box, scale in zip(boxes, scales, strict=True)]
    if len(boxes) == 1:
        box = _lowered(boxes[0], min(_LARGEST, scales[0]))
        return [replace(box, y=max(box.y, box.height / 2 + 0.02 * height))]
    unit = min(width / sum(scales), 0.9 * height / max(scales))
    share = 0.92 * min(1.0, max(scales)) ** 0.5
    ground = height / 2 + unit * share * max(scales) / 2
    left = (width - unit * sum(scales)) / 2
    found = []
    for scale in scales:
        side = unit * scale
        found.append(Box(left + side / 2, ground - side * share / 2, side * share, side * share, 1.0))
        left += side
    return found


def _lowered(box: Box, scale: float) -> Box:
    """A box of another size with the same lower edge."""
    return Box(box.x, box.y + box.height * (1 - scale) / 2, box.width * scale, box.height * scale, 1.0)


def _related(
    cuts: Sequence[Cut], scales: Sequence[float], first: int, relation: str, height: int, width: int
) -> list[tuple[int, Box]]:
    """Boxes of two groups of drawings, of which the one is on (above, under, ...) the other; from back to front."""
    side = min(height, width)
    upper, lower = list(range(first)), list(range(first, len(cuts)))
    sizes = [
        _group_size([cuts[number] for number in group], *most)
        for group, most in zip((upper, lower), _SIZES[relation], strict=True)
    ]
    if relation == "under":
        sizes[0] = _fitted(sizes[0], min(0.4, max(0.26, 0.45 * sizes[1][1])))
    sizes = [_resized(size, scales[number]) for size, number in zip(sizes, (0, first), strict=True)]
    (_, high), (_, low) = sizes
    below = [cuts[number] for number in lower]
    tops = _tops(relation, high, low, min(map(_ledge, below)), all(map(_is_open, below)))
    begin, end = min(tops), max(tops[0] + high, tops[1] + low)
    shrink = min(1.0, _MOST / (end - begin))
    boxes: dict[int, Box] = {}
    for group, (wide, tall), top in zip((upper, lower), sizes, tops, strict=True):
        step = wide / len(group)
        for place, number in enumerate(group):
            x = width / 2 + (place - (len(group) - 1) / 2) * step * shrink * side
            y = height / 2 + ((top + tall / 2 - (begin + end) / 2) * shrink + _MIDDLE - 0.5) * side
            boxes[number] = Box(x, y, step * shrink * side, tall * shrink * side, 1.0)
    back = [*upper, *lower] if relation in ("behind", "dressed") else [*lower, *upper]
    return [(number, boxes[number]) for number in back]


def _worn(wearer: Cut, hat: Cut, height: int, width: int) -> list[tuple[int, Box]]:
    """Boxes of one drawing and of a hat on its head."""
    high, wide = wearer.mask.shape[1:]
    crown, begin, end = _head(wearer)
    across = min(max(1.1 * (end - begin), 0.35 * wide), 0.85 * wide)
    tall, broad = hat.mask.shape[1:]
    share = min(across / broad, 0.5 * high / tall)
    above = max(0.0, tall * share - _SUNK * high - crown)  # of the hat, above the whole wearer
    scale = min(_MOST * min(height, width) / (high + above), 0.74 * min(height, width) / wide)
    top = height / 2 - (high + above) / 2 * scale
    body = Box(width / 2, top + (above + high / 2) * scale, wide * scale, high * scale)
    x = width / 2 + ((begin + end) / 2 - wide / 2) * scale
    y = top + (above + crown + _SUNK * high - tall * share / 2) * scale
    return [(0, body), (1, Box(x, y, broad * share * scale, tall * share * scale))]


def _head(wearer: Cut) -> tuple[int, int, int]:
    """First row and columns of the top of the head: of all that is up there, or of the largest part beside a tail."""
    high, wide = wearer.mask.shape[1:]
    head = slice(0, wide)
    for share in _DEPTHS:
        upper = wearer.mask[0, : max(1, round(share * high))] > 0.5
        columns = upper.any(dim=0).nonzero()[:, 0].tolist() or [0, wide - 1]
        gaps = [at for at in range(1, len(columns)) if columns[at] - columns[at - 1] > _APART * wide]
        parts = [slice(columns[begin], columns[end - 1] + 1) for begin, end in pairwise([0, *gaps, len(columns)])]
        if len(parts) > 1:
            head = max(parts, key=lambda part: int(upper[:, part].sum()))
            break
    rows = (wearer.mask[0, :, head] > 0.5).any(dim=1).nonzero()[:, 0].tolist() or [0]
    top = wearer.mask[0, rows[0] : rows[0] + max(1, high // 6), head] > 0.5
    columns = top.any(dim=0).nonzero()[:, 0].tolist() or [0, wide - 1]
    return rows[0], head.start + columns[0], head.start + columns[-1] + 1


def _tops(relation: str, high: float, low: float, ledge: float, is_open: bool) -> tuple[float, float]:
    """Upper edges of the first and the second of two related things of these heights."""
    if relation == "on":
        return ledge * low - high, 0.0
    if relation == "above":
        return -high - 0.06, 0.0
    if relation == "under":
        return (0.6 if is_open else 0.96) * low, 0.0
    if relation == "in":
        return 0.56 * low - high / 2, 0.0
    if relation == "into":
        return ledge * low - 0.6 * high, 0.0
    if relation == "dressed":
        return -0.62 * high, 0.0
    return (low - high * 0.9, 0.0) if relation == "before" else (0.0, high - low * 0.9)


def _group_size(cuts: Sequence[Cut], wide: float, high: float) -> tuple[float, float]:
    """Width and height of drawings in a row, as large as they fit."""
    wide = wide if len(cuts) == 1 else min(0.96, wide * 1.4)
    step = wide / len(cuts)
    sizes = [cut.image.shape[1:] for cut in cuts]
    shares = [min(high / tall, step / across) for tall, across in sizes]
    tallest = max(tall * share for (tall, _), share in zip(sizes, shares, strict=True))
    return (sizes[0][1] * shares[0] if len(cuts) == 1 else wide), tallest


def _resized(size: tuple[float, float], scale: float) -> tuple[float, float]:
    """A size that is another multiple of the usual one, and no wider than a picture."""
    scale = min(scale, max(1.0, _MOST / size[0]))
    return size[0] * scale, size[1] * scale


def _fitted(size: tuple[float, float], high: float) -> tuple[float, float]:
    """A size that is no higher than `high`."""
    scale = min(1.0, high / size[1])
    return size[0] * scale, size[1] * scale


def _is_open(cut: Cut) -> bool:
    """True for a drawing with room below it, such as a table or a tree."""
    high, wide = cut.mask.shape[1:]
    return float(cut.mask[0, high * 6 // 10 :, wide // 4 : max(1, wide * 3 // 4)].mean()) < 0.6


def _ledge(cut: Cut) -> float:
    """Height at which things stand on a drawing, as share of its own from the top."""
    mask = cut.mask[0] > 0.5
    middle = mask[:, mask.shape[1] // 4 : max(1, mask.shape[1] * 3 // 4)]
    seen = middle.any(dim=0)
    edge = float(middle[:, seen].float().argmax(dim=0).float().median()) / len(mask) if bool(seen.any()) else 0.0
    return min(0.6, edge + 0.08)
