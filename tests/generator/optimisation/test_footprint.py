"""Memory of a step: the estimate from tiny sizes compared with what autograd keeps at larger ones."""

from __future__ import annotations

import copy

import pytest
import torch

from generator.models.model_set import Models
from generator.models.vqgan import VQGAN
from generator.optimisation.guidance import ClipGuidance
from generator.optimisation.memory.footprint import measure, saved_by
from generator.optimisation.targets import targets_of
from generator.runtime.precision import Precision
from generator.settings import Settings, Size

CPU = torch.device("cpu")


def own(models: Models) -> set[int]:
    modules = (models.vqgan, *(perceptor.model for perceptor in models.perceptors))
    return {parameter.untyped_storage().data_ptr() for module in modules for parameter in module.parameters()}


@pytest.mark.parametrize("codes", [6, 12])
def test_a_larger_picture_keeps_what_was_estimated(models: Models, codes: int) -> None:
    estimate = measure(models.vqgan, models.perceptors, CPU)
    latent = models.vqgan.lookup(torch.zeros(1, codes, codes, dtype=torch.long)).requires_grad_(True)
    kept = saved_by(lambda: models.vqgan.decode(latent), own(models))
    size = Size(codes * models.vqgan.factor, codes * models.vqgan.factor)
    assert estimate.step_bytes(size, 0) == pytest.approx(kept.peak, rel=0.05)


def test_more_cutouts_keep_what_was_estimated(ensemble: Models, make_request: object) -> None:
    estimate = measure(ensemble.vqgan, ensemble.perceptors, CPU)
    image = torch.zeros(1, 3, 32, 32, requires_grad=True)
    peaks = []
    for count in (4, 12):
        guidance = ClipGuidance(ensemble.perceptors, Settings(cutouts=count))
        cutouts = guidance.draw(1, image, torch.Generator())
        targets = targets_of(make_request(), ensemble.perceptors)[0]  # type: ignore[operator]
        peaks.append(saved_by(lambda: guidance.evaluate(image, cutouts, targets).loss, own(ensemble)).peak)  # noqa: B023
    assert (peaks[1] - peaks[0]) / 8 == pytest.approx(estimate.per_cutout, rel=0.1)


def test_half_precision_takes_less(models: Models) -> None:
    half: VQGAN = copy.deepcopy(models.vqgan)
    half.compute_in(Precision.BF16)
    whole = measure(models.vqgan, models.perceptors, CPU)
    assert measure(half, models.perceptors, CPU).per_pixel < 0.8 * whole.per_pixel


def test_measuring_draws_nothing_from_the_global_random_state(models: Models) -> None:
    before = torch.get_rng_state()
    measure(models.vqgan, models.perceptors, CPU)
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_are_not_counted_and_activations_are() -> None:
    weights, values = torch.ones(1000, requires_grad=True), torch.ones(1000, requires_grad=True)
    storage = weights.untyped_storage().data_ptr()
    kept = saved_by(lambda: (values.exp() * weights).sum(), {storage})
    assert kept.total == 4000  # exp keeps its result, which the product keeps too
    assert kept.largest == 4000
