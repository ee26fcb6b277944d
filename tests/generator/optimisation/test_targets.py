"""Targets of the dream, and warnings about the words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from generator.errors import InvalidRequest
from generator.images.tensors import read_image
from generator.models.clip import CLIP, Perceptor
from generator.models.language.reading import ReadPrompts
from generator.models.model_set import Models
from generator.optimisation.targets import embed_views, targets_of, warnings_of
from generator.prompts import parse_story
from generator.request import GenerationRequest, ImagePrompt
from tests.generator.tiny import clip_tokens

Make = Callable[..., GenerationRequest]


def typed(prompt: str) -> ReadPrompts:
    return ReadPrompts(parse_story(prompt))


def test_texts_and_pictures_pull_together_with_shares_of_the_sum(
    ensemble: Models, make_request: Make, png: Callable[..., bytes]
) -> None:
    request = make_request("a castle:2 | fog:-1:-0.5", image_prompts=(ImagePrompt(image=png(), weight=5.0),))
    (targets,) = targets_of(request, ensemble.perceptors)
    assert targets.labels == ("a castle", "fog", "picture 1")
    assert targets.weights == (0.25, -0.125, 0.625)
    assert targets.shares.tolist() == list(targets.weights)
    assert targets.stops.tolist() == [-torch.inf, -0.5, -torch.inf]
    for vectors, perceptor in zip(targets.vectors, ensemble.perceptors, strict=True):
        assert torch.equal(vectors[:2], perceptor.embed_texts(["a castle", "fog"]))
        assert torch.allclose(vectors.norm(dim=-1), torch.ones(3), atol=1e-6)


def test_pictures_hold_in_every_scene(models: Models, make_request: Make, png: Callable[..., bytes]) -> None:
    request = make_request("dawn ^ dusk", image_prompts=(ImagePrompt(image=png()),))
    scenes = targets_of(request, models.perceptors)
    assert [scene.labels for scene in scenes] == [("dawn", "picture 1"), ("dusk", "picture 1")]


def test_similarity_is_the_weighted_mean_of_the_positive_prompts(models: Models, make_request: Make) -> None:
    (targets,) = targets_of(make_request("a:3 | b:1 | c:-4"), models.perceptors)
    assert targets.similarity([0.4, 0.8, 0.1]) == pytest.approx(0.5)
    assert targets.similarity([]) == 0


def test_the_score_is_the_weighted_cosine(ensemble: Models, make_request: Make) -> None:
    (targets,) = targets_of(make_request("a:3 | b:-1"), ensemble.perceptors)
    images = torch.rand(3, 3, 40, 64)
    expected = torch.zeros(3)
    for perceptor, vectors in zip(ensemble.perceptors, targets.vectors, strict=True):
        cosines = embed_views(perceptor, images) @ vectors.t()
        expected += (0.75 * cosines[:, 0] - 0.25 * cosines[:, 1]) / 2
    assert torch.allclose(targets.scores(images, ensemble.perceptors), expected, atol=1e-6)


def test_a_picture_of_the_perceptors_size_is_embedded_as_it_is(models: Models, png: Callable[..., bytes]) -> None:
    (perceptor,) = models.perceptors
    image = read_image(png(32, 32))
    assert torch.allclose(embed_views(perceptor, image), perceptor.embed_images(image), atol=1e-5)


def test_a_broken_picture_is_refused(models: Models, make_request: Make, png: Callable[..., bytes]) -> None:
    request = make_request("", image_prompts=(ImagePrompt(image=png()[:60]),))
    with pytest.raises(InvalidRequest):
        targets_of(request, models.perceptors)


def test_words_that_no_picture_taught_are_named(make_clip: Callable[..., CLIP], make_request: Make) -> None:
    state = make_clip().state_dict()
    ids = torch.unique(clip_tokens("a red apple"))
    state = {**state, "token_embedding.weight": state["token_embedding.weight"][ids], "vocabulary": ids}
    perceptor = Perceptor.from_state("x", state)
    (warning,) = warnings_of(typed("a red zeppelin | zeppelin, apple:-1"), (perceptor,))[:1]
    assert "“zeppelin”" in warning
    assert "apple" not in warning
    assert warnings_of(typed("a red apple"), (perceptor,)) == ()


def test_a_long_end_is_shown_in_short(models: Models, make_request: Make) -> None:
    (warning,) = warnings_of(typed("apple " * 300), models.perceptors)
    assert len(warning) < 250
    assert warning.endswith("…”.")
