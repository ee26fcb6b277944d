"""Drawers besides the VQGAN: the same loop draws a pixel grid or a spectrum."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from generator.images.files import encode, normalise
from generator.models.drawers.fourier import FourierPicture
from generator.models.drawers.interface import Drawer
from generator.models.drawers.pixels import PixelGrid
from generator.models.model_set import Models
from generator.optimisation.dream import Dream
from generator.optimisation.graph import GraphCache
from generator.request import GenerationRequest
from tests.generator.recording import Repeating

Make = Callable[..., GenerationRequest]
Run = Callable[..., Dream]
KINDS = ("pixel", "fourier")
CPU = torch.device("cpu")


def pixels(dream: Dream) -> np.ndarray:
    return np.asarray(dream.picture().image)


def photo(size: tuple[int, int] = (48, 32)) -> torch.Tensor:
    smooth = torch.rand(1, 3, 4, 6, generator=torch.Generator().manual_seed(1)) * 0.8 + 0.1
    return torch.nn.functional.interpolate(smooth, (size[1], size[0]), mode="bilinear")


def test_a_spectrum_draws_the_picture_that_it_is_of() -> None:
    image = photo()
    drawer = FourierPicture(CPU)
    latent = drawer.encode(image)
    assert latent.shape == (1, 6, *drawer.grid(32, 48))
    assert torch.allclose(drawer.decode(latent), image, atol=1e-4)
    assert drawer.decode(drawer.random(*drawer.grid(32, 48), torch.Generator().manual_seed(1))).shape == image.shape


def test_a_pixel_grid_draws_squares_of_the_palette() -> None:
    drawer = PixelGrid(8, ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), CPU)
    image = drawer.decode(drawer.settle(drawer.encode(photo())))
    assert image.shape == (1, 3, 32, 48) and set(image.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(image, image[:, :, ::8, ::8].repeat_interleave(8, 2).repeat_interleave(8, 3))


@pytest.mark.parametrize("drawer", [PixelGrid(8, (), CPU), FourierPicture(CPU)], ids=KINDS)
def test_gradients_reach_every_number_of_a_drawer(drawer: Drawer) -> None:
    latent = drawer.random(*drawer.grid(32, 48), torch.Generator().manual_seed(1)).requires_grad_(True)
    (drawer.decode(latent) * photo()).sum().backward()
    assert latent.grad is not None and latent.grad.isfinite().all()
    assert (latent.grad != 0).float().mean() > 0.9


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("start", ["random", "fractal", "prior"])
def test_every_start_is_drawn_resumed_and_captured_to_the_byte(
    kind: str, start: str, models: Models, make_request: Make, dreamt: Run
) -> None:
    request = make_request(drawer=kind, start=start, size="56x40", coarse=0.5 if start == "random" else 0.0)
    whole = pixels(dreamt(Dream(request, models)))
    assert whole.shape[1] / whole.shape[0] == pytest.approx(56 / 40, rel=0.35) and whole.std() > 0
    half = dreamt(Dream(request, models), 4)
    assert (pixels(dreamt(Dream.resume(half.snapshot(), models))) == whole).all()
    captured = dreamt(Dream(request, models, graphs=GraphCache(Repeating())))
    assert (pixels(captured) == whole).all()


def test_a_picture_of_pixels_keeps_to_its_palette_and_grid(models: Models, make_request: Make, dreamt: Run) -> None:
    request = make_request(drawer="pixel", pixel_size=4, palette="navy, gold, white", learning_rate=0.2)
    result = pixels(dreamt(Dream(request, models)))
    assert {tuple(colour) for colour in result.reshape(-1, 3)} <= {(0, 0, 128), (255, 215, 0), (255, 255, 255)}
    assert (result == result[::4, ::4].repeat(4, axis=0).repeat(4, axis=1)).all()


@pytest.mark.parametrize(
    ("old", "new"), [("vqgan", "pixel"), ("pixel", "vqgan"), ("fourier", "pixel"), ("pixel", "pixel")]
)
def test_a_child_may_have_another_drawer_than_its_parent(
    old: str, new: str, models: Models, make_request: Make, dreamt: Run
) -> None:
    parent = make_request(drawer=old)
    latent = dreamt(Dream(parent, models)).latent
    child = make_request(drawer=new, start="parent", parent=parent, steps=1, learning_rate=0.001)
    result = pixels(dreamt(Dream(child, models, latent)))
    assert result.shape == (32, 32, 3)
    assert (result == pixels(dreamt(Dream(child, models)))).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_of_a_picture_is_painted_by_another_drawer(
    kind: str, models: Models, make_request: Make, dreamt: Run
) -> None:
    image = Image.effect_noise((32, 32), 80).convert("RGB")
    init = normalise(encode(image, "png"))
    request = make_request(
        drawer=kind, start="init", init_image=init, repaint="left 50%", feather=0.0, learning_rate=0.3
    )
    result = pixels(dreamt(Dream(request, models)))
    before = np.asarray(Image.open(BytesIO(init)).convert("RGB"))
    assert (result[:, 16:] == before[:, 16:]).all() and (result[:, :16] != before[:, :16]).any()
