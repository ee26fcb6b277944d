"""CPU features, as reported by Linux. No torch; any thread."""

from __future__ import annotations

import os
from collections.abc import Iterable

_FACTS = "/proc/cpuinfo"
_MATRIX_UNITS = "amx_bf16"


def multiplies_bfloat16(facts: str | None = None, machine: str | None = None) -> bool:
    """True if the CPU has matrix units for bfloat16; the defaults are this machine's /proc/cpuinfo and type.

    False in case of doubt: a CPU that emulates it is several times slower with it than with float32, and one that
    multiplies it only in vectors (`avx512_bf16`) is slower too.
    """
    flags = _flags() if facts is None else _first_flags(facts.splitlines())
    if _MATRIX_UNITS not in flags:
        return False
    import platform  # Each Python that imports the generator comes here; few need it.

    return (machine or platform.machine()) in ("x86_64", "AMD64")


def _flags() -> list[str]:
    """Features of this machine's first CPU; the rest of the file is as long as the machine has CPUs."""
    if not os.path.isfile(_FACTS):
        return []
    with open(_FACTS, encoding="utf-8", errors="replace") as file:
        return _first_flags(file)


def _first_flags(lines: Iterable[str]) -> list[str]:
    return next((line for line in lines if line.startswith("flags")), "").split()
