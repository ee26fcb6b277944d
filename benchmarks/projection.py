"""Projected time of a step on a T4, from bytes, operations and launches: `python -m benchmarks.projection`.

Nothing is timed. Each operation of a step on this CPU is counted as a GPU would execute it. Its time on the T4 is that
of its arithmetic or of its memory traffic, whichever is longer, and at least the shortest time of an operation in a
graph. Their sum is a step as a CUDA graph. Without a graph, the host queues operations one by one while the GPU works,
and the step takes as long as the slower of the two. Ours is counted in bfloat16, which has as many bytes as the float16
of a T4; the plain loop in float32.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import flop_registry

from benchmarks.cases import CASES, Case, dream_of, models_of, plain_loop_of, request_of
from benchmarks.report import conditions, options, write_report

FLOPS = {2: 24e12, 4: 5e12}
"""Sustained operations per second, by the bytes of a number; with more than 70 W a T4 could do 65e12 and 8.1e12."""
BYTES_S = 240e9
"""Sustained, of 320."""
LAUNCH_S = 32e-6
"""Of one operation, by torch, on a slow CPU: 25 to 40 microseconds were measured beside an H100."""
REPLAY_S = 3e-6
"""Of the shortest operation of a graph."""
_NAMES = ("aten.empty", "aten.new_empty", "aten.empty_like")


@dataclass
class Cost:
    """Cost of a step: operations, bytes read and written, seconds as a graph, calls."""

    flop: float = 0.0
    bytes: float = 0.0
    replayed_s: float = 0.0
    calls: int = 0

    @property
    def eager_s(self) -> float:
        """Seconds without a graph, one operation after the other."""
        return max(self.replayed_s, self.calls * LAUNCH_S)


class Meter(TorchDispatchMode):
    """Count the operations run inside the context."""

    def __init__(self) -> None:
        super().__init__()
        self.cost = Cost()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None  # noqa: ANN401
    ) -> Any:  # fmt: skip # noqa: ANN401
        result = func(*args, **(kwargs or {}))
        if not (_is_view(func) or str(func).startswith(_NAMES)):
            self._count(func, args, kwargs or {}, result)
        return result

    def _count(self, func: Any, args: Any, kwargs: Any, result: Any) -> None:  # noqa: ANN401
        tensors = [item for item in tree_iter((args, kwargs, result)) if isinstance(item, Tensor)]
        if not tensors:
            return
        moved = sum({id(tensor): _size(tensor) for tensor in tensors}.values())
        flop = _operations(func, args, kwargs, result)
        width = min((tensor.element_size() for tensor in tensors if tensor.is_floating_point()), default=4)
        self.cost.flop += flop
        self.cost.bytes += moved
        self.cost.replayed_s += max(flop / FLOPS[max(2, min(width, 4))], moved / BYTES_S, REPLAY_S)
        self.cost.calls += 1


def _is_view(func: Any) -> bool:  # noqa: ANN401
    returned = [item.alias_info for item in func._schema.returns]
    return any(alias is not None and not alias.is_write for alias in returned)


def _size(tensor: Tensor) -> int:
    """Count bytes in memory; an expanded tensor has fewer than its elements suggest."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


def _operations(func: Any, args: Any, kwargs: Any, result: Any) -> float:  # noqa: ANN401
    """Count operations of products; attention on a CPU, which torch's own counter omits, by formula."""
    name = str(func)
    if "scaled_dot_product" in name:
        query, key = (args[1], args[2]) if "backward" in name else (args[0], args[1])
        product = 2.0 * query.numel() * key.shape[-2]
        return product * (5 if "backward" in name else 2)
    count: Callable[..., float] | None = flop_registry.get(func.overloadpacket)
    return 0.0 if count is None else float(count(*args, **kwargs, out_val=result))


@contextmanager
def _as_on_a_gpu() -> Iterator[None]:
    """Disable CPU-only paths: channels-last, and the formulas that come with it."""

    def plain(_: Tensor) -> torch.memory_format:
        return torch.contiguous_format

    with patch("generator.models.layers.layout", plain), patch("generator.models.drawers.decoder.layout", plain):
        yield


def cost_of(case: Case, side: str) -> Cost:
    """Compute the cost of one step of a side on a T4."""
    models = models_of(case, "cpu", "bf16" if side == "ours" else "fp32")
    with _as_on_a_gpu(), patch("generator.models.winograd.is_faster", lambda *_: False):
        if side == "ours":
            step: Callable[[], object] = dream_of(case, models).step
        else:
            step = plain_loop_of(
                case, models, request_of(case, models), one_crop_per_call=side == "one_crop_per_call"
            ).step
        with Meter() as meter:
            step()
    return meter.cost


def main(arguments: list[str]) -> int:
    """Project the named cases."""
    parser = options(__doc__, "projection.json")
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)}; 256-real and 512-real by default")
    given: argparse.Namespace = parser.parse_args(arguments)
    about = conditions(given.threads, "cpu")
    torch.set_num_threads(given.threads)
    figures, rows = {}, []
    for name in given.cases or ("256-real", "512-real"):
        costs = {side: cost_of(CASES[name], side) for side in ("ours", "plain", "one_crop_per_call")}
        figures[name] = {side: {**vars(cost), "eager_s": cost.eager_s} for side, cost in costs.items()}
        for side, cost in costs.items():
            ours = side == "ours"
            times = [cost.eager_s / own for own in (costs["ours"].eager_s, costs["ours"].replayed_s)]
            rows.append([
                name, side, f"{cost.flop / 1e12:.2f}", f"{cost.bytes / 1e9:.1f}", str(cost.calls),
                f"{cost.eager_s * 1000:.0f}", f"{cost.replayed_s * 1000:.0f}" if ours else "",
                "" if ours else f"{times[0]:.1f}", "" if ours else f"{times[1]:.1f}",
            ])  # fmt: skip
    head = ["case", "side", "TFLOP", "GB", "calls", "ms a step", "as a graph", "ours is times as fast", "as a graph"]
    write_report(given.json, about, head, rows, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
