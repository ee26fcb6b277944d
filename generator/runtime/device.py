"""The device that dreams: which one it is, and the conditions under which it works. Runs on the thread that dreams."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from generator.errors import GeneratorError, InvalidRequest, OutOfMemory
from generator.messages import Message
from generator.provenance import MAX_THREADS

# Libraries below torch say in their own ways that they got no memory, or that something broke.
_GPU_IS_FULL = ("out of memory", "STATUS_ALLOC_FAILED", "CUSOLVER_STATUS_INTERNAL_ERROR")
# torch's allocator, C++'s, NNPACK's and oneDNN's, which says no more than that.
_HOST_IS_FULL = (
    "can't allocate memory",
    "bad_alloc",
    "posix_memalign failed",
    "NNPACK SpatialConvolution_updateOutput failed",
    "could not create a primitive",
    "could not execute a primitive",
    "could not create a memory object",
)
_DOES_NOT_FIT = Message("The picture does not fit in memory; choose a smaller size or fewer cutouts.")
_BY_ONEDNN = torch._C._get_mkldnn_enabled()
_GPU_FAILED = ("CUDA error", "cuDNN error", "CUBLAS_STATUS", "CUDNN_STATUS", "NVIDIA driver")


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
        text = "There is no device {name}; choose auto, cpu or cuda."
        raise InvalidRequest(Message(text, name=repr(name[:40])), "device") from exc
    if device.type not in ("cpu", "cuda"):
        text = "Reverie does not run on {name}; choose auto, cpu or cuda."
        raise InvalidRequest(Message(text, name=repr(name[:40])), "device")
    if device.type == "cuda":
        if not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count():
            text = "This machine has no GPU {name} that torch can use; choose auto or cpu."
            raise InvalidRequest(Message(text, name=repr(name)), "device")
        # cuBLAS reads this when it starts; without it no product is exact to the byte. See `working`.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return device


def cap_memory(device: torch.device, share: float) -> None:
    """Let this process use no more than a share of a GPU's memory; on a CPU there is no such cap."""
    if device.type == "cuda":
        torch.cuda.set_per_process_memory_fraction(share, device)


def release_unused(device: torch.device) -> None:
    """Give back what nothing refers to any more, so that it can be had in other pieces."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


@contextmanager
def as_many_threads(count: int) -> Iterator[None]:
    """Compute on the CPU by so many threads, as long as it lasts; any other number than 1 to MAX_THREADS changes none.

    Sums are split among threads, so their number is part of what makes a picture the same to the byte. It may be
    larger than that of the cores; that takes longer.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count if 1 <= count <= MAX_THREADS else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def device_context(device: torch.device, exact: bool) -> Iterator[None]:
    """Work on `device`; with `exact`, on a GPU, only by operations that repeat to the byte.

    torch knows that choice only for the whole process. It is made at the beginning and undone at the end, so that it
    holds for this piece of work alone, provided that no other thread uses the GPU meanwhile. On a CPU every operation
    of the dream repeats anyway, for a given number of threads (see `generator.optimisation.dream`).

    Raises:
        OutOfMemory: in place of torch's own error.
        GeneratorError: if the GPU fails otherwise.
    """
    try:
        if exact and device.type == "cuda":
            with _deterministic():
                yield
        else:
            yield
        check_products()
    except (RuntimeError, MemoryError) as exc:
        sentence = _sentence_for(exc)
        if sentence is None:
            raise
        raise sentence from exc


def check_products() -> None:
    """See that torch still multiplies by oneDNN: where that gets no memory, torch gives it up without an error.

    What was computed meanwhile, and all that came after, would be rounded in another way.

    Raises:
        OutOfMemory: if it was given up; it is taken up again.
    """
    if _BY_ONEDNN and not torch._C._get_mkldnn_enabled():
        torch._C._set_mkldnn_enabled(True)
        raise OutOfMemory(_DOES_NOT_FIT)


def run_or_oom(device: torch.device, exact: bool, work: Callable[[], None]) -> bool:
    """Do some work as in `working`; False if memory ran out, after what the work held is given back.

    Raises:
        GeneratorError: if the GPU fails otherwise.
    """
    try:
        with device_context(device, exact):
            work()
    except OutOfMemory:
        enough = False
    else:
        enough = True
    if not enough:  # only now, since the error referred to the work, and the work to its tensors
        release_unused(device)
    return enough


def reports_no_memory(exc: RuntimeError | MemoryError) -> bool:
    """True if an error of torch or Python says that memory ran out, on a GPU or on the host."""
    return isinstance(_sentence_for(exc), OutOfMemory)


def _sentence_for(exc: RuntimeError | MemoryError) -> GeneratorError | None:
    """Our error for one of torch's or Python's; None for those that say that our own code is wrong."""
    text = str(exc)
    if isinstance(exc, torch.OutOfMemoryError) or any(mark in text for mark in _GPU_IS_FULL):
        return OutOfMemory(Message("The picture does not fit on the GPU; choose a smaller size or fewer cutouts."))
    if isinstance(exc, MemoryError) or any(mark in text for mark in _HOST_IS_FULL):
        return OutOfMemory(_DOES_NOT_FIT)
    if isinstance(exc, torch.AcceleratorError) or any(mark in text for mark in _GPU_FAILED):
        return GeneratorError(Message("The GPU failed; start the program again, and look at nvidia-smi if it lasts."))
    return None


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
