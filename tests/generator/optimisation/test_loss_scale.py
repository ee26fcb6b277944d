"""The loss scale has no effect while numbers stay finite, and is lowered when they do not."""

from __future__ import annotations

import math

import pytest
import torch

from generator.optimisation.latent import Latent
from generator.optimisation.loss_scale import LOOK_EVERY_STEPS, LossScale
from generator.runtime.precision import Precision
from generator.settings import Settings

CPU = torch.device("cpu")


def scale() -> LossScale:
    return LossScale(Precision.FP16, CPU)


def latent() -> Latent:
    start = torch.linspace(-1, 1, 32).view(1, 2, 4, 4)
    return Latent(start, start, torch.tensor([[-9.0, -9.0], [9.0, 9.0]]), Settings())


def test_a_scaled_step_is_the_step_without_a_scale() -> None:
    plain, scaled = latent(), latent()
    for _ in range(3):
        plain.update((plain.value - 3).square().sum(), 0.1)
        scaled.update((scaled.value - 3).square().sum(), 0.1, scale())
    assert torch.equal(plain.value, scaled.value)


def test_a_scale_lifts_gradients_that_float16_would_lose() -> None:
    kept = []
    for factor in (1.0, scale().value):
        value = torch.ones(4, requires_grad=True)
        (value.half().float().sum() * 1e-8 * factor).backward()
        kept.append(value.grad)
    assert kept[0].abs().max() == 0
    assert kept[1] / scale().value == pytest.approx(1e-8, rel=0.01)


def test_a_non_finite_gradient_is_skipped_and_lowers_the_scale() -> None:
    used, painted = scale(), latent()
    before = painted.value.detach().clone()
    spoilt = torch.zeros_like(before)
    spoilt[0, 0, 0, 0], spoilt[0, 1, 3, 3] = math.nan, math.inf
    painted.update((painted.value * spoilt).sum(), 0.1, used)
    assert torch.equal(painted.value, before)
    first = used.value
    assert not used.look(LOOK_EVERY_STEPS - 1)
    assert used.look(LOOK_EVERY_STEPS)
    assert used.value == first / 16
    assert not used.look(2 * LOOK_EVERY_STEPS)


def test_the_scale_ends_at_one_and_then_nothing_is_watched() -> None:
    used = scale()
    for number in range(1, 6):
        used.unscale(torch.tensor([math.inf]))
        used.look(number * LOOK_EVERY_STEPS)
    assert used.value == 1
    gradient = torch.tensor([math.inf])
    used.unscale(gradient)
    assert gradient.isinf()


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16])
def test_other_formats_are_not_scaled(precision: Precision) -> None:
    used = LossScale(precision, CPU)
    gradient = torch.tensor([3.0, math.inf])
    used.unscale(gradient)
    assert gradient.tolist() == [3.0, math.inf]
    assert used.state() == (1.0, 0)


def test_a_scale_comes_back_from_its_state() -> None:
    used, copy = scale(), scale()
    used.unscale(torch.tensor([math.nan]))
    copy.restore(list(used.state()))
    assert copy.look(LOOK_EVERY_STEPS)


@pytest.mark.parametrize(
    "state", [[], [1], [1.0, 2, 3], [0.5, 0], [1e9, 0], ["1", 0], [math.nan, 0], [1.0, -1], [1, 0.5]]
)
def test_a_broken_state_is_refused(state: list[object]) -> None:
    with pytest.raises(ValueError):
        scale().restore(state)
