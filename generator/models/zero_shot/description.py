"""Description of a picture in words: its things, colours, scenes and styles, by zero-shot classification.

Zero-shot classification as in section 3.1 of Radford et al., "Learning Transferable Visual Models From Natural Language
Supervision", arXiv 2103.00020: which of several sentences describes the picture best, at the temperature of each
perceptor's training. The likeliest things are asked about in every colour, and scenes and styles about the likeliest
of these. Words that no perceptor knows are left out. Models with prototypes name things by these instead: a small
perceptor tells drawings apart better than it knows their names.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image

from generator.images import files as images
from generator.models.clip import Perceptor
from generator.models.model_set import Models
from generator.models.wording import PALETTE, SCENE_WORDS
from generator.request import Answer, Description
from generator.runtime.device import device_context
from generator.settings import Size

MOST = 5
"""Number of answers of each kind."""
THINGS = (
    "apple", "banana", "bear", "bee", "beach", "bicycle", "bird", "boat", "book", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "cactus", "cake", "camel", "camera", "candle", "car", "castle", "cat",
    "chair", "child", "church", "city", "clock", "cloud", "coffee", "computer", "cow", "crown", "cup", "deer",
    "desert", "dog", "dolphin", "donkey", "door", "dragon", "dress", "duck", "eagle", "elephant", "eye", "face",
    "fire", "fish", "flag", "flower", "forest", "fox", "frog", "fruit", "galaxy", "garden", "ghost", "giraffe",
    "girl", "glass", "goat", "guitar", "hand", "hat", "heart", "helicopter", "horse", "house", "island",
    "jellyfish", "key", "lamp", "leaf", "lighthouse", "lion", "lizard", "lobster", "man", "map", "mask",
    "monkey", "moon", "motorcycle", "mountain", "mouse", "mushroom", "octopus", "owl", "palace", "panda",
    "parrot", "peacock", "penguin", "person", "piano", "pig", "pizza", "planet", "portrait", "pumpkin",
    "rabbit", "rainbow", "ring", "river", "road", "robot", "rocket", "room", "rose", "sailboat", "sea", "shark",
    "sheep", "ship", "shoe", "skull", "snail", "snake", "snowman", "spider", "spaceship", "squirrel", "star",
    "statue", "strawberry", "street", "sun", "sunflower", "sunset", "sword", "table", "temple", "tiger",
    "tower", "train", "tree", "truck", "turtle", "umbrella", "unicorn", "violin", "volcano", "waterfall",
    "whale", "wolf", "woman", "zebra",
)  # fmt: skip
"""Things that are asked about where the models do not name those that they know."""
SCENES = (
    "at night", "at sunset", "in the sky", "in space", "on the sea", "under water", "on the beach", "in the desert",
    "in the snow", "in the forest", "in a meadow", "in a garden", "in the mountains", "in the city", "in the fire",
    "in the rain", "on the road", "in a room", "in autumn", "on a white background",
)  # fmt: skip
STYLES = (
    "a photo", "a painting", "an oil painting", "a watercolour", "a drawing", "a line drawing", "a sketch", "pixel art",
    "a cartoon", "an icon", "line art", "a stencil", "clip art", "a doodle", "an illustration", "a 3d render",
    "an abstract painting",
)  # fmt: skip
NO_SCENE = ""
"""Answer where no scene fits better than any."""
_CANDIDATES = 20
"""Number of the likeliest things that are asked about in every colour."""
_AT_ONCE = 64
"""Texts that are embedded at once."""


@torch.no_grad()
def describe_picture(image: Image.Image, models: Models) -> Description:
    """Describe a picture with the words that the perceptors know; the shares are means over them.

    Raises:
        OutOfMemory: if the picture does not fit.
    """
    with device_context(models.device, exact=False):
        looks = [_Look(image, perceptor) for perceptor in models.perceptors]
        if models.prototypes is None:
            things, colours = _of_words(looks, sorted(models.things - SCENE_WORDS) or THINGS)
        else:
            pixels = torch.from_numpy(images.to_array(image))
            things = models.prototypes.shares(pixels, models.perceptors[0])
            in_colour = _shares(looks, [sentence(f"{colour} {_first(things)}") for colour in PALETTE])
            colours = _ranked(list(PALETTE), in_colour)
        subject = " ".join([_first(colours), _first(things) or "picture"]).strip()
        scenes = (*SCENES, NO_SCENE)
        in_scene = _shares(looks, [f"{sentence(subject)} {scene}".strip() for scene in scenes])
        in_style = _shares(looks, [f"{style} of {sentence(subject)}" for style in STYLES])
    return Description(
        things=_answers(things),
        colours=_answers(colours),
        scenes=_answers(_ranked(scenes, in_scene)),
        styles=_answers(_ranked(STYLES, in_style)),
    )


def _of_words(looks: Sequence[_Look], names: Sequence[str]) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """Things by their names alone, and their colours, likeliest first."""
    first = _shares(looks, [sentence(name) for name in names])
    likeliest = [name for name, share in _ranked(names, first) if share > 0.0][:_CANDIDATES]
    pairs = [(colour, thing) for colour in PALETTE for thing in likeliest]
    joint = _shares(looks, [sentence(f"{colour} {thing}") for colour, thing in pairs])
    things = _sums([thing for _, thing in pairs], joint) or _ranked(names, first)
    return things, _sums([colour for colour, _ in pairs], joint)


def sentence(name: str) -> str:
    """The sentence for a thing: `a cat`, `an apple`."""
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"


class _Look:
    """A picture as one perceptor sees it: cut from the middle, and as a whole."""

    def __init__(self, image: Image.Image, perceptor: Perceptor) -> None:
        side = perceptor.resolution
        views = (images.fit(image, Size(side, side)), image.resize((side, side), Image.Resampling.LANCZOS))
        pixels = torch.stack([torch.from_numpy(images.to_array(view)) for view in views]).to(perceptor.device)
        self._perceptor, self._seen = perceptor, perceptor.embed_images(pixels)

    def shares(self, sentences: Sequence[str]) -> list[float] | None:
        """The share of each sentence, 0 for those with unknown words; None if there is no other."""
        known = [number for number, text in enumerate(sentences) if not self._perceptor.unknown_words(text)]
        if not known:
            return None
        parts = [known[start : start + _AT_ONCE] for start in range(0, len(known), _AT_ONCE)]
        vectors = torch.cat([self._perceptor.embed_texts([sentences[number] for number in part]) for part in parts])
        found = (self._perceptor.sharpness * self._seen @ vectors.t()).softmax(dim=-1).mean(dim=0).tolist()
        by_number = dict(zip(known, found, strict=True))
        return [by_number.get(number, 0.0) for number in range(len(sentences))]


def _shares(looks: Sequence[_Look], sentences: Sequence[str]) -> list[float]:
    """Mean share of each sentence over the perceptors that know any; nothing if none does."""
    found = [shares for look in looks if sentences and (shares := look.shares(sentences)) is not None]
    return [sum(shares) / len(found) for shares in zip(*found, strict=True)]


def _sums(names: Sequence[str], shares: Sequence[float]) -> list[tuple[str, float]]:
    """Each name with the sum of its shares, likeliest first."""
    found: dict[str, float] = {}
    for name, share in zip(names, shares, strict=False):
        found[name] = found.get(name, 0.0) + share
    return sorted(found.items(), key=lambda pair: -pair[1])


def _ranked(names: Sequence[str], shares: Sequence[float]) -> list[tuple[str, float]]:
    return sorted(zip(names, shares, strict=False), key=lambda pair: -pair[1])


def _first(ranked: Sequence[tuple[str, float]]) -> str:
    return ranked[0][0] if ranked else ""


def _answers(ranked: Sequence[tuple[str, float]]) -> tuple[Answer, ...]:
    return tuple(Answer(name, share) for name, share in ranked[:MOST] if share > 0.0)
