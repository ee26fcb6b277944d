"""The safety check, with perceptors whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from PIL import Image
from torch import Tensor

from generator.loading import load_models
from generator.models.model_set import Models
from generator.models.zero_shot.safety import HARMLESS, UNSAFE, safety_perceptors, unsafe_share

RED, BLUE = Image.new("RGB", (64, 48), "red"), Image.new("RGB", (64, 48), "blue")


class KnowsRed:
    """A perceptor that considers red pictures unsafe. It knows only the words that it was given."""

    resolution = 8
    name = "knows red"
    device = torch.device("cpu")

    def __init__(self, known: Sequence[str]) -> None:
        self._known = known

    def unknown_words(self, text: str) -> tuple[str, ...]:
        return () if text in self._known else (text,)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        return torch.tensor([[1.0, 0.0] if text in UNSAFE else [0.0, 1.0] for text in texts])

    def embed_images(self, images: Tensor) -> Tensor:
        red, blue = images[:, 0].mean(dim=(1, 2)), images[:, 2].mean(dim=(1, 2))
        return torch.stack([red, blue], dim=1)


def unsafe_by(models: Models, *perceptors: object) -> Models:
    return replace(models, perceptors=perceptors)


def test_the_unsafe_share_is_high_only_for_flagged_content(models: Models) -> None:
    evaluate = unsafe_by(models, KnowsRed([*UNSAFE, *HARMLESS]))
    assert unsafe_share(RED, evaluate) > 0.99
    assert unsafe_share(BLUE, evaluate) < 0.01


def test_several_perceptors_have_an_equal_say(models: Models) -> None:
    blind = KnowsRed([UNSAFE[0], HARMLESS[0]])
    blind.embed_images = lambda images: torch.zeros(len(images), 2)  # type: ignore[method-assign]
    evaluate = unsafe_by(models, KnowsRed([*UNSAFE, *HARMLESS]), blind)
    assert unsafe_share(RED, evaluate) == pytest.approx(0.75, abs=0.01)


def test_models_without_the_words_flag_nothing(models: Models) -> None:
    assert unsafe_share(RED, unsafe_by(models, KnowsRed(HARMLESS))) == 0.0
    assert unsafe_share(RED, unsafe_by(models, KnowsRed(UNSAFE))) == 0.0


def test_a_real_perceptor_gives_a_share(models: Models) -> None:
    assert 0.0 <= unsafe_share(RED, models) <= 1.0


def test_only_perceptors_that_know_words_of_both_kinds_check_pictures(models: Models) -> None:
    blind = KnowsRed(HARMLESS)
    assert safety_perceptors(unsafe_by(models, KnowsRed([UNSAFE[0], HARMLESS[0]]), blind)) == ("knows red",)
    assert safety_perceptors(unsafe_by(models, blind)) == ()


def test_the_starter_checks_nothing() -> None:
    assert safety_perceptors(load_models("starter", "cpu")) == ()
