"""Safety check: share of unsafe content in a picture, by zero-shot classification with the perceptors.

Zero-shot classification as in section 3.1 of Radford et al., "Learning Transferable Visual Models From Natural Language
Supervision", arXiv 2103.00020: which of several sentences describes the picture best. It is only a hint, with false
negatives and false positives. A perceptor that never saw the words, like the starter's, finds nothing.
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
"""Factor of CLIP's similarities before the softmax, as in its training."""


def safety_perceptors(models: Models) -> tuple[str, ...]:
    """Names of the perceptors that know words of the check; without one it finds nothing."""
    return tuple(perceptor.name for perceptor in models.perceptors if all(_known(perceptor)))


@torch.no_grad()
def unsafe_share(image: Image.Image, models: Models) -> float:
    """Share of probability, 0..1, of UNSAFE rather than HARMLESS sentences; the mean over the perceptors.

    Raises:
        OutOfMemory: if the picture does not fit.
    """
    with device_context(models.device, exact=False):
        shares = [share for perceptor in models.perceptors if (share := _share(image, perceptor)) is not None]
    return sum(shares) / len(shares) if shares else 0.0


def _share(image: Image.Image, perceptor: Perceptor) -> float | None:
    """Share for one perceptor, the larger of centre crop and whole picture; None if it lacks the words."""
    unsafe, harmless = _known(perceptor)
    if not unsafe or not harmless:
        return None
    side = perceptor.resolution
    views = (images.fit(image, Size(side, side)), image.resize((side, side), Image.Resampling.LANCZOS))
    pixels = torch.stack([torch.from_numpy(images.to_array(view)) for view in views]).to(perceptor.device)
    likeness = perceptor.embed_images(pixels) @ perceptor.embed_texts([*unsafe, *harmless]).t()
    shares = (_SHARPNESS * likeness).softmax(dim=-1)[:, : len(unsafe)].sum(dim=-1)
    return float(shares.max())


def _known(perceptor: Perceptor) -> tuple[list[str], list[str]]:
    """The sentences of UNSAFE and HARMLESS whose words a perceptor knows."""
    unsafe, harmless = ([text for text in texts if not perceptor.unknown_words(text)] for texts in (UNSAFE, HARMLESS))
    return unsafe, harmless
