"""Backgrounds drawn by code: one small function for each scene, with the words that name it.

Each function fills a PIL image of twice the requested size, which is then halved for smooth edges.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Painter = Callable[[Image.Image, ImageDraw.ImageDraw, int, random.Random], None]


def _shade(colour: Colour, rng: random.Random, spread: int = 12) -> Colour:
    shift = rng.randint(-spread, spread)
    return tuple(max(0, min(255, part + shift + rng.randint(-4, 4))) for part in colour)  # type: ignore[return-value]


def _ramp(image: Image.Image, top: Colour, bottom: Colour, start: int = 0, end: int | None = None) -> None:
    """Fill rows start..end with a vertical gradient."""
    end = image.height if end is None else end
    strip = Image.new("RGB", (1, 2))
    strip.putdata([top, bottom])
    rows = strip.resize((1, 64), Image.Resampling.BILINEAR).resize((image.width, max(1, end - start)))
    image.paste(rows, (0, start))


def _dots(draw: ImageDraw.ImageDraw, side: int, rng: random.Random, count: int, radius: float, colour: Colour,
          top: float = 0.0, bottom: float = 1.0) -> None:  # fmt: skip
    for _ in range(count):
        x, y = rng.random() * side, (top + rng.random() * (bottom - top)) * side
        size = radius * side * rng.uniform(0.5, 1.3)
        draw.ellipse((x - size, y - size, x + size, y + size), fill=colour)


def _hills(draw: ImageDraw.ImageDraw, side: int, rng: random.Random, y: float, height: float, colour: Colour) -> None:
    phase, waves = rng.random() * 6, rng.uniform(0.8, 1.8)
    line = [
        (x, (y + height * math.sin(phase + waves * x / side * 6)) * side)
        for x in range(0, side + 8, max(4, side // 32))
    ]
    draw.polygon([*line, (side + 8, side), (0, side)], fill=colour)


def _cloud(draw: ImageDraw.ImageDraw, side: int, rng: random.Random, y: float, colour: Colour) -> None:
    x, width = rng.uniform(0.0, 1.0) * side, rng.uniform(0.08, 0.13) * side
    for step in range(4):
        radius = width * (0.55, 0.8, 0.7, 0.45)[step]
        left = x + (step - 1.5) * width * 0.8
        draw.ellipse((left - radius, y * side - radius, left + radius, y * side + radius * 0.6), fill=colour)


def _plain(image: Image.Image, draw: ImageDraw.ImageDraw, side: int, rng: random.Random) -> None:
    pale = ((255, 255, 255), (250, 244, 232), (226, 240, 252), (252, 232, 238), (230, 246, 228), (240, 236, 250))
    colour = _shade(rng.choice(pale), rng, 4)
    _ramp(image, colour, _shade(colour, rng, 10))


def _sky(image: Image.Image, draw: ImageDraw.ImageDraw, side: int, rng: random.Random) -> None:
    _ramp(image, _shade((84, 164, 236), rng), _shade((196, 230, 252), rng))
    for _ in range(rng.randint(2, 4)):
        _cloud(draw, side, rng, rng.uniform(0.08, 0.9), (250, 252, 255))


def _night(image: Image.Image, draw: ImageDraw.ImageDraw, side: int, rng: random.Random) -> None:
    _ramp(image, _shade((10, 14, 50), rng, 6), _shade((34, 44, 104), rng, 8))
    _dots(draw, side, rng, 26, 0.006, (250, 246, 214))
    x, y, radius = rng.choice((0.14, 0.86)) * side, 0.14 * side, 0.08 * side
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(250, 240, 190))


def _space(image: Image.Image, draw: ImageDraw.ImageDraw, side: int, rng: random.Random) -> None:
    _ramp(image, _shade((8, 6, 20), rng, 4), _shade((40, 16, 66), rng, 8))
    _dots(draw, side, rng, 50, 0.005, (255, 255, 255))
    x, y, radius = rng.random() * side, rng.choice((0.1, 0.9)) * side, rng.uniform(0.05, 0.1) * side
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_shade((200, 120, 90), rng, 40))


def _sunset(image: Image.Image, draw: ImageDraw.ImageDraw, side: int, rng: random.Random) -> None:
    _ramp(image, _shade((110, 60, 140), rng), _shade((252, 150, 70), rng), 0, int(side * 0.75))
    radius, x = 0.16 * side, rng.uniform(0.25, 0.75) * side
    draw.ellipse((x - radius, 0.75 * side - radius, x + radius, 0.75 * side + radius), fill=(255, 222, 110))
    draw.rectangle((0, 0.75 * side, side, side), fill=_shade((96, 50, 84), rng))


def _sea(image: Image.Image, draw: ImageDraw.ImageDraw, side: int, rng: random.Random) -> None:
    _ramp(image, _shade((150, 212, 246), rng), _shade((214, 240, 252), rng), 0, side // 2)
    _ramp(image, _shade((40, 136, 200), rng), _shade((16, 84, 160), rng), side // 2)
    for row in range(5):
        y, phase = (0.56 + row * 0.09) * side, rng.random() * side
        for x in range(-1, 7):
            left = x * side / 6 + phase % (side / 6)
            draw.arc(
                (left, y, left + side / 9, y + side / 24), 180, 360, fill=(190, 228, 246), width=max(2, side // 90)
            )


def _underwater(image: Image.Image, draw: ImageDraw.ImageDraw, side: int, rng: random.Random) -> None:
    _ramp(image, _shade((60, 180, 216), rng), _shade((8, 62, 124), rng))
    for _ in range(9):
        x, y, radius = rng.random() * side, rng.random() * side, rng.uniform(0.012, 0.028) * side
        draw.ellipse(
            (x - radius, y - radius, x + radius, y + radius), outline=(196, 238, 250), width=max(2, side // 100)
        )
    for _ in range(5):
        x, height = rng.random() * side, rng.uniform(0.12, 0.26) * side
        draw.line([(x, side), (x + side * 0.02, side - height / 2), (x - side * 0.01, side - height)],
                  fill=_shade((34, 140, 90), rng), width=max(3, side // 40))  # fmt: skip


def _beach(image: Image.Image, draw: ImageDraw.ImageDraw, side: int, rng: random.Random) -> None:
    _ramp(image, _shade((110, 194, 246), rng), _shade((206, 238, 252), rng), 0, int(side * 0.45))
    _ramp(image, _shade((50, 160, 210), rng), _shade((90, 204, 220), rng), int(side * 0.45), int(side * 0.64))
    draw.rectangle((0, 0.64 * side, side, side), fill=_shade((244, 218, 158), rng))
    _hills(draw, side, rng, 0.66, 0.012, _shade((244, 218, 158), rng, 4))


def _desert(image: Image.Image, draw: ImageDraw.ImageDraw, side: int, rng: random.Random) -> None:
    _ramp(image, _shade((130, 196, 240), rng), _shade((250, 226, 180), rng), 0, int(side * 0.7))
    draw.rectangle((0, 0.7 * side, side, side), fill=_shade((214, 158, 84), rng))
    _hills(draw, side, rng, 0.56, 0.05, _shade((232, 184, 106), rng))
    _hills(draw, side, rng, 0.72, 0.04, _shade((214, 158, 84), rng))


def _snow(image: Image.Image, draw: ImageDraw.ImageDraw, side: int, rng: random.Random) -> None:
    _ramp(image, _shade((150, 184, 220), rng), _shade((216, 230, 244), rng))
    _hills(draw, side, rng, 0.68, 0.03, _shade((242, 248, 254), rng, 3))
    _dots(draw, side, rng, 40, 0.011, (255, 255, 255))


def _forest(image: Image.Image, draw: ImageDraw.ImageDraw, side: int, rng: random.Random) -> None:
    _ramp(image, _shade((172, 214, 190), rng), _shade((120, 176, 120), rng))
    for row, base in enumerate((0.62, 0.72)):
        for place in range(7):
            x = (place / 6 + rng.uniform(-0.06, 0.06)) * side
            height, width = rng.uniform(0.36, 0.56) * side, rng.uniform(0.08, 0.12) * side
            y = base * side
            draw.rectangle((x - width / 6, y - 4, x + width / 6, y + side * 0.08), fill=(94, 66, 44))
            draw.polygon([(x, y - height), (x - width, y), (x + width, y)],
                         fill=_shade(((48, 112, 70), (34, 92, 54))[row], rng))  # fmt: skip
    draw.rectangle((0, 0.78 * side, side, side), fill=_shade((74, 128, 60), rng))


def _meadow(image: Image.Image, draw: ImageDraw.ImageDraw, side: int, rng: random.Random) -> None:
    _ramp(image, _shade((120, 196, 244), rng), _shade((208, 238, 252), rng))
    _cloud(draw, side, rng, 0.16, (250, 252, 255))
    _hills(draw, side, rng, 0.6, 0.03, _shade((124, 192, 84), rng))
    _hills(draw, side, rng, 0.74, 0.02, _shade((96, 170, 66), rng))


def _garden(image: Image.Image, draw: ImageDraw.ImageDraw, side: int, rng: random.Random) -> None:
    _meadow(image, draw, side, rng)
    for colour in ((240, 90, 110), (252, 214, 80), (246, 160, 214), (255, 255, 255)):
        _dots(draw, side, rng, 9, 0.018, colour, 0.66, 1.0)


def _mountains(image: Image.Image, draw: ImageDraw.ImageDraw, side: int, rng: random.Random) -> None:
    _ramp(image, _shade((130, 184, 232), rng), _shade((226, 238, 248), rng))
    for _ in range(4):
        x, y, width = rng.random() * side, rng.uniform(0.18, 0.36) * side, rng.uniform(0.3, 0.45) * side
        draw.polygon([(x, y), (x - width, side * 0.8), (x + width, side * 0.8)], fill=_shade((106, 118, 140), rng))
        draw.polygon([(x, y), (x - width * 0.25, y + (side * 0.8 - y) * 0.25),
                      (x + width * 0.25, y + (side * 0.8 - y) * 0.25)], fill=(246, 250, 254))  # fmt: skip
    draw.rectangle((0, 0.78 * side, side, side), fill=_shade((104, 160, 92), rng))


def _city(image: Image.Image, draw: ImageDraw.ImageDraw, side: int, rng: random.Random) -> None:
    _ramp(image, _shade((160, 200, 232), rng), _shade((230, 238, 244), rng))
    x = 0.0
    while x < side:
        width, top = rng.uniform(0.12, 0.2) * side, rng.uniform(0.15, 0.5) * side
        draw.rectangle((x, top, x + width, side), fill=_shade((128, 138, 158), rng, 26))
        for row in range(12):
            for column in range(3):
                left, y = x + width * (0.16 + column * 0.28), top + (0.03 + row * 0.07) * side
                draw.rectangle((left, y, left + width * 0.14, y + side * 0.03), fill=(244, 226, 160))
        x += width
    draw.rectangle((0, 0.86 * side, side, side), fill=_shade((92, 94, 102), rng))


def _fire(image: Image.Image, draw: ImageDraw.ImageDraw, side: int, rng: random.Random) -> None:
    _ramp(image, _shade((70, 10, 10), rng, 6), _shade((190, 50, 16), rng))
    for colour, height in (((226, 80, 20), 0.62), ((250, 150, 34), 0.42), ((255, 218, 90), 0.22)):
        for place in range(7):
            x, tall = (place / 6 + rng.uniform(-0.05, 0.05)) * side, height * rng.uniform(0.7, 1.15) * side
            draw.polygon([(x, side - tall), (x - side * 0.11, side), (x + side * 0.11, side)], fill=_shade(colour, rng))


def _rain(image: Image.Image, draw: ImageDraw.ImageDraw, side: int, rng: random.Random) -> None:
    _ramp(image, _shade((92, 104, 124), rng), _shade((150, 164, 180), rng))
    for _ in range(3):
        _cloud(draw, side, rng, rng.uniform(0.04, 0.14), (70, 80, 98))
    for _ in range(40):
        x, y = rng.random() * side, (0.15 + rng.random() * 0.85) * side
        draw.line((x, y, x - side * 0.02, y + side * 0.06), fill=(190, 214, 238), width=max(2, side // 110))


def _road(image: Image.Image, draw: ImageDraw.ImageDraw, side: int, rng: random.Random) -> None:
    _meadow(image, draw, side, rng)
    draw.rectangle((0, 0.72 * side, side, side), fill=_shade((96, 98, 104), rng))
    for place in range(6):
        draw.rectangle(
            (place * side / 5, 0.84 * side, place * side / 5 + side * 0.1, 0.87 * side), fill=(250, 240, 200)
        )


def _room(image: Image.Image, draw: ImageDraw.ImageDraw, side: int, rng: random.Random) -> None:
    _ramp(image, _shade((238, 222, 196), rng, 16), _shade((226, 206, 178), rng, 10))
    draw.rectangle((0, 0.7 * side, side, side), fill=_shade((156, 104, 62), rng))
    for place in range(5):
        draw.line(
            (place * side / 4, 0.7 * side, (place - 0.5) * side / 3, side),
            fill=(126, 82, 48),
            width=max(2, side // 110),
        )
    left = rng.choice((0.06, 0.66)) * side
    draw.rectangle(
        (left, 0.1 * side, left + 0.28 * side, 0.4 * side),
        fill=(164, 214, 244),
        outline=(250, 248, 244),
        width=side // 40,
    )


def _autumn(image: Image.Image, draw: ImageDraw.ImageDraw, side: int, rng: random.Random) -> None:
    _ramp(image, _shade((236, 208, 164), rng), _shade((222, 160, 92), rng))
    for place in range(6):
        x, y = (place / 5 + rng.uniform(-0.06, 0.06)) * side, rng.uniform(0.14, 0.3) * side
        draw.rectangle((x - side * 0.015, y, x + side * 0.015, side * 0.75), fill=(106, 74, 50))
        radius = rng.uniform(0.1, 0.15) * side
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_shade((216, 110, 40), rng, 24))
    draw.rectangle((0, 0.74 * side, side, side), fill=_shade((176, 108, 50), rng))
    _dots(draw, side, rng, 30, 0.014, (226, 138, 50), 0.74, 1.0)


SCENES: dict[str, tuple[Painter, tuple[str, ...]]] = {
    "plain": (_plain, ()),
    "sky": (_sky, ("in the sky", "in a blue sky", "among clouds", "in the clouds", "on a sunny day")),
    "night": (
        _night,
        ("at night", "under the stars", "in the moonlight", "in the dark", "under the moon", "at midnight"),
    ),
    "space": (_space, ("in space", "in outer space", "among the stars", "in the galaxy")),
    "sunset": (_sunset, ("at sunset", "at dusk", "in the evening", "at sunrise", "at dawn")),
    "sea": (_sea, ("on the sea", "in the sea", "at sea", "on the ocean", "on the water", "on a lake", "on the waves")),
    "underwater": (_underwater, ("under water", "underwater", "under the sea", "in the deep sea")),
    "beach": (_beach, ("on the beach", "on a beach", "on the sand", "at the beach", "on an island")),
    "desert": (_desert, ("in the desert", "in a desert", "on a dune")),
    "snow": (_snow, ("in the snow", "in winter", "on the ice", "in a snowstorm", "on snow")),
    "forest": (_forest, ("in the forest", "in a forest", "in the woods", "in the jungle", "among trees")),
    "meadow": (_meadow, ("on the grass", "in a meadow", "in a field", "on a hill", "in the park", "in summer")),
    "garden": (_garden, ("in a garden", "among flowers", "in the flowers", "in spring")),
    "mountains": (_mountains, ("in the mountains", "on a mountain", "in front of mountains")),
    "city": (_city, ("in the city", "in a city", "in a town", "downtown", "in front of buildings")),
    "fire": (_fire, ("on fire", "in flames", "in the fire", "in hell", "in lava")),
    "rain": (_rain, ("in the rain", "in a storm", "on a rainy day", "in bad weather")),
    "road": (_road, ("on the road", "on a road", "on the street", "in the street")),
    "room": (_room, ("in a room", "indoors", "at home", "in the house", "on the floor", "in the kitchen")),
    "autumn": (_autumn, ("in autumn", "in the fall", "among autumn leaves")),
}


def paint(name: str, side_px: int, rng: random.Random) -> Image.Image:
    """Draw the named scene, RGB, side_px square; it varies with the state of rng."""
    side = side_px * 2
    image = Image.new("RGB", (side, side))
    draw_scene, _ = SCENES[name]
    draw_scene(image, ImageDraw.Draw(image), side, rng)
    image = image.resize((side_px, side_px), Image.Resampling.BOX)
    return image.filter(ImageFilter.GaussianBlur(0.4)) if name in ("forest", "city") else image
