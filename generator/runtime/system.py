"""Torch version and GPUs of this machine, for the bot's host. Any thread; torch is imported on the first call."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from generator.errors import GeneratorError


@dataclass(frozen=True)
class GPU:
    """A GPU that torch can use.

    Attributes:
        name: as reported by its driver.
        architecture: its generation as torch names it, such as `sm_75`.
        supported: True if this torch contains machine code for it.
        memory_bytes: its total memory.
        free_bytes: memory that no program holds at the moment.
    """

    name: str
    architecture: str
    supported: bool
    memory_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class Machine:
    """Torch build and hardware.

    Attributes:
        torch: its version.
        cuda: the CUDA version it was built for; None for a CPU-only torch.
        gpus: GPUs that it can use.
        complaint: torch's warning about an unusable driver; empty if there is none.
    """

    torch: str
    cuda: str | None
    gpus: tuple[GPU, ...]
    complaint: str


def look_at_machine() -> Machine:
    """Query torch. On a machine with a GPU this uses a little of its memory until the process ends.

    Raises:
        GeneratorError: if torch is not installed or cannot be loaded.
    """
    try:
        import torch
    except (ImportError, OSError) as exc:
        raise GeneratorError(
            f"torch cannot be loaded ({str(exc)[:200]}); install what requirements.txt lists."
        ) from exc
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            usable = torch.cuda.is_available()
            gpus = tuple(_gpu(number) for number in range(torch.cuda.device_count())) if usable else ()
        except RuntimeError as exc:
            return Machine(torch.__version__, torch.version.cuda, (), _first_line(str(exc)))
    complaint = _first_line(str(said[0].message)) if said and not gpus else ""
    return Machine(torch.__version__, torch.version.cuda, gpus, complaint)


def _gpu(number: int) -> GPU:
    import torch

    properties = torch.cuda.get_device_properties(number)
    major, minor = properties.major, properties.minor
    built_for = [name.removeprefix("sm_") for name in torch.cuda.get_arch_list() if name.startswith("sm_")]
    # Machine code also runs on later cards of the same generation.
    supported = any(
        int(name[:-1]) == major and int(name[-1]) <= minor for name in (n.rstrip("af") for n in built_for) if name
    )
    total = int(properties.total_memory)
    return GPU(str(properties.name), f"sm_{major}{minor}", supported, total, _free_bytes(number))


def _free_bytes(number: int) -> int:
    """Return the bytes that no program holds; 0 if there is not even enough memory to ask."""
    import torch

    try:
        return int(torch.cuda.mem_get_info(number)[0])
    except RuntimeError as exc:
        if "out of memory" in str(exc):
            return 0
        raise


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[0][:300]
