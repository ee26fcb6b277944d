"""Starts of a dream."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from generator.images.tensors import read_image
from generator.models.model_set import Models
from generator.optimisation.starts.init import at_size, start_latent
from generator.optimisation.targets import targets_of
from generator.request import GenerationRequest
from generator.settings import Size

Make = Callable[..., GenerationRequest]
SIZE = Size(48, 32)


def start(request: GenerationRequest, models: Models, seed: int = 0, **parts: torch.Tensor) -> torch.Tensor:
    targets = targets_of(request, models.perceptors)[0]
    generator = torch.Generator().manual_seed(seed)
    return start_latent(request, models, SIZE, targets, parts.get("parent_latent"), generator)


@pytest.mark.parametrize("name", ["random", "pixels", "gradient", "fractal", "prior"])
def test_a_start_depends_on_the_seed_alone(models: Models, make_request: Make, name: str) -> None:
    request = make_request(start=name)
    first, again, other = (start(request, models, seed) for seed in (1, 1, 2))
    assert first.shape == (1, 4, 4, 6)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_random_starts_are_codes(models: Models, make_request: Make) -> None:
    latent = start(make_request(start="random"), models)
    assert torch.equal(models.vqgan.quantise(latent)[0], latent)
    assert len(models.vqgan.quantise(latent)[1].unique()) > 15


def test_an_init_image_is_cut_to_the_shape_and_encoded(
    models: Models, make_request: Make, png: Callable[..., bytes]
) -> None:
    latent = start(make_request(start="init", init_image=png(96, 64)), models)
    assert torch.equal(latent, models.vqgan.encode(read_image(png(96, 64), SIZE)))


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_of_an_init_image_may_be_random(
    models: Models, make_request: Make, png: Callable[..., bytes], share: float
) -> None:
    request = make_request(start="init", init_image=png(), variation=share)
    plain = start(make_request(start="init", init_image=png()), models)
    codes = start(make_request(start="random"), models)
    assert torch.allclose(start(request, models), plain + share * (codes - plain), atol=1e-5)


def test_the_best_proposal_is_taken(models: Models, make_request: Make) -> None:
    request = make_request(start="prior", candidates=6)
    (targets,) = targets_of(request, models.perceptors)
    features = models.perceptors[0].embed_texts(["a red apple"])
    codes = models.prior.propose("a red apple", features, 6, (4, 6), torch.Generator().manual_seed(0))
    images = models.vqgan.decode(models.vqgan.lookup(codes)).clamp(0, 1)
    best = targets.scores(images, models.perceptors).argmax()
    assert torch.equal(start(request, models), models.vqgan.lookup(codes[best][None]))


def test_the_prior_gets_the_prompts_of_the_first_scene(models: Models, make_request: Make) -> None:
    weighed = start(make_request("a castle:1 | at night:3 | rain:-3 ^ dusk", start="prior", candidates=1), models)
    assert torch.equal(weighed, start(make_request("a castle at night", start="prior", candidates=1), models))


def test_a_prior_works_with_unknown_words(models: Models, make_request: Make) -> None:
    assert start(make_request("zeppelin moon", start="prior", candidates=2), models).shape == (1, 4, 4, 6)


def test_a_latent_of_the_right_size_stays_as_it_is(models: Models) -> None:
    latent = torch.randn(1, 4, 4, 6)
    assert at_size(models.vqgan, latent, SIZE) is latent


@pytest.mark.parametrize("size", [(96, 64), (24, 16), (32, 64)])
def test_a_latent_of_another_size_is_decoded_resized_and_encoded(models: Models, size: tuple[int, int]) -> None:
    grey = models.vqgan.encode(torch.full((1, 3, 32, 48), 0.5))
    resized = at_size(models.vqgan, grey, Size(*size))
    assert resized.shape == (1, 4, size[1] // 8, size[0] // 8)
    image = models.vqgan.decode(models.vqgan.quantise(grey)[0]).clamp(0, 1)
    if size == (96, 64):
        doubled = torch.nn.functional.interpolate(image, (64, 96), mode="bicubic", antialias=True).clamp(0, 1)
        assert torch.equal(resized, models.vqgan.encode(doubled))
