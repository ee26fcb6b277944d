"""CUDA graphs: GPU work that is recorded once and replayed in one launch.

Recorded work runs on fixed buffers, reads nothing back to the host and allocates nothing that outlives it except its
result. Source: https://pytorch.org/docs/stable/notes/cuda.html#cuda-graphs.
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

import torch

_WARM_UP_RUNS = 3
T = TypeVar("T")


class Recorder(Protocol):
    """Record work on fixed buffers for replay."""

    @property
    def held_bytes(self) -> int:
        """Memory held by the recordings themselves, beside their results."""
        ...

    def record(self, work: Callable[[], T], generator: torch.Generator | None = None) -> Callable[[], T]:
        """Return a function that repeats `work`, including random choices of `generator`.

        `work` may run several times before that. Each repetition overwrites the previous result.
        """
        ...


class CudaRecorder:
    """Record by stream capture. All recordings share one memory pool, so they must be replayed one at a time.

    Args:
        device: the GPU, with its index.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool: Any = None
        self._pool_of: WeakKeyDictionary[torch.cuda.CUDAGraph, Any] = WeakKeyDictionary()
        self._bytes_in: dict[Any, int] = {}

    @property
    def held_bytes(self) -> int:
        """Memory of the pools whose recordings, or some of them, still exist."""
        return sum(self._bytes_in[pool] for pool in set(self._pool_of.values()))

    def record(self, work: Callable[[], T], generator: torch.Generator | None = None) -> Callable[[], T]:
        """Run `work` a few times, so that libraries choose their algorithms, then capture it.

        Raises:
            RuntimeError: torch's own, if the work cannot be captured or memory runs out.
        """
        with torch.cuda.device(self._device):
            self._settle_pool()
            capturing = _capture_stream(self._device)
            capturing.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(capturing):
                for _ in range(_WARM_UP_RUNS):
                    work()
            torch.cuda.current_stream().wait_stream(capturing)
            graph = torch.cuda.CUDAGraph()
            if generator is not None:
                graph.register_generator_state(generator)
            stream = torch.cuda.current_stream()
            try:
                # Other threads may query the GPU's memory meanwhile.
                with (
                    _without_collection(),
                    torch.cuda.graph(graph, pool=self._pool, stream=capturing, capture_error_mode="thread_local"),
                ):
                    before = torch.cuda.memory_reserved()
                    result = work()
                    self._bytes_in[self._pool] += torch.cuda.memory_reserved() - before
            except BaseException:
                self._give_up_pool()
                raise
            else:
                self._pool_of[graph] = self._pool
            finally:
                torch.cuda.set_stream(stream)  # a capture that fails leaves the thread on the recorder's

        def replay() -> T:
            graph.replay()
            return result

        return replay

    def _settle_pool(self) -> None:
        """Begin a new pool if no recording of this one exists: torch refuses it while a result of theirs is in use."""
        used = set(self._pool_of.values())
        if self._pool not in used:
            self._pool = torch.cuda.graph_pool_handle()
            self._bytes_in = {pool: self._bytes_in[pool] for pool in used} | {self._pool: 0}

    def _give_up_pool(self) -> None:
        """End allocation to the pool after a failed capture, drop that capture's share of it, and use a new one.

        torch does both only after CUDA has ended the capture without an error. Otherwise the allocator would count as
        capturing from then on, keep the memory, and refuse the next capture.
        """
        with suppress(RuntimeError):  # torch got as far as to end it
            torch._C._cuda_endAllocateToPool(self._device.index, self._pool)
            torch._C._cuda_releasePool(self._device.index, self._pool)
        self._pool = None


@functools.cache
def _capture_stream(device: torch.device) -> torch.cuda.Stream:
    """The one stream of a GPU that captures: torch keeps a workspace of cuBLAS for every stream ever used."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def first_line(exc: BaseException) -> str:
    """First line of an error, short enough for a log."""
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0][:200]


@contextmanager
def _without_collection() -> Iterator[None]:
    """Disable garbage collection: freeing a tensor during a capture would invalidate it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
