"""Float16 probe: check before first use that the models' numbers stay finite."""

from __future__ import annotations

import logging

import torch

from generator.models.model_set import Models
from generator.optimisation.guidance import ClipGuidance
from generator.optimisation.targets import Targets
from generator.runtime.precision import Precision
from generator.settings import Settings

_CODES = 8
"""Codes on each side of the probe picture; they are taken from the whole codebook."""
_CUTOUTS = 4
_LOG = logging.getLogger(__name__)


def settle_precision(models: Models, precision: Precision) -> Models:
    """Return models that compute in `precision`, or in float32 if float16 cannot hold their numbers."""
    settled = models.in_precision(precision)
    if precision is Precision.FP16 and not _is_finite(settled, precision.loss_scale):
        _LOG.warning("The numbers of the models %s leave the range of float16; they compute in float32", models.name)
        return models.in_precision(Precision.FP32)
    return settled


def _is_finite(models: Models, scale: float) -> bool:
    """True if a picture, its evaluation and its scaled gradient stay finite."""
    device, vqgan = models.device, models.vqgan
    spread = torch.linspace(0, len(vqgan.codebook) - 1, _CODES * _CODES, device=device).long()
    latent = vqgan.lookup(spread.view(1, _CODES, _CODES)).requires_grad_(True)
    texts = [perceptor.embed_texts(["a picture of a landscape"]) for perceptor in models.perceptors]
    guidance = ClipGuidance(models.perceptors, Settings(cutouts=_CUTOUTS))
    with torch.enable_grad():
        image = vqgan.decode(latent)
        cutouts = guidance.draw(1, image, torch.Generator(device).manual_seed(0))
        result = guidance.evaluate(image, cutouts, Targets.of_one(texts))
        (result.loss * scale).backward()  # type: ignore[no-untyped-call]
    results = (image, result.loss, latent.grad, vqgan.encode(image.detach().clamp(0, 1)))
    return all(result is not None and bool(result.isfinite().all()) for result in results)
