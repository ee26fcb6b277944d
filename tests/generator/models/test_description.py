"""The description of a picture, with perceptors whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from PIL import Image
from torch import Tensor

from generator.models.model_set import Models
from generator.models.zero_shot.description import describe_picture

RED = Image.new("RGB", (64, 48), "red")


class SeesRed:
    """A perceptor that finds the picture near the texts with the words "cat" and "red", and knows no styles."""

    resolution = 8
    sharpness = 100.0
    device = torch.device("cpu")

    def unknown_words(self, text: str) -> tuple[str, ...]:
        return (text,) if " of " in text else ()

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        return torch.tensor([[0.1 * (" cat" in text) + 0.1 * ("red" in text.split()), 0.0] for text in texts])

    def embed_images(self, images: Tensor) -> Tensor:
        return torch.stack([images[:, 0].mean(dim=(1, 2)), images[:, 2].mean(dim=(1, 2))], dim=1)


def test_the_likeliest_words_come_first_with_shares_and_unknown_kinds_stay_empty(models: Models) -> None:
    seen = describe_picture(RED, replace(models, perceptors=(SeesRed(),)))  # type: ignore[arg-type]
    assert seen.things[0].words == "cat" and seen.things[0].share > 0.9
    assert seen.colours[0].words == "red" and seen.colours[0].share > 0.9
    assert seen.scenes and seen.styles == ()
    assert all(0.0 <= answer.share <= 1.0 for answer in (*seen.things, *seen.scenes))


def test_the_words_are_those_of_the_models_where_they_name_them(models: Models) -> None:
    seen = describe_picture(RED, replace(models, perceptors=(SeesRed(),), things={"cat", "wug"}))  # type: ignore[arg-type]
    assert {answer.words for answer in seen.things} == {"cat", "wug"}


def test_real_perceptors_describe_any_picture(models: Models) -> None:
    seen = describe_picture(RED, models)
    shares = [answer.share for answer in seen.things]
    assert shares == sorted(shares, reverse=True) and len(shares) <= 5
