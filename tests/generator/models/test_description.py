"""The description of a picture, with perceptors whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from generator.errors import CheckpointError
from generator.images.files import to_array
from generator.models.drawings.prototypes import Calibration, Prototypes, views
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


def test_a_thing_is_named_by_the_drawing_that_it_resembles(models: Models, tmp_path: Path) -> None:
    drawings = [Image.new("RGB", (64, 64), "white") for _ in range(3)]
    ImageDraw.Draw(drawings[0]).ellipse((8, 8, 56, 56), "red")
    ImageDraw.Draw(drawings[1]).rectangle((8, 28, 56, 36), "blue")
    ImageDraw.Draw(drawings[2]).polygon(((32, 4), (60, 60), (4, 60)), "green")
    names, perceptor = ("ball", "stick", "tent"), models.perceptors[0]
    seen = torch.stack([views(as_pixels(image), perceptor.resolution)[0] for image in drawings])
    made = Prototypes(names, perceptor.embed_images(seen), Calibration(sharpness=100.0, slope=50.0, middle=0.9))
    made.write(tmp_path / "prototypes.npz")
    read = replace(models, prototypes=Prototypes.read(tmp_path / "prototypes.npz"))
    for name, image in zip(names, drawings, strict=True):
        moved = Image.new("RGB", (96, 64), "white")
        moved.paste(image.resize((40, 40)), (44, 12))
        things = describe_picture(moved, read).things
        assert things[0].words == name
        assert things[0].share > 0.6 and sum(answer.share for answer in things) <= 1.0
    unlike = replace(made, calibration=Calibration(100.0, 50.0, 1.5))
    assert describe_picture(RED, replace(models, prototypes=unlike)).things[0].share < 0.01


def test_damaged_prototypes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "prototypes.npz"
    path.write_bytes(b"PK no prototypes")
    with pytest.raises(CheckpointError, match="is damaged"):
        Prototypes.read(path)


def as_pixels(image: Image.Image) -> Tensor:
    return torch.from_numpy(to_array(image))


def test_real_perceptors_describe_any_picture(models: Models) -> None:
    seen = describe_picture(RED, models)
    shares = [answer.share for answer in seen.things]
    assert shares == sorted(shares, reverse=True) and len(shares) <= 5
