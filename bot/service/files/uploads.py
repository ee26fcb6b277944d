"""Fit files to Discord's size limits, and describe the parts left out. Any thread except the event loop's."""

from __future__ import annotations

from bot import imaging
from bot.texts import Sentence
from generator import InvalidRequest, Recipe, encode, read_recipe, recipe_to_json

FILE_BYTES = 10 * 2**20
"""Discord's maximum for one file if the limit of the server or person is unknown."""
REQUEST_BYTES = 25 * 2**20 - 64 * 2**10
"""Maximum total of the files of one request; Discord's 25 MiB less room for the rest of it."""


def fitted(data: bytes, limit_bytes: int) -> tuple[imaging.ImageFile, tuple[Sentence, ...]]:
    """Fit one of our PNG files into `limit_bytes`; return it with the parts left out.

    The attached pictures in its recipe go first, since they cannot be seen; then the recipe, with the exact pixels.
    """
    if len(data) <= limit_bytes:
        return imaging.ImageFile(data, "png", *imaging.size_of(data)), ()
    recipe = _recipe(data)
    if recipe is not None and recipe.request.images:
        image = imaging.open_ours(data)
        lean = encode(image, "png", recipe_to_json(recipe, pictures=False))
        if len(lean) <= limit_bytes:
            return imaging.ImageFile(lean, "png", *image.size), (Sentence.of("left_out_pictures"),)
    key = "left_out_size" if recipe is None else "left_out_recipe"
    return imaging.fitted(data, limit_bytes), (Sentence.of(key),)


def _recipe(data: bytes) -> Recipe | None:
    try:
        return read_recipe(data)
    except InvalidRequest:
        return None


def prompt_in(data: bytes) -> str:
    """The prompt of the recipe in a picture file of any origin; "" if it has none."""
    recipe = _recipe(data)
    return "" if recipe is None else " ".join(recipe.request.prompt.split())
