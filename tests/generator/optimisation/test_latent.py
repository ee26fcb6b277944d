"""The latent under optimisation, compared with torch's own optimisers and the definition of the moving average."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from generator.errors import OutOfMemory
from generator.optimisation.latent import Latent
from generator.settings import OPTIMISERS, Settings

CLASSES = {"adam": "Adam", "adamw": "AdamW", "radam": "RAdam", "adagrad": "Adagrad", "rmsprop": "RMSprop"}


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def latent(fused: bool | None = None, **values: object) -> Latent:
    start = random(0, 1, 3, 4, 4)
    return Latent(start, start, random(1, 50, 3) * 10, Settings().merged(values), fused)


def loss_of(value: Tensor) -> Tensor:
    return (value - 1).square().sum()


@pytest.mark.parametrize("fused", [None, True])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_updates_are_those_of_torchs_optimiser(name: str, fused: bool | None) -> None:
    ours = latent(fused, optimiser=name, learning_rate=0.3)
    theirs = ours.value.detach().clone().requires_grad_(True)
    optimiser = getattr(torch.optim, CLASSES[name])([theirs], lr=0.3)
    for _ in range(4):
        ours.update(loss_of(ours.value), 0.3)
        optimiser.zero_grad()
        loss_of(theirs).backward()
        optimiser.step()
    assert torch.allclose(ours.value, theirs, atol=1e-6)


def test_the_learning_rate_may_change_between_steps() -> None:
    ours = latent()
    before = ours.value.detach().clone()
    ours.update(loss_of(ours.value), 0.0)
    assert torch.equal(ours.value, before)
    ours.update(loss_of(ours.value), 0.1)
    assert not torch.equal(ours.value, before)


def test_a_gradient_that_torch_took_in_another_way_for_want_of_memory_changes_nothing() -> None:
    ours = latent()
    before = ours.value.detach().clone()
    torch._C._set_mkldnn_enabled(False)
    with pytest.raises(OutOfMemory):
        ours.update(loss_of(ours.value), 0.1)
    assert torch.equal(ours.value, before)
    ours.update(loss_of(ours.value), 0.1)
    assert not torch.equal(ours.value, before)


def test_each_channel_is_held_in_its_own_range() -> None:
    codebook = torch.tensor([[-1.0, 0.0, 5.0], [1.0, 0.5, 6.0]])
    ours = Latent(torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2), codebook, Settings())
    ours.update((ours.value * torch.tensor([1.0, -1.0, 1.0])[:, None, None]).sum() * 100, 2.0)
    assert ours.value[0, :, 0, 0].tolist() == [-1.0, 0.5, 5.0]


def test_the_average_weighs_the_latents_after_each_step_and_not_the_start() -> None:
    ours, seen = latent(ema=0.9), []
    assert torch.equal(ours.average, ours.value)
    for _ in range(5):
        ours.update(loss_of(ours.value), 0.1)
        ours.count_update()
        seen.append(ours.value.detach().clone())
    weights = torch.tensor([0.9**age for age in (4, 3, 2, 1, 0)])
    expected = (torch.stack(seen) * weights.view(-1, 1, 1, 1, 1)).sum(dim=0) / weights.sum()
    assert torch.allclose(ours.average, expected, atol=1e-5)


def test_without_an_average_it_is_the_latent() -> None:
    ours = latent()
    ours.update(loss_of(ours.value), 0.1)
    assert torch.equal(ours.average, ours.value)


@pytest.mark.parametrize("fused", [None, True])
@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("steps", [0, 3])
def test_a_restored_latent_goes_on_to_the_byte(name: str, steps: int, fused: bool | None) -> None:
    first, second = latent(fused, optimiser=name, ema=0.5), latent(fused, optimiser=name, ema=0.5)
    for _ in range(steps):
        first.update(loss_of(first.value), 0.1)
        first.count_update()
    kept = {key: value.clone() for key, value in first.tensors().items()}
    second.restore(kept)
    for each in (first, second):
        each.update(loss_of(each.value), 0.1)
        each.count_update()
    assert torch.equal(first.value, second.value)
    assert torch.equal(first.average, second.average)
    assert all(torch.equal(value, second.tensors()[key]) for key, value in first.tensors().items())


def test_a_step_on_the_cpu_asks_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def failed() -> bool:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", failed)
    ours = latent()
    before = ours.value.detach().clone()
    ours.update(loss_of(ours.value), 0.1)
    assert not torch.equal(ours.value, before)
