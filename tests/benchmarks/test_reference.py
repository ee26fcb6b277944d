"""The plain loop that speed is measured against does the same work as the dream, only plainly."""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import pytest
import torch

from benchmarks.reference import PlainLoop, Seeing, _hsv, _recoloured, _rgb, augment, cut
from generator.models.model_set import Models
from generator.optimisation.dream import Dream
from generator.optimisation.targets import targets_of
from generator.request import GenerationRequest
from generator.settings import Settings

UNCHANGED = {"flip": 0.0, "affine": 0.0, "perspective": 0.0, "colour": 0.0, "sharpness": 0.0, "noise": 0.0}


def plain_loop(models: Models, request: GenerationRequest, one_crop_per_call: bool = False) -> PlainLoop:
    perceptor = models.perceptors[0]
    eye = Seeing(perceptor.model.visual, perceptor.resolution)
    start = Dream(request, models).latent
    return PlainLoop(
        models.vqgan, eye, targets_of(request, models.perceptors)[0], request.settings, start, one_crop_per_call
    )


@pytest.mark.parametrize("one_crop_per_call", [False, True])
def test_without_randomness_it_equals_our_dream(
    models: Models, make_request: Callable[..., GenerationRequest], one_crop_per_call: bool
) -> None:
    # The picture is as large as the perceptor sees, and each crop is all of it: nothing is left to chance.
    request = make_request(overview=1.0, overview_end=1.0, total_variation=0.3, init_weight=0.5, **UNCHANGED)
    dream, plain = Dream(request, models), plain_loop(models, request, one_crop_per_call)
    for _ in range(3):
        loss = plain.step()
        assert loss == pytest.approx(dream.step().loss, abs=1e-5)
    # Adam's first steps go by the sign of the gradient, which rounding may turn where it is next to nothing.
    assert ((plain.latent - dream.latent).abs() < 1e-2).float().mean() > 0.97


def test_it_improves_its_picture(models: Models, make_request: Callable[..., GenerationRequest]) -> None:
    plain = plain_loop(models, make_request(overview=1.0, overview_end=1.0, **UNCHANGED))
    losses = [plain.step() for _ in range(8)]
    assert losses[-1] < losses[0] - 0.01


def test_crops_have_the_side_that_is_seen_and_some_are_the_whole() -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 3, 40, 56)
    crops = cut(image, 16, Settings(cutouts=8, overview=0.5))
    assert crops.shape == (8, 3, 16, 16)
    assert augment(crops, Settings(cutouts=8)).shape == crops.shape


def test_colours_come_back_from_hsv() -> None:
    torch.manual_seed(0)
    crops = torch.rand(2, 3, 5, 5)
    hue, saturation, value = _hsv(crops)
    assert (_rgb(hue, saturation, value) - crops).abs().max() < 1e-5
    expected = colorsys.rgb_to_hsv(*crops[0, :, 0, 0].tolist())
    assert (hue[0, 0, 0].item(), saturation[0, 0, 0].item(), value[0, 0, 0].item()) == pytest.approx(expected, abs=1e-5)
    assert (_recoloured(crops) - crops).abs().max() < 0.1
