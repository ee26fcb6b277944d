"""CPU features, as reported by Linux. No torch; any thread."""

from __future__ import annotations

import platform
from pathlib import Path

_FACTS = Path("/proc/cpuinfo")
_MATRIX_UNITS = "amx_bf16"


def multiplies_bfloat16(facts: str | None = None, machine: str | None = None) -> bool:
    """True if the CPU has matrix units for bfloat16; the defaults are this machine's /proc/cpuinfo and type.

    False in case of doubt: a CPU that emulates it is several times slower with it than with float32, and one that
    multiplies it only in vectors (`avx512_bf16`) is slower too.
    """
    if facts is None:
        facts = _FACTS.read_text("utf-8", "replace") if _FACTS.is_file() else ""
    flags = next((line for line in facts.splitlines() if line.startswith("flags")), "").split()
    return (machine or platform.machine()) in ("x86_64", "AMD64") and _MATRIX_UNITS in flags
