"""Checks of the machine: Python, torch, driver, GPU, memory. Any thread; blocking."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from bot.doctor.finding import Finding, State
from bot.texts import say
from generator import GeneratorError, HostMemory, Machine, look_at_machine

PYTHONS = ((3, 11), (3, 12))
LEAST_DRIVER = {11: 450, 12: 525, 13: 580}
"""Oldest Linux driver branch by CUDA major version (NVIDIA, CUDA Compatibility, minor versions)."""
LEAST_MEMORY_GB = 2
"""Generating with the starter model on a CPU took 1.4 GB."""
DRIVER_FILE = Path("/proc/driver/nvidia/version")
GB = 10**9


def check_python() -> Finding:
    """Check that Reverie supports this Python."""
    found = say("found_python", version=platform.python_version())
    if sys.version_info[:2] in PYTHONS:
        return Finding("python", State.OK, found)
    return Finding("python", State.FAIL, found, say("do_python"))


def check_gpu_support(device: str, driver: str | None) -> list[Finding]:
    """Check torch, driver and GPU, for the `device` of config.yaml and the version of the driver."""
    try:
        machine = look_at_machine()
    except GeneratorError as exc:
        return [Finding("torch", State.FAIL, str(exc), say("do_torch"))]
    return [check_torch(machine, device), check_driver(machine, device, driver), check_gpu(machine, device, driver)]


def check_torch(machine: Machine, device: str) -> Finding:
    """Check that torch can use a GPU at all."""
    if machine.cuda is not None:
        return Finding("torch", State.OK, say("found_torch", version=machine.torch, cuda=machine.cuda))
    found = say("found_torch_cpu", version=machine.torch)
    if device == "cpu":
        return Finding("torch", State.OK, found)
    return Finding("torch", State.FAIL if _is_gpu(device) else State.WARN, found, say("do_torch_cpu"))


def check_driver(machine: Machine, device: str, version: str | None) -> Finding:
    """Check that NVIDIA's driver is new enough for torch's CUDA."""
    if version is None:
        if _is_gpu(device):
            return Finding("driver", State.FAIL, say("found_no_driver"), say("do_driver_missing"))
        state = State.OK if device == "cpu" else State.WARN
        return Finding("driver", state, say("found_no_driver"), "" if device == "cpu" else say("do_driver_cpu"))
    found = say("found_driver", version=version)
    least = LEAST_DRIVER.get(int((machine.cuda or "0").partition(".")[0]), 0)
    if int(version.partition(".")[0]) >= least or device == "cpu":
        return Finding("driver", State.OK, found)
    return Finding("driver", State.FAIL, found, say("do_driver_old", cuda=machine.cuda or "", least=least))


def check_gpu(machine: Machine, device: str, driver: str | None) -> Finding:
    """Check that the GPU to generate on is usable and has enough memory."""
    number = int(device.partition(":")[2] or 0)
    if number >= len(machine.gpus):
        if device == "cpu":
            return Finding("gpu", State.OK, say("found_no_gpu_needed"))
        found = say("found_no_gpu", why=machine.complaint).strip()
        state = State.FAIL if _is_gpu(device) else State.WARN
        return Finding("gpu", state, found, "" if driver is None else say("do_gpu"))
    gpu = machine.gpus[number]
    found = say("found_gpu", name=gpu.name, memory=f"{gpu.memory_bytes / GB:.1f}", free=f"{gpu.free_bytes / GB:.1f}")
    if not gpu.supported and device != "cpu":
        return Finding("gpu", State.FAIL, found, say("do_gpu_unsupported", architecture=gpu.architecture))
    if gpu.free_bytes < gpu.memory_bytes / 2:
        return Finding("gpu", State.WARN, found, say("do_gpu_busy"))
    return Finding("gpu", State.OK, found)


def _is_gpu(device: str) -> bool:
    """Return True if config.yaml asks for a GPU and nothing else: `cuda`, or one by its number."""
    return device.startswith("cuda")


def check_memory(memory: HostMemory | None) -> Finding:
    """Check the size of the memory; None on a system that does not report it."""
    if memory is None:
        return Finding("memory", State.OK, say("found_memory_unknown"))
    total, free = memory.total_bytes / GB, memory.free_bytes / GB
    found = say("found_memory", total=f"{total:.1f}", free=f"{free:.1f}")
    if memory.free_bytes < LEAST_MEMORY_GB * GB:
        return Finding("memory", State.WARN, found, say("do_memory", least=LEAST_MEMORY_GB))
    return Finding("memory", State.OK, found)


def driver_version(file: Path = DRIVER_FILE) -> str | None:
    """Version of NVIDIA's driver, such as 535.183.01; None if there is none."""
    try:
        text = file.read_text("utf-8", "replace")
    except OSError:
        text = _ask_nvidia_smi()
    match = re.search(r"\b(\d{3,4}\.\d{1,3}(?:\.\d{1,3})?)\b", text)
    return match[1] if match else None


def _ask_nvidia_smi() -> str:
    command = shutil.which("nvidia-smi")
    if command is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            [command, "--query-gpu=driver_version", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
