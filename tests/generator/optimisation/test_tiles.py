"""Seamless tiles: the opposite edges of a picture continue each other, in the decoder and in a whole dream."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from generator.images.files import encode
from generator.images.tensors import read_image
from generator.models.model_set import Models
from generator.optimisation.dream import Dream
from generator.request import GenerationRequest
from generator.settings import TILES, Settings

Make = Callable[..., GenerationRequest]
Run = Callable[..., Dream]


@pytest.mark.parametrize("tile", TILES)
def test_a_decoded_tile_rolls_with_its_codes_along_its_axes_and_no_others(models: Models, tile: str) -> None:
    vqgan, tiled = models.vqgan, Settings(tile=tile).tiled
    codes = torch.randint(0, 256, (1, 8, 10), generator=torch.Generator().manual_seed(1))
    latent = vqgan.lookup(codes)
    image = vqgan.decode(latent, tiled)
    for letter, axis, codes_moved in (("x", 3, 4), ("y", 2, 3)):
        rolled = vqgan.decode(latent.roll(codes_moved, axis), tiled)
        same = torch.allclose(rolled, image.roll(codes_moved * vqgan.factor, axis), atol=1e-4)
        assert same is (letter in tiled)


def test_the_gradient_of_a_tile_rolls_too(models: Models) -> None:
    vqgan = models.vqgan
    latent = vqgan.lookup(torch.randint(0, 256, (1, 8, 8), generator=torch.Generator().manual_seed(1)))
    weights = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    gradients = []
    for moved in (0, 3):
        leaf = latent.roll(moved, 3).requires_grad_(True)
        (vqgan.decode(leaf, "xy") * weights.roll(moved * vqgan.factor, 3)).sum().backward()
        gradients.append(leaf.grad)
    assert torch.allclose(gradients[0].roll(3, 3), gradients[1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("coarse", [0.0, 0.5])
def test_the_seam_of_a_painted_tile_is_as_good_as_its_inside(
    models: Models, make_request: Make, dreamt: Run, tile: str, coarse: float
) -> None:
    dream, vqgan = dreamt(Dream(make_request(tile=tile, size="128x128", coarse=coarse), models)), models.vqgan
    image, tiled = read_image(encode(dream.picture().image, "png")), Settings(tile=tile).tiled
    for letter, axis in (("x", 3), ("y", 2)):
        # The same codes with the seam in the middle of the picture: where they differ, there is an error at an edge.
        middle = vqgan.decode(vqgan.quantise(dream.latent.roll(8, axis))[0], tiled).clamp(0, 1)
        errors = (middle.roll(-64, axis) - image).abs().mean(dim=(0, 1, 5 - axis))
        seam, inside = torch.cat([errors[:4], errors[-4:]]).mean(), errors[32:48].mean()
        if letter in tiled:
            assert inside < 0.003 and abs(seam - inside) < 0.001  # both are those of 8 bits
        else:
            assert seam > 0.05
