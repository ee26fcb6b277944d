"""The part of a machine that decides how sums are rounded: the same one gives the same pictures to the byte."""

from __future__ import annotations

import hashlib
import os
import platform
from pathlib import Path

import torch

_CPU_INFO = Path("/proc/cpuinfo")
_FIELDS = ("vendor_id", "cpu family", "model", "model name", "stepping", "cache size")
_FLAGS = ("sse", "ssse", "fma", "f16c", "avx", "amx")
_CHOICES = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR")


def this_machine() -> dict[str, object]:
    """Version of torch, threads, kind of CPU (a digest) and the variables that choose among its instructions."""
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "cpu": hashlib.sha256(_cpu().encode()).hexdigest(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "choices": {name: os.environ[name] for name in _CHOICES if name in os.environ},
    }


def _cpu() -> str:
    """Model and arithmetic instructions of the first CPU; without Linux only its architecture is known."""
    if not _CPU_INFO.exists():
        return platform.machine()
    first = _CPU_INFO.read_text("utf-8").partition("\n\n")[0]
    lines = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}
    flags = sorted(flag for flag in lines.get("flags", "").split() if flag.startswith(_FLAGS))
    return " ".join([platform.machine(), *(lines.get(name, "") for name in _FIELDS), *flags])
