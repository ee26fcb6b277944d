"""The doctor's checks of machines: drivers, GPUs and memory of all sorts."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.doctor import State
from bot.doctor.machine import (
    check_driver,
    check_gpu,
    check_gpu_support,
    check_memory,
    check_python,
    check_torch,
    driver_version,
)
from generator import GPU, HostMemory, Machine, look_at_machine

T4 = GPU("Tesla T4", "sm_75", supported=True, memory_bytes=15_640_000_000, free_bytes=15_500_000_000)
K80 = GPU("Tesla K80", "sm_37", supported=False, memory_bytes=12_000_000_000, free_bytes=12_000_000_000)
BUSY = GPU("Tesla T4", "sm_75", supported=True, memory_bytes=15_640_000_000, free_bytes=2_000_000_000)
WITH_T4 = Machine("2.10.0+cu128", "12.8", (T4,), "")
WITHOUT = Machine("2.10.0+cu128", "12.8", (), "")
CPU_ONLY = Machine("2.10.0+cpu", None, (), "")
OLD_DRIVER = Machine("2.10.0+cu128", "12.8", (), "The NVIDIA driver on your system is too old (found version 11040).")
CLOSED_MODULE = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\nGCC version: gcc"
)
OPEN_MODULE = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.124.06  Release Build  (dvs-builder)"


def test_this_python_is_one_of_those_that_reverie_runs_with() -> None:
    assert check_python().state is State.OK


def test_torch_describes_this_machine() -> None:
    machine = look_at_machine()
    assert machine.torch.startswith("2.")
    assert all(gpu.memory_bytes >= gpu.free_bytes > 0 for gpu in machine.gpus)
    assert len(check_gpu_support("auto", driver_version())) == 3


@pytest.mark.parametrize(
    ("machine", "device", "state"),
    [
        (WITH_T4, "auto", State.OK),
        (CPU_ONLY, "auto", State.WARN),
        (CPU_ONLY, "cuda", State.FAIL),
        (CPU_ONLY, "cpu", State.OK),
    ],
)
def test_a_torch_without_cuda_is_an_error_only_if_a_gpu_is_required(
    machine: Machine, device: str, state: State
) -> None:
    assert check_torch(machine, device).state is state


@pytest.mark.parametrize(
    ("version", "device", "state"),
    [
        ("535.183.01", "auto", State.OK),
        ("525.60.13", "cuda", State.OK),
        ("470.256.02", "auto", State.FAIL),
        ("470.256.02", "cpu", State.OK),
        (None, "auto", State.WARN),
        (None, "cuda", State.FAIL),
        (None, "cpu", State.OK),
    ],
)
def test_a_driver_must_be_as_new_as_torchs_cuda_needs(version: str | None, device: str, state: State) -> None:
    finding = check_driver(WITH_T4, device, version)
    assert finding.state is state
    assert bool(finding.advice) == (state is not State.OK)


def test_the_advice_names_the_driver_that_is_needed() -> None:
    assert "525 or newer" in check_driver(OLD_DRIVER, "auto", "470.256.02").advice


@pytest.mark.parametrize(
    ("machine", "device", "driver", "state", "says"),
    [
        (WITH_T4, "auto", "535.183.01", State.OK, "Tesla T4, 15.6 GB, 15.5 GB free"),
        (Machine("2.10.0", "12.8", (K80,), ""), "auto", "535.183.01", State.FAIL, "Tesla K80"),
        (Machine("2.10.0", "12.8", (BUSY,), ""), "auto", "535.183.01", State.WARN, "2.0 GB free"),
        (OLD_DRIVER, "auto", "470.256.02", State.WARN, "too old"),
        (OLD_DRIVER, "cuda", "470.256.02", State.FAIL, "too old"),
        (WITHOUT, "cpu", None, State.OK, "none is needed"),
        (WITHOUT, "cuda", None, State.FAIL, "none that torch can use"),
    ],
)
def test_a_gpu_is_checked_for_its_capabilities(
    machine: Machine, device: str, driver: str | None, state: State, says: str
) -> None:
    finding = check_gpu(machine, device, driver)
    assert finding.state is state and says in finding.found


@pytest.mark.parametrize(("text", "version"), [(CLOSED_MODULE, "535.183.01"), (OPEN_MODULE, "570.124.06")])
def test_the_drivers_version_is_read_from_the_kernel(tmp_path: Path, text: str, version: str) -> None:
    (tmp_path / "version").write_text(text, "utf-8")
    assert driver_version(tmp_path / "version") == version


def test_nvidia_smi_is_asked_if_the_kernel_has_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert driver_version(tmp_path / "version") is None
    command = tmp_path / "nvidia-smi"
    command.write_text("#!/bin/sh\necho 550.90.07\n", "utf-8")
    command.chmod(0o755)
    assert driver_version(tmp_path / "version") == "550.90.07"
    command.write_text("#!/bin/sh\necho NVIDIA-SMI has failed 999.1\nexit 9\n", "utf-8")
    assert driver_version(tmp_path / "version") is None


def test_unknown_memory_is_no_error() -> None:
    assert check_memory(None).state is State.OK
    assert check_memory(HostMemory(4_000_000_000, 3_000_000_000)).state is State.OK
    assert check_memory(HostMemory(4_000_000_000, 500_000_000)).state is State.WARN
