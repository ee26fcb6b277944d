"""Conversion between pictures and tensors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from generator.errors import InvalidRequest
from generator.images.tensors import read_image, to_image
from generator.settings import Size


def test_reading_and_showing_a_picture_changes_nothing(png: Callable[..., bytes]) -> None:
    tensor = read_image(png(40, 24))
    assert tensor.shape == (1, 3, 24, 40)
    assert torch.equal(read_image(png(40, 24), Size(40, 24)), tensor)
    assert torch.equal(torch.tensor(to_image(tensor).getpixel((12, 10))), (tensor[0, :, 10, 12] * 255).round().long())


def test_a_picture_of_another_shape_is_cut_and_not_squashed(png: Callable[..., bytes]) -> None:
    wide = read_image(png(96, 32), Size(32, 32))
    # Of 96 columns the middle 32 are kept; the coloured part covers columns 24 to 47, so 8 of its columns are cut off.
    assert (wide[0, 1, 16] < 0.5).sum() == 16


@pytest.mark.parametrize("level", [-3.0, 0.0, 0.5, 1.0, 7.0])
def test_levels_beyond_the_range_are_clamped(level: float) -> None:
    expected = round(min(max(level, 0), 1) * 255)
    assert to_image(torch.full((1, 3, 2, 2), level)).getpixel((0, 0)) == (expected,) * 3


def test_a_file_that_is_no_picture_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        read_image(b"\x89PNG\r\n\x1a\n but then nothing")
