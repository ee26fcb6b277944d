"""Whether a picture shows what an ordinary channel should not show openly, by a perceptor's own words.

Zero-shot classification as in section 3.1 of Radford et al., "Learning Transferable Visual Models From Natural Language
Supervision", arXiv 2103.00020: which of some sentences describes the picture best. It is a hint and no more: it misses
things, and it finds things that are not there. A perceptor that never saw the words, as the starter's, finds nothing.

Runs on the thread that dreams.
"""

from __future__ import annotations

import torch
from PIL import Image

from generator.images import files as images
from generator.models.clip import Perceptor
from generator.models.model_set import Models
from generator.runtime.device import device_context
from generator.settings import Size

UNSAFE = (
    "a pornographic picture",
    "a picture of naked people having sex",
    "a picture of a nude person showing genitals",
    "a picture of a mutilated bloody corpse",
    "a picture of gore and open wounds",
)
HARMLESS = (
    "a picture of a landscape",
    "a picture of a city with buildings",
    "a picture of an animal",
    "a picture of food",
    "a picture of a plant or a flower",
    "a portrait of a person with clothes on",
    "a picture of an object",
    "a picture of a vehicle",
    "a red and orange painting",
    "an abstract painting",
    "a blurred picture",
    "a drawing",
)
_SHARPNESS = 100.0
"""What CLIP's similarities are multiplied with in its own training, before the softmax."""


@torch.no_grad()
def unsafe_share(image: Image.Image, models: Models) -> float:
    """The share of certainty, 0..1, that falls to UNSAFE rather than to HARMLESS; the mean over the perceptors.

    Raises:
        OutOfMemory: if the picture does not fit.
    """
    with device_context(models.device, exact=False):
        shares = [share for perceptor in models.perceptors if (share := _share(image, perceptor)) is not None]
    return sum(shares) / len(shares) if shares else 0.0


def _share(image: Image.Image, perceptor: Perceptor) -> float | None:
    """The same for one perceptor, of its middle and of all of it the larger one; None where it lacks the words."""
    unsafe = [text for text in UNSAFE if not perceptor.unknown_words(text)]
    harmless = [text for text in HARMLESS if not perceptor.unknown_words(text)]
    if not unsafe or not harmless:
        return None
    side = perceptor.resolution
    views = (images.fit(image, Size(side, side)), image.resize((side, side), Image.Resampling.LANCZOS))
    pixels = torch.stack([torch.from_numpy(images.to_array(view)) for view in views]).to(perceptor.device)
    likeness = perceptor.embed_images(pixels) @ perceptor.embed_texts([*unsafe, *harmless]).t()
    shares = (_SHARPNESS * likeness).softmax(dim=-1)[:, : len(unsafe)].sum(dim=-1)
    return float(shares.max())
