"""Files for display: which of them fit, their sizes, their formats."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from bot import imaging


def noise(side_px: int = 256) -> Image.Image:
    pixels = np.random.default_rng(1).integers(0, 256, (side_px, side_px, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def read(file: imaging.ImageFile) -> Image.Image:
    image = Image.open(BytesIO(file.data))
    image.load()
    return image


def test_a_picture_that_fits_is_left_as_it_is() -> None:
    data = imaging.png(noise())
    file = imaging.fitted(data, len(data))
    assert (file.data, file.ending, file.width, file.height) == (data, "png", 256, 256)


@pytest.mark.parametrize("limit_bytes", [100_000, 30_000, 5_000, 900])
def test_a_picture_that_is_too_large_becomes_smaller_until_it_fits(limit_bytes: int) -> None:
    file = imaging.fitted(imaging.png(noise()), limit_bytes)
    image = read(file)
    assert file.ending in ("webp", "jpg")
    assert image.size == (file.width, file.height)
    assert len(file.data) <= limit_bytes or max(image.size) <= 64


@pytest.mark.parametrize(("count", "size"), [(2, (132, 64)), (3, (132, 132)), (4, (132, 132))])
def test_a_grid_is_read_like_a_page(count: int, size: tuple[int, int]) -> None:
    colours = ["red", "green", "blue", "white"][:count]
    sheet = imaging.grid([Image.new("RGB", (64, 64), colour) for colour in colours], count)
    assert sheet.size == size
    corners = [(0, 0), (131, 0), (0, 131), (131, 131)][:count]
    assert [sheet.getpixel(corner) for corner in corners] == [
        Image.new("RGB", (1, 1), colour).getpixel((0, 0)) for colour in colours
    ]


def test_a_partial_grid_leaves_space_for_missing_pictures() -> None:
    shown = imaging.preview([Image.new("RGB", (64, 64), "red")], 4)
    assert (shown.width, shown.height) == (132, 132)


def test_previews_and_thumbnails_are_small_jpegs() -> None:
    shown = imaging.preview([noise(1000)], 1)
    assert (shown.ending, shown.width, shown.height) == ("jpg", 768, 768)
    small = imaging.thumbnail(imaging.png(noise()), 100)
    assert read(small).size == (100, 100)
    assert read(small).format == "JPEG"


def test_the_size_is_read_from_the_file() -> None:
    out = BytesIO()
    noise(32).save(out, "WEBP")
    assert imaging.size_of(out.getvalue()) == (32, 32)
