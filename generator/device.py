"""The device that dreams: which one it is, and the conditions under which it works. Runs on the thread that dreams."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from generator.errors import InvalidRequest, OutOfMemory


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; `auto` is the GPU where there is one, else the CPU.

    Raises:
        InvalidRequest: if this machine has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as exc:
        raise InvalidRequest(f"There is no device {name[:40]!r}; choose auto, cpu or cuda.", "device") from exc
    if device.type not in ("cpu", "cuda"):
        raise InvalidRequest(f"Reverie does not run on {name!r}; choose auto, cpu or cuda.", "device")
    if device.type == "cuda":
        if not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count():
            raise InvalidRequest(f"This machine has no GPU {name!r} that torch can use; choose auto or cpu.", "device")
        # cuBLAS reads this when it starts; without it no product is exact to the byte. See `working`.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return device


@contextmanager
def working(device: torch.device, exact: bool) -> Iterator[None]:
    """Work on `device`; with `exact`, on a GPU, only by operations that repeat to the byte.

    torch knows that choice only for the whole process. It is made at the beginning and undone at the end, so that it
    holds for this piece of work alone, provided that no other thread uses the GPU meanwhile. On a CPU every operation
    of the dream repeats anyway, for a given number of threads (see `generator.dream`).

    Raises:
        OutOfMemory: in place of torch's own error.
    """
    try:
        if exact and device.type == "cuda":
            with _deterministic():
                yield
        else:
            yield
    except torch.OutOfMemoryError as exc:
        raise OutOfMemory("The picture does not fit on the GPU; choose a smaller size or fewer cutouts.") from exc
    except RuntimeError as exc:
        if "can't allocate memory" not in str(exc):
            raise
        raise OutOfMemory("The picture does not fit in memory; choose a smaller size or fewer cutouts.") from exc


@contextmanager
def _deterministic() -> Iterator[None]:
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    filling = memory.fill_uninitialized_memory
    cudnn = torch.backends.cudnn
    with cudnn.flags(enabled=cudnn.enabled, benchmark=False, deterministic=True, allow_tf32=cudnn.allow_tf32):
        torch.use_deterministic_algorithms(True)
        memory.fill_uninitialized_memory = False
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])
            memory.fill_uninitialized_memory = filling
