"""The compute device: its choice, its settings, and its errors."""

from __future__ import annotations

import functools
import gc
import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import torch
from torch.overrides import TorchFunctionMode

from generator.errors import DeviceFailed, GeneratorError, InvalidRequest, OutOfMemory
from generator.messages import Message
from generator.provenance import MAX_THREADS

# Messages by which libraries below torch report that memory ran out, or that something failed.
_GPU_IS_FULL = (
    "out of memory",
    "STATUS_ALLOC_FAILED",
    "CUSOLVER_STATUS_INTERNAL_ERROR",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "CUDNN_STATUS_NOT_INITIALIZED",
)
# From torch's allocator, C++, NNPACK and oneDNN, which says no more than that.
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
_GPU_FAILED = (
    "CUDA error",
    "CUDA driver error",
    "CUDA unknown error",
    "No CUDA GPUs are available",
    "Triton Error [CUDA]",
    "cuDNN error",
    "CUBLAS_STATUS",
    "CUDNN_STATUS",
    "CUSOLVER_STATUS",
    "NVIDIA driver",
)
_LOG = logging.getLogger(__name__)
_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


class _Placed(Protocol):
    """Models on a device."""

    @property
    def device(self) -> torch.device: ...


class _HasModels(Protocol):
    @property
    def _models(self) -> _Placed: ...


_Owner = TypeVar("_Owner", bound=_HasModels)


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of that name; `auto` is the GPU if there is one, else the CPU.

    A GPU gets its number, which `cuda` alone lacks; it is then the first. Some functions of torch refuse a device
    without a number.

    Raises:
        InvalidRequest: if this machine has no such device.
    """
    if name == "auto":
        count, complaint = _count_gpus()
        if complaint:
            _LOG.warning("No GPU can be used, so the CPU paints: %s", complaint)
        name = "cuda" if count else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as exc:
        text = "There is no device {name}; choose auto, cpu or cuda."
        raise InvalidRequest(Message(text, name=repr(name[:40])), "device") from exc
    if device.type not in ("cpu", "cuda"):
        text = "Reverie does not run on {name}; choose auto, cpu or cuda."
        raise InvalidRequest(Message(text, name=repr(name[:40])), "device")
    if device.type == "cpu":
        return device
    count, complaint = _count_gpus()
    number = device.index or 0
    if "too old" in complaint:
        text = "The driver of the GPU {name} is too old for this torch; install a newer one, or choose cpu."
        raise InvalidRequest(Message(text, name=repr(name)), "device")
    if not 0 <= number < count:
        text = "This machine has no GPU {name} that torch can use; choose auto or cpu."
        raise InvalidRequest(Message(text, name=repr(name)), "device")
    # cuBLAS reads this when it starts; without it no product is exact to the byte. See `device_context`.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    chosen = torch.device("cuda", number)
    _allow_growing_segments(chosen)
    return chosen


@functools.cache
def _allow_growing_segments(device: torch.device) -> None:
    """Let torch's allocator extend its segments; with fixed ones, up to half of the memory it holds is gaps.

    The host's own PYTORCH_ALLOC_CONF comes first. Virtual GPUs cannot map memory: they keep fixed segments.
    Source: https://pytorch.org/docs/stable/notes/cuda.html#optimizing-memory-usage-with-pytorch-alloc-conf.
    """
    if any(name in os.environ for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")):
        return
    torch._C._accelerator_setAllocatorSettings("expandable_segments:True")
    try:
        torch.empty(1, device=device)
    except torch.OutOfMemoryError:
        return  # those who need memory say so
    except RuntimeError as exc:
        torch._C._accelerator_setAllocatorSettings("expandable_segments:False")
        _LOG.warning("GPU memory cannot grow in place, so less of %s can be used: %s", device, str(exc)[:200])


def device_kind(device: torch.device) -> str:
    """Kind of a device, for comparing speeds: `cpu`, or the name that the GPU's driver gives it."""
    if device.type == "cpu":
        return "cpu"
    try:
        return torch.cuda.get_device_name(device)
    except RuntimeError:  # It fails already; nothing is measured on it.
        return device.type


def _count_gpus() -> tuple[int, str]:
    """Count the GPUs that torch can use, with its first sentence about a driver that it cannot use."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return count, str(said[0].message).partition(". ")[0][:300] if said and not count else ""


def cap_memory(device: torch.device, share: float) -> None:
    """Limit this process to a share of a GPU's memory; no effect on a CPU."""
    if device.type == "cuda":
        torch.cuda.set_per_process_memory_fraction(float(share), device)


def release_unused(device: torch.device) -> None:
    """Release cached memory that nothing refers to, so that it can be allocated in other sizes."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def thread_count() -> int:
    """Return the number of threads on which this process computes on the CPU."""
    return torch.get_num_threads()


def set_thread_count(count: int) -> None:
    """Compute on the CPU with this many threads from now on, at most one for each core."""
    torch.set_num_threads(min(count, os.cpu_count() or 1))


class _Unfilled(TorchFunctionMode):
    """Leave new weights as they were allocated instead of filling them with random numbers."""

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:  # noqa: ANN401 - torch's own signature
        given = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return given["tensor"]
        if func in (torch.Tensor.normal_, torch.Tensor.uniform_):
            return args[0]
        return (torch.empty if func is torch.randn else func)(*args, **given)


@contextmanager
def unfilled_weights() -> Iterator[None]:
    """Build modules whose weights are loaded afterwards: without random numbers, and without memory for them.

    Memory that was never written to is not occupied. On torch's meta device, which is meant for this, random numbers
    and arithmetic import `torch._dynamo` and sympy, which takes longer than loading the starter's models.
    """
    with _Unfilled():
        yield


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Compute on the CPU with this many threads inside the context; a number outside 1 to MAX_THREADS changes nothing.

    Sums are split among threads, so their number is part of what makes a picture the same to the byte. It may exceed
    the number of cores, at a cost in time.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count if 1 <= count <= MAX_THREADS else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def device_context(device: torch.device, exact: bool) -> Iterator[None]:
    """Work on `device`; with `exact`, on a GPU, use only operations with byte-for-byte reproducible results.

    The device is torch's current device for the duration, on this thread: events, streams and Triton's kernels use it
    instead of the first GPU.

    torch keeps exactness only for the whole process. It is set at the beginning and restored at the end, or at the end
    of other exact work that began meanwhile on another GPU; until then all work is exact. On a CPU every operation of
    the dream repeats anyway, for a given number of threads (see `generator.optimisation.dream`).

    Raises:
        OutOfMemory: in place of torch's own error.
        DeviceFailed: if the GPU fails otherwise.
    """
    gpu = device.type == "cuda"
    try:
        with torch.cuda.device(device) if gpu else nullcontext(), _EXACTNESS.held() if gpu and exact else nullcontext():
            yield
        check_products()
    except (RuntimeError, MemoryError) as exc:
        sentence = _sentence_for(exc)
        if sentence is None:
            raise
        raise sentence from exc


def on_its_device(
    method: Callable[Concatenate[_Owner, _Given], _Result],
) -> Callable[Concatenate[_Owner, _Given], _Result]:
    """Run a method of an object with models in `device_context`, so that a GPU failure is noticed at every read."""

    @functools.wraps(method)
    def done(self: _Owner, /, *args: _Given.args, **kwargs: _Given.kwargs) -> _Result:
        with device_context(self._models.device, exact=False):
            return method(self, *args, **kwargs)

    return done


def check_products() -> None:
    """Check that torch still multiplies by oneDNN: after a failed allocation, torch disables it without an error.

    Everything computed since then would be rounded differently.

    Raises:
        OutOfMemory: if it was disabled; it is enabled again.
    """
    if _BY_ONEDNN and not torch._C._get_mkldnn_enabled():
        torch._C._set_mkldnn_enabled(True)
        raise OutOfMemory(_DOES_NOT_FIT)


def run_or_oom(device: torch.device, exact: bool, work: Callable[[], None]) -> bool:
    """Run an operation in `device_context`; False if memory ran out, after its memory is released.

    Raises:
        DeviceFailed: if the GPU fails otherwise.
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
    """Convert an error of torch or Python to ours; None for errors that mean a bug in our own code."""
    text = str(exc)
    if isinstance(exc, torch.OutOfMemoryError) or any(mark in text for mark in _GPU_IS_FULL):
        return OutOfMemory(Message("The picture does not fit on the GPU; choose a smaller size or fewer cutouts."))
    if isinstance(exc, MemoryError) or any(mark in text for mark in _HOST_IS_FULL):
        return OutOfMemory(_DOES_NOT_FIT)
    if isinstance(exc, torch.AcceleratorError) or any(mark in text for mark in _GPU_FAILED):
        return DeviceFailed(Message("The GPU failed; start the program again, and look at nvidia-smi if it lasts."))
    return None


class _Exactness:
    """Torch's exactness, which holds for the whole process: on as long as any thread wants it."""

    def __init__(self) -> None:
        self._lock, self._holders, self._set = threading.Lock(), 0, ExitStack()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it on; the last holder restores what was before the first."""
        with self._lock:
            if not self._holders:
                self._set.enter_context(_deterministic())
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                if not self._holders:
                    self._set.close()


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


_EXACTNESS = _Exactness()
