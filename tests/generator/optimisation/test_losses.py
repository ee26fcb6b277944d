"""Losses compared with their formulas and the plain loop."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor

from generator.optimisation.losses.matching import prompt_losses, spherical_distance
from generator.optimisation.losses.picture import total_variation
from generator.optimisation.losses.regularisers import anchor_loss, pull_loss


def units(*shape: int) -> Tensor:
    return functional.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))), dim=-1)


def plain_prompt_loss(images: Tensor, target: Tensor, weight: float, stop: float) -> Tensor:
    """Loss of one prompt, as in K. Crowson's notebook: gradient of max(distance, stop), value of the distance."""
    distances = (images - target).norm(dim=-1).div(2).arcsin().pow(2).mul(2) * math.copysign(1, weight)
    flowing = torch.maximum(distances, torch.tensor(stop))
    return abs(weight) * (flowing + (distances - flowing).detach()).mean()


@pytest.mark.parametrize("angle", [0.0, 0.3, 1.0, 2.0, 3.0])
def test_spherical_distance_is_half_the_squared_angle(angle: float) -> None:
    first, second = torch.tensor([1.0, 0.0]), torch.tensor([math.cos(angle), math.sin(angle)])
    assert spherical_distance(first, second).item() == pytest.approx(angle**2 / 2, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_gradient_is_finite_for_equal_and_for_opposite_vectors(sign: int) -> None:
    first = units(1, 8).requires_grad_(True)
    spherical_distance(first, sign * first.detach()).sum().backward()
    assert first.grad.isfinite().all()


def test_prompt_losses_agree_with_the_plain_loop_in_value_and_gradient() -> None:
    targets, weights, stops = units(4, 16), [1.0, -0.5, 0.25, -1.0], [-math.inf, -math.inf, 1.2, -1.2]
    fast, plain = (units(8, 16).requires_grad_(True) for _ in range(2))
    losses = prompt_losses(fast, targets, torch.tensor(weights), torch.tensor(stops))
    expected = [plain_prompt_loss(plain, *args) for args in zip(targets, weights, stops, strict=True)]
    losses.sum().backward()
    torch.stack(expected).sum().backward()
    assert torch.allclose(losses, torch.stack(expected), atol=1e-6)
    assert torch.allclose(fast.grad, plain.grad, atol=1e-6)


def test_a_prompt_that_is_near_enough_no_longer_pulls() -> None:
    images = units(8, 16).requires_grad_(True)
    losses = prompt_losses(images, units(1, 16), torch.tensor([1.0]), torch.tensor([5.0]))
    losses.sum().backward()
    assert losses.item() > 0
    assert images.grad.abs().max() == 0


def test_a_negative_weight_pushes_away() -> None:
    images, target = units(8, 16).requires_grad_(True), units(1, 16)
    prompt_losses(images, target, torch.tensor([-1.0]), torch.tensor([-math.inf])).sum().backward()
    moved = images.detach() - 0.1 * images.grad
    assert (
        spherical_distance(functional.normalize(moved, dim=-1), target).mean()
        > spherical_distance(images.detach(), target).mean()
    )


def test_total_variation_is_zero_for_one_colour_and_does_not_depend_on_the_size() -> None:
    board = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    assert total_variation(torch.full((1, 3, 8, 8), 0.3)).item() == 0
    assert [total_variation(board.repeat(1, 3, n, n)).item() for n in (1, 4, 9)] == [2.0] * 3


def test_the_pulls_are_half_the_mean_square() -> None:
    latent, anchor = torch.full((1, 2, 3, 3), 3.0), torch.full((1, 2, 3, 3), 1.0)
    assert anchor_loss(latent, anchor).item() == 2.0
    assert pull_loss(latent).item() == 4.5
