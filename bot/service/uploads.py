"""Files made small enough for Discord, and what that leaves out, in words. Any thread but the event loop's."""

from __future__ import annotations

from bot import imaging
from bot.texts import Sentence
from generator import InvalidRequest, Recipe, encode, read_recipe, recipe_to_json

FILE_BYTES = 10 * 2**20
"""The most that Discord takes for one file where the limit of a server or person is not known."""
REQUEST_BYTES = 25 * 2**20 - 64 * 2**10
"""The most that all files of one request may have; Discord's 25 MiB less room for the rest of it."""


def fitted(data: bytes, limit_bytes: int) -> tuple[imaging.ImageFile, tuple[Sentence, ...]]:
    """A PNG file of ours in at most `limit_bytes`, and what it lacks for that.

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
