"""A simulated machine with GPUs, for the queries of torch that do not touch one.

Only the functions below torch's Python are replaced. Torch's own checks of arguments stay, and the requested GPU is
recorded. Tensors on these GPUs need `torch._subclasses.FakeTensorMode`: nothing is computed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from torch._subclasses import fake_tensor

GIB = 2**30


@dataclass
class Pools:
    """Private memory pools of torch's allocator, as c10/cuda/CUDACachingAllocator.cpp counts them.

    Attributes:
        shares: number of captures that hold each pool.
        recording: pools that a capture allocates from.
        refuses: true while CUDA finds each capture invalid at its end.
    """

    shares: Counter[tuple[int, int]] = field(default_factory=Counter)
    recording: set[tuple[int, int]] = field(default_factory=set)
    refuses: bool = False

    def handle(self) -> tuple[int, int]:
        self.shares[0, len(self.shares) + 1] = 0
        return 0, len(self.shares)

    def begin(self, pool: tuple[int, int]) -> None:
        if pool in self.recording:
            raise RuntimeError("beginAllocateToPool: already recording to mempool_id")
        self.shares[pool] += 1
        self.recording.add(pool)

    def end(self, device: int, pool: tuple[int, int]) -> None:
        if pool not in self.recording:
            raise RuntimeError("endAllocatePool: not currently recording to mempool_id")
        self.recording.remove(pool)

    def release(self, device: int, pool: tuple[int, int]) -> None:
        self.shares[pool] -= 1
        if self.shares[pool] < 0:
            raise RuntimeError("uc >= 0 INTERNAL ASSERT FAILED")

    def graph(self) -> Graph:
        return Graph(self)


class Graph:
    """A CUDA graph: as in torch, allocation to its pool ends after its capture, and its share ends with it."""

    def __init__(self, pools: Pools) -> None:
        self._pools, self._captured = pools, False

    def capture_begin(self, pool: tuple[int, int], capture_error_mode: str) -> None:
        self._pool = pool
        self._pools.begin(pool)

    def capture_end(self) -> None:
        if self._pools.refuses:
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")
        self._pools.end(0, self._pool)
        self._captured = True

    def replay(self) -> None:
        pass

    def __del__(self) -> None:
        if self._captured:
            self._pools.release(0, self._pool)


@dataclass
class Stream:
    """A stream on which nothing runs."""

    device: torch.device | None = None

    def wait_stream(self, stream: Stream) -> None:
        pass


@dataclass
class Driver:
    """Calls to the driver and its answers.

    Attributes:
        calls: names and arguments of the calls, in order.
        current, stream: torch's current GPU and stream.
        pools: memory of captured graphs.
        free_bytes: of each GPU, or the error raised on request.
        used_bytes: of each GPU, by this process.
    """

    count: int
    free_bytes: int | Exception
    total_bytes: int
    capability: tuple[int, int]
    used_bytes: int = 0
    current: int = 0
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    stream: Stream = field(default_factory=Stream)
    pools: Pools = field(default_factory=Pools)

    def calls_of(self, name: str) -> list[tuple[Any, ...]]:
        """Return the arguments of each call of that name."""
        return [call[1:] for call in self.calls if call[0] == name]

    def number(self, value: object) -> int:
        """Check a GPU number as C++ does: a whole number, of a GPU that exists."""
        if type(value) is not int or not 0 <= value < self.count:
            raise RuntimeError(f"CUDA error: invalid device ordinal {value!r}")
        return value

    def exchange(self, device: int) -> int:
        before = self.current
        if device >= 0:
            self.current = self.number(device)
        return before

    def set_current(self, device: int) -> None:
        self.current = self.number(device)

    def set_stream(self, stream: Stream) -> None:
        self.stream = stream

    def set_memory_fraction(self, share: float, device: int) -> None:
        self.calls.append(("set_memory_fraction", share, self.number(device)))

    def memory_stats(self, device: int) -> dict[str, Any]:
        self.calls.append(("memory_stats", self.number(device)))
        used = {"all": {"current": self.used_bytes, "peak": self.used_bytes}}
        return {"allocated_bytes": used, "reserved_bytes": used}

    def memory_info(self, device: int) -> tuple[int, int]:
        self.calls.append(("memory_info", self.number(device)))
        if isinstance(self.free_bytes, Exception):
            raise self.free_bytes
        return self.free_bytes, self.total_bytes

    def properties(self, device: int) -> SimpleNamespace:
        major, minor = self.capability
        name = f"Stand-in {self.number(device)}"
        return SimpleNamespace(name=name, major=major, minor=minor, total_memory=self.total_bytes)

    def note(self, name: str) -> Any:  # noqa: ANN401 - replaces functions of any form
        return lambda *arguments: self.calls.append((name, *arguments))


@contextmanager
def gpus(
    count: int = 1,
    *,
    free_bytes: int | Exception = 14 * GIB,
    total_bytes: int = 16 * GIB,
    capability: tuple[int, int] = (8, 0),
) -> Iterator[Driver]:
    """Simulate a machine with a number of GPUs."""
    driver = Driver(count, free_bytes, total_bytes, capability)
    below = {
        "_cuda_getDeviceCount": lambda: count,
        "_cuda_getDevice": lambda: driver.current,
        "_cuda_setDevice": driver.set_current,
        "_cuda_exchangeDevice": driver.exchange,
        "_cuda_maybeExchangeDevice": driver.exchange,
        "_cuda_setMemoryFraction": driver.set_memory_fraction,
        "_cuda_memoryStats": driver.memory_stats,
        "_cuda_resetPeakMemoryStats": driver.note("reset_peak"),
        "_cuda_emptyCache": driver.note("empty_cache"),
        "_cuda_synchronize": driver.note("synchronize"),
        "_cuda_endAllocateToPool": driver.pools.end,
        "_cuda_releasePool": driver.pools.release,
    }
    beside = {
        "_initialized": True,
        "_exchange_device": driver.exchange,
        "_maybe_exchange_device": driver.exchange,
        "_cached_device_count": count,
        "_get_device_properties": driver.properties,
        "Stream": Stream,
        "CUDAGraph": driver.pools.graph,
        "graph_pool_handle": driver.pools.handle,
        "current_stream": lambda device=None: driver.stream,
        "set_stream": driver.set_stream,
        "default_generators": tuple(torch.Generator() for _ in range(count)),
        "cudart": lambda: SimpleNamespace(cudaMemGetInfo=driver.memory_info),
    }
    with ExitStack() as stack:
        for name, value in below.items():
            stack.enter_context(patch.object(torch._C, name, value))
        for name, value in beside.items():
            stack.enter_context(patch.object(torch.cuda, name, value, create=True))
        stack.enter_context(patch.object(torch.cuda.graph, "default_capture_stream", Stream()))
        # Fake tensors would begin with a real one on the GPU.
        stack.enter_context(patch.object(fake_tensor, "init_gpu_context", lambda device: None))
        yield driver
