"""Gradients that are not derivatives, compared with their definition."""

from __future__ import annotations

import torch
import torch.nn.functional as functional

from generator.optimisation.autograd import clamp_with_gradient, local_means, straight_through


def test_straight_through_gives_the_quantised_values_to_the_bit() -> None:
    latent, quantised = torch.randn(1, 4, 3, 3) * 1e3, torch.randn(1, 4, 3, 3)
    assert torch.equal(straight_through(latent, quantised), quantised)


def test_straight_through_passes_the_gradient_to_the_latent_only() -> None:
    latent, quantised = (torch.randn(1, 4, 3, 3, requires_grad=True) for _ in range(2))
    weight = torch.randn(1, 4, 3, 3)
    (straight_through(latent, quantised) * weight).sum().backward()
    assert torch.equal(latent.grad, weight)
    assert quantised.grad is None


def test_clamp_passes_gradients_that_lead_back_into_the_range() -> None:
    values = torch.tensor([-0.5, -0.5, 0.5, 0.5, 1.5, 1.5, 0.0, 1.0], requires_grad=True)
    gradient = torch.tensor([-2.0, 2.0, -2.0, 2.0, -2.0, 2.0, 2.0, -2.0])
    clamped = clamp_with_gradient(values, 0, 1)
    clamped.backward(gradient)
    assert clamped.tolist() == [0.0, 0.0, 0.5, 0.5, 1.0, 1.0, 0.0, 1.0]
    # Below the range a descent step must go up (negative gradient), above it down (positive); inside all pass.
    assert values.grad.tolist() == [-2.0, 0.0, -2.0, 2.0, 0.0, 2.0, 2.0, -2.0]


def test_clamp_agrees_with_the_formula_of_the_notebook() -> None:
    values = (torch.randn(1000) * 2).requires_grad_(True)
    gradient = torch.randn(1000)
    clamp_with_gradient(values, -1, 1).backward(gradient)
    clamped = values.detach().clamp(-1, 1)
    assert torch.equal(values.grad, gradient * (gradient * (values.detach() - clamped) >= 0))


def test_local_means_equal_the_pooling_in_value_and_gradient() -> None:
    fast, plain = (torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(1)).requires_grad_() for _ in "ab")
    means, expected = local_means(fast), functional.avg_pool2d(plain, 3, 1, 1, count_include_pad=False)
    weights = torch.randn(means.shape)
    (means * weights).sum().backward()
    (expected * weights).sum().backward()
    assert torch.allclose(means, expected, atol=1e-6)
    assert torch.allclose(fast.grad, plain.grad, atol=1e-6)
