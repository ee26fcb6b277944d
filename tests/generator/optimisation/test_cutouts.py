"""The batched crops compared with a plain version that makes one crop at a time, in double precision."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor

from generator.optimisation.autograd import clamp_with_gradient
from generator.optimisation.cutouts import CutoutParams, augment, cut, draw, draw_noise, views
from generator.settings import Settings

EVERYTHING = {"affine": 1.0, "perspective": 1.0, "colour": 1.0, "sharpness": 1.0, "noise": 0.3}
NOTHING = {"flip": 0.0, "affine": 0.0, "perspective": 0.0, "colour": 0.0, "sharpness": 0.0, "noise": 0.0}


def drawn(count: int, width: int, height: int, overviews: int = 2, seed: int = 0, **values: object) -> CutoutParams:
    settings = Settings().merged({"cutouts": count, **values})
    return draw(settings, overviews, width, height, torch.Generator().manual_seed(seed))


def picture(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height))


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(("tile", "copies"), [("x", (1, 3)), ("y", (3, 1)), ("both", (3, 3))])
def test_crops_of_a_tile_go_on_at_the_opposite_edge(tile: str, copies: tuple[int, int], exact: bool) -> None:
    image, settings = picture(48, 64), Settings().merged({"size": "64x64", "tile": tile})
    cuts = drawn(12, 64, 48, overviews=0, **EVERYTHING, size="64x64", tile=tile)
    beyond = (bool((cuts.x + cuts.side > 64).any()), bool((cuts.y + cuts.side > 48).any()))
    assert beyond == ("x" in settings.tiled, "y" in settings.tiled)
    repeated = image.repeat(1, 1, *copies)
    moved = cuts._replace(x=cuts.x + 64 * (copies[1] // 2), y=cuts.y + 48 * (copies[0] // 2))
    assert torch.allclose(cut(image, cuts, 32, exact, settings.tiled), cut(repeated, moved, 32, exact), atol=1e-4)


def plain_cut(image: Tensor, cuts: CutoutParams, number: int, side_px: int) -> Tensor:
    """Cut one crop `[3, side_px, side_px]`: sampling position of each pixel, and the mean of the four pixels there."""
    x, y, side, mirror, turn, shift_x, shift_y, tilt_x, tilt_y, *_ = (row[number].item() for row in cuts)
    level = max(0, round(math.log2(side / side_px)))
    most = round(math.log2(max(image.shape[2:]) / side_px))
    for _ in range(min(level, most)):
        image = functional.avg_pool2d(image, 2, ceil_mode=True)
    scale = 2.0 ** min(level, most)
    height, width = image.shape[2:]
    line = (torch.arange(side_px, dtype=torch.float64) * 2 + 1) / side_px - 1
    u, v = line[None, :], line[:, None]
    depth = 1 + tilt_x * u + tilt_y * v
    u, v = u / depth, v / depth
    u, v = u * math.cos(turn) - v * math.sin(turn), u * math.sin(turn) + v * math.cos(turn)
    u, v = mirror * (u + 2 * shift_x), v + 2 * shift_y
    across = ((x + side * (1 + u) / 2) / scale - 0.5).clamp(0, width - 1)
    down = ((y + side * (1 + v) / 2) / scale - 0.5).clamp(0, height - 1)
    left, upper = across.long(), down.long()
    right, lower = (left + 1).clamp(max=width - 1), (upper + 1).clamp(max=height - 1)
    a, b, pixels = across - left, down - upper, image[0]
    above = pixels[:, upper, left] * (1 - a) + pixels[:, upper, right] * a
    below = pixels[:, lower, left] * (1 - a) + pixels[:, lower, right] * a
    return above * (1 - b) + below * b


def plain_augment(crop: Tensor, cuts: CutoutParams, number: int, noise: Tensor) -> Tensor:
    """Change one crop's colours, sharpness and noise."""
    *_, hue, saturation, sharpness, strength = (row[number].item() for row in cuts)
    grey = crop.mean(dim=0, keepdim=True)
    red, green, blue = crop - grey
    across = torch.stack([blue - green, red - blue, green - red]) / math.sqrt(3)
    crop = grey + saturation * ((crop - grey) * math.cos(hue) + across * math.sin(hue))
    kernel = torch.ones(3, 1, 3, 3, dtype=crop.dtype)
    kernel[:, :, 1, 1] = 5
    inside = torch.ones_like(crop)
    means = functional.conv2d(crop, torch.ones_like(kernel), padding=1, groups=3)
    means = means / functional.conv2d(inside, torch.ones_like(kernel), padding=1, groups=3)
    blurred = (9 * means + 4 * crop) / 13
    interior = functional.conv2d(crop, kernel / 13, groups=3)
    assert torch.allclose(interior, blurred[:, 1:-1, 1:-1])
    crop = crop + sharpness * (crop - blurred)
    return clamp_with_gradient(crop + strength * noise, 0, 1)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(("height", "width", "side_px"), [(64, 64, 8), (40, 72, 16), (33, 50, 6), (24, 24, 32)])
def test_all_crops_at_once_equal_one_at_a_time(height: int, width: int, side_px: int, exact: bool) -> None:
    settings = Settings().merged({**EVERYTHING, "cutouts": 6})
    cuts = drawn(6, width, height, **EVERYTHING)
    fast, plain = picture(height, width).requires_grad_(True), picture(height, width).double().requires_grad_(True)
    noise = draw_noise(settings, side_px, torch.Generator().manual_seed(5))
    assert noise is not None
    crops = augment(cut(fast, cuts, side_px, exact), cuts, settings, noise)
    expected = torch.stack(
        [plain_augment(plain_cut(plain, cuts, number, side_px), cuts, number, noise[number]) for number in range(6)]
    )
    assert (crops - expected).abs().max() < 2e-5
    weights = torch.randn(crops.shape, generator=torch.Generator().manual_seed(6))
    (crops * weights).sum().backward()
    (expected * weights).sum().backward()
    assert (fast.grad - plain.grad).abs().max() < 5e-4 * plain.grad.abs().max()


def test_an_overview_of_a_square_picture_without_augmentation_is_the_whole_picture() -> None:
    image = picture(32, 32)
    crops = cut(image, drawn(3, 32, 32, overviews=3, **NOTHING), 32)
    assert (crops - image).abs().max() < 1e-5


def test_an_overview_at_half_size_is_the_mean_of_four_pixels() -> None:
    image = picture(32, 32)
    crops = cut(image, drawn(1, 32, 32, overviews=1, **NOTHING), 16)
    assert (crops - functional.avg_pool2d(image, 2)).abs().max() < 1e-5


@pytest.mark.parametrize("side_px", [4, 8, 16])
def test_shrinking_averages_so_that_no_pixel_goes_unseen(side_px: int) -> None:
    image = picture(64, 64).requires_grad_(True)
    cut(image, drawn(1, 64, 64, overviews=1, **NOTHING), side_px).sum().backward()
    assert image.grad.min() > 0
    assert image.grad.max() / image.grad.min() < 1.001


def test_mirrored_crops_are_mirrored() -> None:
    image = picture(32, 32)
    crops = cut(image, drawn(1, 32, 32, overviews=1, **{**NOTHING, "flip": 1.0}), 32)
    assert (crops - image.flip(3)).abs().max() < 1e-5


@pytest.mark.parametrize(("width", "height"), [(64, 64), (96, 64), (64, 160)])
def test_inner_crops_lie_inside_and_have_the_sizes_asked_for(width: int, height: int) -> None:
    cuts = drawn(256, width, height, overviews=0, cut_min=0.5)
    assert cuts.side.min() >= 32
    assert cuts.side.max() <= 64
    assert min(cuts.x.min(), cuts.y.min()) >= 0
    assert (cuts.x + cuts.side).max() <= width + 1e-3
    assert (cuts.y + cuts.side).max() <= height + 1e-3


def test_a_higher_power_makes_inner_crops_smaller() -> None:
    sides = [drawn(256, 64, 64, overviews=0, cut_power=power).side.mean() for power in (0.0, 0.5, 1.0, 2.0)]
    assert sides[0] == 64
    assert sides == sorted(sides, reverse=True)
    assert len(set(sides)) == 4


def test_overviews_of_a_wide_picture_cover_its_height_and_up_to_all_of_its_width() -> None:
    cuts = drawn(256, 128, 64, overviews=256)
    assert cuts.side.min() >= 64
    assert cuts.side.max() > 120
    assert cuts.y.max() <= 0
    assert (cuts.y + cuts.side).min() >= 64
    assert cuts.x.min() >= 0
    assert (cuts.x + cuts.side).max() <= 128 + 1e-3


@pytest.mark.parametrize(
    ("name", "attribute", "neutral"),
    [("flip", "mirror", 1), ("affine", "turn", 0), ("affine", "shift_x", 0), ("perspective", "tilt_y", 0),
     ("colour", "hue", 0), ("colour", "saturation", 1), ("sharpness", "sharpness", 0)],
)  # fmt: skip
def test_an_augmentation_happens_as_often_as_asked(name: str, attribute: str, neutral: float) -> None:
    for share in (0.0, 0.3, 1.0):
        values = getattr(drawn(2000, 64, 64, **{"cutouts": 256, name: share}), attribute)
        happened = (values != neutral).float().mean().item()
        assert happened == pytest.approx(share, abs=0.08 if 0 < share < 1 else 0.01)


def test_switching_one_augmentation_off_leaves_the_other_choices() -> None:
    with_all, without = drawn(16, 64, 64), drawn(16, 64, 64, affine=0.0)
    assert without.turn.abs().max() == 0
    for name in ("x", "side", "mirror", "tilt_x", "hue", "sharpness", "noise"):
        assert torch.equal(getattr(with_all, name), getattr(without, name))


def test_noise_has_the_strength_that_was_drawn() -> None:
    cuts = drawn(64, 64, 64, noise=0.2)
    grey = torch.full((64, 3, 32, 32), 0.5)
    settings = Settings().merged({**NOTHING, "noise": 0.2, "cutouts": 64})
    noisy = augment(grey, cuts, settings, draw_noise(settings, 32, torch.Generator().manual_seed(0)))
    assert cuts.noise.max() <= 0.2
    small = cuts.noise < 0.12  # more is clamped
    assert torch.allclose(noisy.flatten(1).std(dim=1)[small], cuts.noise[small], rtol=0.1, atol=1e-4)


@pytest.mark.parametrize(("width", "height", "count"), [(64, 64, 1), (96, 64, 3), (64, 96, 3)])
def test_views_show_squares_from_one_end_to_the_other(width: int, height: int, count: int) -> None:
    images = torch.zeros(2, 3, height, width)
    images[:, :, -1:, -1:] = 1
    seen = views(images, 64)
    assert seen.shape == (2, count, 3, 64, 64)
    assert torch.equal(seen[0], seen[1])
    assert seen[0, -1, :, -1, -1].min() > 0.9
    assert count == 1 or seen[0, 0].max() == 0


def test_crops_come_from_the_generator_alone() -> None:
    first = drawn(8, 64, 48, seed=3)
    torch.rand(7)
    again, other = drawn(8, 64, 48, seed=3), drawn(8, 64, 48, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.x, other.x)
