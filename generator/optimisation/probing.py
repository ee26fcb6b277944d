"""Whether models can compute in float16, tried before they paint. Runs on the thread that dreams."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import torch

from generator.optimisation.guidance import Judges
from generator.optimisation.targets import Targets
from generator.runtime.precision import Precision
from generator.settings import Settings

if TYPE_CHECKING:
    from generator.loading import Models

_CODES = 8
"""The picture that is tried has so many codes on each side; the codes are taken from all over the codebook."""
_CUTOUTS = 4
_LOG = logging.getLogger(__name__)


def settle_precision(models: Models, precision: Precision) -> None:
    """Have models compute in a number format; where float16 does not hold their numbers, in float32 after all."""
    modules = [models.vqgan, *(perceptor.model for perceptor in models.perceptors)]
    originals = [(parameter, parameter.data) for module in modules for parameter in module.parameters()]
    models.compute_in(precision)
    if precision is Precision.FP16 and not _is_finite(models, precision.loss_scale):
        for parameter, data in originals:  # to the digit, as if it had not been tried
            parameter.data = data
        models.compute_in(Precision.FP32)
        _LOG.warning("The numbers of the models %s leave the range of float16; they compute in float32", models.name)


def _is_finite(models: Models, scale: float) -> bool:
    """Whether a picture, its judgement and its scaled gradient stay finite."""
    device, vqgan = models.device, models.vqgan
    spread = torch.linspace(0, len(vqgan.codebook) - 1, _CODES * _CODES, device=device).long()
    latent = vqgan.lookup(spread.view(1, _CODES, _CODES)).requires_grad_(True)
    texts = [perceptor.embed_texts(["a picture of a landscape"]) for perceptor in models.perceptors]
    one = torch.ones(1, device=device)
    judges = Judges(models.perceptors, Settings(cutouts=_CUTOUTS))
    with torch.enable_grad():
        image = vqgan.decode(latent)
        chances = judges.draw(1, image, torch.Generator(device).manual_seed(0))
        judgement = judges.judge(image, chances, Targets(("",), (1.0,), one, one * -math.inf, tuple(texts)))
        (judgement.loss * scale).backward()  # type: ignore[no-untyped-call]
    results = (image, judgement.loss, latent.grad, vqgan.encode(image.detach().clamp(0, 1)))
    return all(result is not None and bool(result.isfinite().all()) for result in results)
