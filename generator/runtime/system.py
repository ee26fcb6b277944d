"""What torch finds on this machine, for the one who looks after it. Any thread; torch is imported when it is asked."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from generator.errors import GeneratorError


@dataclass(frozen=True)
class GPU:
    """A graphics card that torch can use.

    Attributes:
        name: as its driver calls it.
        architecture: its generation as torch names it, such as `sm_75`.
        supported: whether this torch holds machine code for it.
        memory_bytes: all that it has.
        free_bytes: what no program holds at the moment.
    """

    name: str
    architecture: str
    supported: bool
    memory_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class Machine:
    """What there is to paint with.

    Attributes:
        torch: its version.
        cuda: the version of CUDA that it was built for; None for a torch that knows the CPU only.
        gpus: graphics cards that it can use.
        complaint: what torch says about a driver that it cannot use; empty if it says nothing.
    """

    torch: str
    cuda: str | None
    gpus: tuple[GPU, ...]
    complaint: str


def look_at_machine() -> Machine:
    """Ask torch. On a machine with a GPU this takes a little of its memory until the process ends.

    Raises:
        GeneratorError: if torch is not there or cannot be loaded.
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
    # Machine code runs on later cards of the same generation as well.
    supported = any(
        int(name[:-1]) == major and int(name[-1]) <= minor for name in (n.rstrip("af") for n in built_for) if name
    )
    total = int(properties.total_memory)
    return GPU(str(properties.name), f"sm_{major}{minor}", supported, total, _free_bytes(number))


def _free_bytes(number: int) -> int:
    """What no program holds; none where there is not even room to ask."""
    import torch

    try:
        return int(torch.cuda.mem_get_info(number)[0])
    except RuntimeError as exc:
        if "out of memory" in str(exc):
            return 0
        raise


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[0][:300]
