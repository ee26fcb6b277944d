"""The choice of a device, and the conditions while it works."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator

import pytest
import torch

from generator.errors import DeviceFailed, InvalidRequest, OutOfMemory
from generator.runtime.device import choose_device, cpu_threads, device_context, run_or_oom
from tests.stand_in_gpu import gpus

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def a_gpu() -> Iterator[None]:
    """Work on a GPU begins with torch's choice of it."""
    with contextlib.nullcontext() if torch.cuda.is_available() else gpus():
        yield


def test_auto_is_the_gpu_where_there_is_one() -> None:
    assert choose_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize("name", ["gpu", "", "cpu:x", "meta", "mps", "a long name " * 10])
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        choose_device(name)
    assert caught.value.field == "device"
    assert len(str(caught.value)) < 150


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InvalidRequest, match="has no GPU"):
        choose_device("cuda")


@pytest.mark.parametrize("before", [False, True])
def test_exact_work_is_deterministic_while_it_lasts_and_no_longer(before: bool) -> None:
    torch.use_deterministic_algorithms(before, warn_only=True)
    try:
        with pytest.raises(KeyError), device_context(GPU, exact=True):
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
    with device_context(device, exact):
        assert not torch.are_deterministic_algorithms_enabled()


def test_running_out_of_memory_becomes_a_sentence() -> None:
    with pytest.raises(OutOfMemory, match="choose a smaller size or fewer cutouts"), device_context(CPU, exact=False):
        torch.empty(2**50)
    with pytest.raises(OutOfMemory, match="choose a smaller size or fewer cutouts"), device_context(GPU, exact=False):
        raise torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize(
    "said", ["CUDA error: out of memory", "cuDNN error: CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED when"]
)
def test_libraries_below_torch_run_out_of_memory_in_their_own_words(said: str) -> None:
    with pytest.raises(OutOfMemory, match="does not fit"), device_context(GPU, exact=False):
        raise RuntimeError(said)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("std::bad_alloc"),
        RuntimeError("could not create a primitive"),
        RuntimeError("posix_memalign failed: Cannot allocate memory (12)"),
    ],
    ids=str,
)
def test_a_machine_without_memory_gets_one_message(error: Exception) -> None:
    with pytest.raises(OutOfMemory, match="does not fit in memory"), device_context(CPU, exact=False):
        raise error


@pytest.mark.parametrize("said", ["CUDA error: an illegal memory access", "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"])
def test_a_gpu_that_fails_becomes_a_sentence_too(said: str) -> None:
    with pytest.raises(DeviceFailed, match="The GPU failed") as caught, device_context(GPU, exact=False):
        raise RuntimeError(said)
    assert "CUDA" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: the launch timed out and was terminated"),
        torch.AcceleratorError("CUDA error: CUDA-capable device(s) is/are busy or unavailable"),
        RuntimeError("CUDA driver error: device not found"),
        RuntimeError("No CUDA GPUs are available"),
        RuntimeError("Triton Error [CUDA]: device kernel image is invalid"),
    ],
    ids=str,
)
def test_a_gpu_that_is_gone_is_known_by_all_its_errors(error: Exception) -> None:
    with pytest.raises(DeviceFailed, match="The GPU failed") as caught, device_context(GPU, exact=False):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: out of memory"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("Triton Error [CUDA]: out of memory"),
        RuntimeError("CUDA driver error: out of memory"),
    ],
    ids=str,
)
def test_a_gpu_that_is_full_has_not_failed(error: Exception) -> None:
    assert not run_or_oom(GPU, False, lambda: _raise(error))


def _raise(error: Exception) -> None:
    raise error


def test_work_fits_or_does_not_and_what_it_held_is_let_go() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def work() -> None:
        tensor = torch.ones(3)
        held.append(weakref.ref(tensor))
        raise torch.OutOfMemoryError("CUDA out of memory")

    assert not run_or_oom(CPU, False, work)
    assert held[0]() is None
    assert run_or_oom(CPU, False, lambda: None)


def test_work_that_torch_did_in_another_way_for_want_of_memory_does_not_count() -> None:
    assert not run_or_oom(CPU, False, lambda: torch._C._set_mkldnn_enabled(False))
    assert torch._C._get_mkldnn_enabled()
    assert run_or_oom(CPU, False, lambda: None)


@pytest.mark.parametrize(("asked", "given"), [(3, 3), (0, None), (-1, None), (10**9, None)])
def test_cpu_threads_are_set_inside_the_context(asked: int, given: int | None) -> None:
    before = torch.get_num_threads()
    with cpu_threads(asked):
        assert torch.get_num_threads() == (before if given is None else given)
    assert torch.get_num_threads() == before


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="shape"), device_context(CPU, exact=False):
        torch.zeros(3).view(2)
