"""Memory budget of a device: measured, limited and claimed. Any thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from generator.runtime.host_memory import look_at_memory


@dataclass(frozen=True)
class MemoryBudget:
    """Memory that a dream may use.

    Attributes:
        free_bytes: called before each dream; returns None if unknown.
        claim: called before each step, if set; raises torch's or Python's error if the memory is not available.
    """

    free_bytes: Callable[[], int | None] = lambda: None
    claim: Callable[[int], None] | None = None

    @classmethod
    def of(cls, device: torch.device, share: float = 1.0) -> MemoryBudget:
        """Budget of a device; of a GPU only `share` is used, by all models and dreams of this process together."""
        if device.type == "cpu":
            return cls(_free_on_host, _claim_on_host)
        return cls(lambda: _free_on_gpu(device, share))


def gpu_memory(device: torch.device) -> dict[str, int]:
    """Bytes of a GPU: `used` by this process, `free` to all programs, `total`; empty for a CPU. Any thread.

    It is empty as well for a GPU that does not answer: this is no place to notice that it failed.
    """
    if device.type != "cuda":
        return {}
    try:
        free, total = torch.cuda.mem_get_info(device)
    except RuntimeError:
        return {}
    return {"used": torch.cuda.memory_reserved(device), "free": free, "total": total}


def _free_on_gpu(device: torch.device, share: float) -> int:
    """Memory that no program holds, plus memory torch holds unused, limited by the share."""
    free, total = torch.cuda.mem_get_info(device)
    used, held = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
    return max(0, min(free + held - used, int(total * share) - used))


def _free_on_host() -> int | None:
    memory = look_at_memory()
    return None if memory is None else memory.free_bytes


def _claim_on_host(count: int) -> None:
    """Check that the system can allocate this many bytes; they are not touched and are freed at once."""
    torch.empty(count, dtype=torch.uint8, device="cpu")
