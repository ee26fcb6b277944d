"""Choosing a device, and what holds only while it works."""

from __future__ import annotations

import pytest
import torch

from generator.device import choose_device, working
from generator.errors import InvalidRequest, OutOfMemory

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_auto_is_the_gpu_where_there_is_one() -> None:
    assert choose_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize("name", ["gpu", "", "cpu:x", "meta", "mps", "a long name " * 10])
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        choose_device(name)
    assert caught.value.field == "device"
    assert len(str(caught.value)) < 150


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="has no GPU"):
        choose_device("cuda")


@pytest.mark.parametrize("before", [False, True])
def test_exact_work_is_deterministic_while_it_lasts_and_no_longer(before: bool) -> None:
    torch.use_deterministic_algorithms(before, warn_only=True)
    try:
        with pytest.raises(KeyError), working(GPU, exact=True):
            assert torch.are_deterministic_algorithms_enabled()
            assert not torch.is_deterministic_algorithms_warn_only_enabled()
            assert torch.backends.cudnn.deterministic
            raise KeyError
        assert torch.are_deterministic_algorithms_enabled() == before
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert not torch.backends.cudnn.deterministic
        assert torch.utils.deterministic.fill_uninitialized_memory
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(("device", "exact"), [(CPU, True), (CPU, False), (GPU, False)])
def test_other_work_leaves_torch_as_it_is(device: torch.device, exact: bool) -> None:
    with working(device, exact):
        assert not torch.are_deterministic_algorithms_enabled()


def test_running_out_of_memory_becomes_a_sentence() -> None:
    with pytest.raises(OutOfMemory, match="choose a smaller size or fewer cutouts"), working(CPU, exact=False):
        torch.empty(2**50)
    with pytest.raises(OutOfMemory, match="choose a smaller size or fewer cutouts"), working(GPU, exact=False):
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="shape"), working(CPU, exact=False):
        torch.zeros(3).view(2)
