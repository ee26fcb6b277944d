"""Pictures composed on a device in batches look like those of the Compositor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from generator.models.prior import Place
from training.compositor import COLOURS, Compositor, Layer, Plan
from training.data import as_tensor
from training.gpu.__main__ import grounds
from training.gpu.batch_compositor import BatchCompositor
from training.scenes import SCENES

GROUND = (30, 90, 160)


class OnOneGround(Compositor):
    """All scenes are one even colour."""

    def scene(self, name: str) -> Image.Image:
        return Image.new("RGB", (self.side_px, self.side_px), GROUND)


@pytest.fixture(scope="module")
def batches(work: Path) -> BatchCompositor:
    return BatchCompositor(Compositor(work, 128).drawings, grounds(work, 2), "cpu", seed=1)


def even(count: int, side_px: int) -> Tensor:
    return (torch.tensor(GROUND) / 255)[None, :, None, None].expand(count, 3, side_px, side_px)


@pytest.mark.parametrize("side_px", [64, 128, 256])
def test_a_batch_has_the_colours_and_places_of_the_compositor(
    work: Path, batches: BatchCompositor, side_px: int
) -> None:
    compositor = OnOneGround(work, side_px, seed=side_px)
    plans = [compositor.plan() for _ in range(24)]
    assert {len(plan.layers) for plan in plans} >= {1, 2}
    painted = [(compositor.painted(plan).picture, compositor.sketch(plan)) for plan in plans]
    pictures, sketches = batches.over(even(24, side_px), plans), batches.sketches(plans, side_px)
    for theirs, *ours in zip(painted, pictures, sketches, strict=True):
        for one, image in zip(ours, theirs, strict=True):
            assert (one - as_tensor(image)).abs().mean() < 0.004
            assert (one - as_tensor(image)).abs().max() < 0.1


@pytest.mark.parametrize("colour", list(COLOURS))
def test_every_colour_is_that_of_the_compositor(work: Path, batches: BatchCompositor, colour: str) -> None:
    compositor = OnOneGround(work, 128, seed=3)
    plan = compositor.arranged((4,), 1, colour, "plain")
    theirs = as_tensor(compositor.painted(plan).picture)
    assert (batches.over(even(1, 128), [plan])[0] - theirs).abs().mean() < 0.004


def test_a_drawing_at_the_edge_is_cut_off_there(work: Path, batches: BatchCompositor) -> None:
    compositor = OnOneGround(work, 128)
    plan = Plan((Layer(1, "noto", Place(0.05, 0.98, 0.5)), Layer(2, "fluent", Place(1.1, 0.2, 0.6))), (1, 2), 2, "", "")
    theirs = as_tensor(compositor.painted(plan).picture)
    assert (batches.over(even(1, 128), [plan])[0] - theirs).abs().mean() < 0.004


def test_what_a_drawing_covers_is_where_the_picture_is_not_its_ground(work: Path, batches: BatchCompositor) -> None:
    compositor = OnOneGround(work, 64, seed=8)
    plans = [compositor.plan() for _ in range(12)]
    changed = (batches.over(even(12, 64), plans) - even(12, 64)).abs().amax(dim=1, keepdim=True) > 0.02
    assert not (changed & (batches.covered(plans, 64) == 0)).any()
    assert (batches.covered(plans, 64) > 0.5).float().mean() > 0.1


def test_grounds_are_the_scenes_that_are_asked_for(work: Path, batches: BatchCompositor) -> None:
    compositor = Compositor(work, 64, seed=5)
    plans = [Plan((), (), 0, "", scene) for scene in SCENES]
    ours = batches.grounds(plans, 64).mean(dim=(2, 3))
    theirs = torch.stack([as_tensor(compositor.scene(scene)).mean(dim=(1, 2)) for scene in SCENES])
    # the nearest scene by mean colour is the same one for most, as scenes vary
    nearest = torch.cdist(ours, theirs).argmin(dim=1)
    assert (nearest == torch.arange(len(SCENES))).float().mean() > 0.6
    assert (ours - theirs).abs().mean() < 0.1


def test_grounds_and_mirrors_vary(batches: BatchCompositor) -> None:
    plans = [Plan((), (), 0, "", "night")] * 16
    seen = {picture.numpy().tobytes() for picture in batches.grounds(plans, 64)}
    assert len(seen) == 4  # two pictures, mirrored or not


def test_a_seed_paints_the_same_grounds_again() -> None:
    one, other = (grounds(Path("nowhere"), 1)["city"] for _ in range(2))
    assert np.array_equal(one, other)
