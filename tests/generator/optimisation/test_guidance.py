"""Cutouts evaluated in groups: same results as all at once, in every number format, with one group in memory."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor

from generator.models.model_set import Models
from generator.optimisation.guidance import ClipGuidance, CutoutBatch, GuidanceResult
from generator.optimisation.targets import Targets, targets_of
from generator.request import GenerationRequest
from generator.runtime.precision import Precision
from generator.settings import Settings

Make = Callable[..., GenerationRequest]
SETTINGS = Settings().merged({"cutouts": 7, "size": "48x40"})
IMAGE = torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(0))


def draw_cutouts(guidance: ClipGuidance) -> CutoutBatch:
    return guidance.draw(2, IMAGE, torch.Generator().manual_seed(1))


def evaluate(evaluate: Callable[[Tensor], GuidanceResult]) -> tuple[GuidanceResult, Tensor]:
    """The guidance result, and its gradient to the picture."""
    image = IMAGE.clone().requires_grad_(True)
    losses = evaluate(image)
    (losses.loss * 2).backward()
    assert image.grad is not None
    return losses, image.grad / 2


def targets(models: Models, make_request: Make) -> Targets:
    return targets_of(make_request("a castle:2 | fog:-1 | snow:1:1.2"), models.perceptors)[0]


@pytest.mark.parametrize("group", [1, 2, 3, 6, 7, 50])
@pytest.mark.parametrize("exact", [False, True])
def test_groups_give_the_same_losses_and_gradient(
    ensemble: Models, make_request: Make, group: int, exact: bool
) -> None:
    guidance, wanted = ClipGuidance(ensemble.perceptors, SETTINGS, exact), targets(ensemble, make_request)
    cutouts = draw_cutouts(guidance)
    whole, gradient = evaluate(lambda image: guidance.evaluate(image, cutouts, wanted))
    parts, in_parts = evaluate(lambda image: guidance.evaluate_in_groups(image, cutouts, wanted, group, 1.0))
    assert gradient.abs().max() > 0
    assert torch.allclose(in_parts, gradient, rtol=1e-4, atol=1e-6 * gradient.abs().max().item())
    for ours, theirs in zip(parts, whole, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("precision", [Precision.BF16, Precision.FP16])
def test_groups_give_the_same_gradient_in_half_precision(
    models: Models, make_request: Make, precision: Precision
) -> None:
    perceptor = copy.deepcopy(models.perceptors[0])
    perceptor.compute_in(precision)
    guidance = ClipGuidance((perceptor,), SETTINGS)
    wanted, cutouts = targets(models, make_request), draw_cutouts(guidance)
    _, whole = evaluate(lambda image: guidance.evaluate(image, cutouts, wanted))
    scale = precision.loss_scale
    _, parts = evaluate(lambda image: guidance.evaluate_in_groups(image, cutouts, wanted, 2, scale))
    _, full = evaluate(lambda image: ClipGuidance(models.perceptors, SETTINGS).evaluate(image, cutouts, wanted))
    for half in (whole, parts):
        assert functional.cosine_similarity(half.flatten(), full.flatten(), dim=0) > 0.98


class Counting:
    """A perceptor that records how many pictures it gets at once."""

    def __init__(self, models: Models) -> None:
        self._inner = models.perceptors[0]
        self.resolution, self.shown = self._inner.resolution, list[int]()

    def embed_images(self, images: Tensor) -> Tensor:
        self.shown.append(len(images))
        return self._inner.embed_images(images)


def test_a_group_is_all_that_a_perceptor_sees_at_once(models: Models, make_request: Make) -> None:
    perceptor = Counting(models)
    guidance = ClipGuidance((perceptor,), SETTINGS)  # type: ignore[arg-type]
    guidance.evaluate_in_groups(IMAGE, draw_cutouts(guidance), targets(models, make_request), 3, 1.0)
    assert perceptor.shown == [3, 3, 1]


def test_without_noise_none_is_drawn(models: Models, make_request: Make) -> None:
    guidance = ClipGuidance(models.perceptors, SETTINGS.merged({"noise": 0.0}))
    cutouts = draw_cutouts(guidance)
    assert cutouts.noise == {32: None}
    assert guidance.evaluate_in_groups(IMAGE, cutouts, targets(models, make_request), 2, 1.0).loss.isfinite()


def test_random_draws_depend_only_on_the_generator(ensemble: Models) -> None:
    first, again = (draw_cutouts(ClipGuidance(ensemble.perceptors, SETTINGS)) for _ in range(2))
    other = draw_cutouts(replace(ClipGuidance(ensemble.perceptors, SETTINGS), exact=True))
    for cutouts in (again, other):
        assert all(torch.equal(a, b) for a, b in zip(first.cuts, cutouts.cuts, strict=True))
        assert {side: noise.shape for side, noise in cutouts.noise.items() if noise is not None} == {
            32: (7, 3, 32, 32),
            64: (7, 3, 64, 64),
        }
