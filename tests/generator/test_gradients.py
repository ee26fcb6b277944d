from __future__ import annotations

import torch

from generator.gradients import clamp_with_gradient, straight_through


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
