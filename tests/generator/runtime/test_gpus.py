"""GPUs by their numbers, on machines that torch takes to have some; see tests/stand_in_gpu.py."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch

from benchmarks import report
from bot.doctor import State
from bot.doctor.machine import check_gpu, check_gpu_support
from generator import DeviceFailed, InvalidRequest, OutOfMemory, load_models, look_at_machine
from generator.models.model_set import Models
from generator.optimisation.dream import Dream
from generator.request import GenerationRequest
from generator.runtime.device import cap_memory, choose_device, device_context, release_unused
from generator.runtime.memory import MemoryBudget, gpu_memory
from tests.stand_in_gpu import GIB, gpus

FULL = torch.AcceleratorError("CUDA error: out of memory")
LOST = torch.AcceleratorError("CUDA error: unspecified launch failure")
SECOND = torch.device("cuda", 1)


@pytest.mark.parametrize(("name", "number"), [("auto", 0), ("cuda", 0), ("cuda:0", 0), ("cuda:1", 1)])
def test_a_gpu_comes_with_its_number(name: str, number: int) -> None:
    with gpus(2):
        device = choose_device(name)
        assert (device.type, device.index) == ("cuda", number)


@pytest.mark.parametrize("name", ["cuda:2", "cuda:-1", "cuda:01", "cuda:x"])
def test_a_gpu_of_another_number_is_refused(name: str) -> None:
    with gpus(2), pytest.raises(InvalidRequest) as caught:
        choose_device(name)
    assert caught.value.field == "device"


@pytest.mark.parametrize("name", ["auto", "cuda", "cuda:1"])
@pytest.mark.parametrize("share", [1.0, 1, 0.5])
def test_models_are_loaded_onto_it_within_their_share(name: str, share: float) -> None:
    with gpus(2) as driver:
        # The first tensor that is to lie there is too much for a machine without one.
        with pytest.raises(DeviceFailed, match="The GPU failed"):
            load_models("starter", name, memory_share=share)
        assert driver.calls_of("set_memory_fraction") == [(float(share), 1 if name == "cuda:1" else 0)]


def test_the_budget_is_that_of_the_gpu_that_was_chosen() -> None:
    with gpus(2, free_bytes=6 * GIB, total_bytes=16 * GIB) as driver:
        driver.used_bytes = 2 * GIB
        assert MemoryBudget.of(choose_device("cuda:1")).free_bytes() == 6 * GIB
        assert MemoryBudget.of(choose_device("cuda:1"), 0.25).free_bytes() == 2 * GIB
        assert gpu_memory(SECOND) == {"used": 2 * GIB, "free": 6 * GIB, "total": 16 * GIB}
        assert {call[0] for call in driver.calls_of("memory_info") + driver.calls_of("memory_stats")} == {1}
        release_unused(SECOND)
        assert driver.calls_of("empty_cache")


def test_a_gpu_that_does_not_answer_has_no_figures() -> None:
    with gpus(free_bytes=LOST):
        assert gpu_memory(torch.device("cuda", 0)) == {}


def test_torch_works_on_the_gpu_that_was_chosen_and_goes_back() -> None:
    with gpus(2):
        with device_context(SECOND, exact=False):
            assert torch.cuda.current_device() == 1
        assert torch.cuda.current_device() == 0
        with pytest.raises(KeyError), device_context(SECOND, exact=True):
            raise KeyError
        assert torch.cuda.current_device() == 0


def test_a_cap_is_refused_by_torch_itself_where_the_number_is_missing() -> None:
    with gpus(), pytest.raises(ValueError, match="specified index"):
        cap_memory(torch.device("cuda"), 1.0)


@pytest.mark.parametrize(("error", "free_bytes"), [(FULL, 0), (3 * GIB, 3 * GIB)])
def test_a_gpu_filled_by_other_programs_is_reported(error: Exception | int, free_bytes: int) -> None:
    with gpus(free_bytes=error, capability=(7, 5)):
        (gpu,) = look_at_machine().gpus
        assert (gpu.name, gpu.architecture, gpu.supported, gpu.free_bytes) == ("Stand-in 0", "sm_75", True, free_bytes)
        assert [finding.state for finding in check_gpu_support("auto", "999.1")] == [State.OK, State.OK, State.WARN]


def test_a_gpu_that_fails_when_it_is_asked_is_a_complaint() -> None:
    with gpus(free_bytes=LOST):
        machine = look_at_machine()
    assert machine.gpus == () and "unspecified launch failure" in machine.complaint


def test_the_doctor_checks_the_configured_gpu() -> None:
    with gpus(2):
        machine = look_at_machine()
    assert "Stand-in 0" in check_gpu(machine, "auto", "999.1").found
    assert "Stand-in 1" in check_gpu(machine, "cuda:1", "999.1").found
    assert check_gpu(machine, "cuda:2", "999.1").state is State.FAIL


def test_a_driver_that_is_too_old_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def is_available() -> bool:
        said = "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040). Please update."
        warnings.warn(said, stacklevel=2)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    with pytest.raises(InvalidRequest, match="too old for this torch; install a newer one"):
        choose_device("cuda")
    assert choose_device("auto") == torch.device("cpu")
    assert "the CPU paints: CUDA initialization: The NVIDIA driver on your system is too old" in caplog.text


@pytest.mark.parametrize("asked", [[], ["--device", "cuda"], ["--device", "cuda:1"]])
def test_benchmarks_name_the_gpu_by_its_number(asked: list[str]) -> None:
    with gpus(2):
        device = report.options(None, "x.json").parse_args(asked).device
        assert device == ("cuda:1" if "cuda:1" in asked else "cuda:0")
        assert report.conditions(1, device)["machine"] == f"Stand-in {device[-1]}"
        with pytest.raises(SystemExit):
            report.options(None, "x.json").parse_args(["--device", "cuda:7"])


def test_a_gpu_that_fails_while_a_picture_is_read_is_a_sentence_too(
    models: Models, make_request: Callable[..., GenerationRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    dream = Dream(make_request(), models)
    dream.step()

    def fails(*_: object) -> None:
        raise LOST

    monkeypatch.setattr(torch.Tensor, "cpu", fails)
    for read in (dream.preview, dream.picture, dream.snapshot):
        with pytest.raises(DeviceFailed):
            read()


def test_a_gpu_that_is_full_before_the_models_come_is_a_sentence() -> None:
    def full(_: int) -> None:
        raise FULL

    with gpus(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "_get_device_properties", full)
        with pytest.raises(OutOfMemory, match="do not fit into the free memory"):
            load_models("starter", "cuda")
