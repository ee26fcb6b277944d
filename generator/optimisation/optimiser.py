"""The optimisers, by torch's functions for them.

torch's optimiser classes import `torch._dynamo` on first use, which takes longer than loading the starter's models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim.adagrad import adagrad
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.radam import radam
from torch.optim.rmsprop import rmsprop


@dataclass(frozen=True)
class _Kind:
    """An optimiser with the defaults of torch's class.

    Attributes:
        update: torch's function, but for the tensors and the learning rate.
        arguments: the order in which it takes the state's tensors; an empty string is a part that is not in use.
    """

    update: Any
    arguments: tuple[str, ...]

    @property
    def moments(self) -> frozenset[str]:
        """State in the shape of the value."""
        return frozenset(self.arguments) - {"", "step"}


_ADAM: dict[str, Any] = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
_MOMENTS = ("exp_avg", "exp_avg_sq")
_KINDS: Mapping[str, _Kind] = {
    "adam": _Kind(partial(adam, **_ADAM, weight_decay=0, amsgrad=False, maximize=False), (*_MOMENTS, "", "step")),
    "adamw": _Kind(partial(adamw, **_ADAM, weight_decay=0.01, amsgrad=False, maximize=False), (*_MOMENTS, "", "step")),
    "radam": _Kind(partial(radam, **_ADAM, weight_decay=0), (*_MOMENTS, "step")),
    "adagrad": _Kind(partial(adagrad, weight_decay=0, lr_decay=0, eps=1e-10, maximize=False), ("sum", "step")),
    "rmsprop": _Kind(
        partial(rmsprop, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False),
        ("square_avg", "", "", "step"),
    ),
}
CAPTURABLE = frozenset({"adam", "adamw"})
"""Optimisers whose update torch can run on a GPU as one operation and as part of a CUDA graph."""


class Optimiser:
    """An optimiser of one tensor, with torch's defaults.

    Attributes:
        state: its moments in the shape of the value, and `step`, a scalar.
    """

    def __init__(self, name: str, value: Tensor, fused: bool | None = None) -> None:
        """`fused`: update in one operation, where torch has it; by default on a GPU."""
        self._kind = _KINDS[name]
        self.fused = name in CAPTURABLE and (value.is_cuda if fused is None else fused)
        self._options: dict[str, Any] = {"fused": True, "capturable": value.is_cuda} if self.fused else {}
        # Torch keeps the step count on the CPU, except for fused optimisers.
        self.state = {"step": torch.zeros((), device=value.device if self.fused else "cpu")}
        self.state |= {name: torch.zeros_like(value, requires_grad=False) for name in self._kind.moments}

    @torch.no_grad()
    def step(self, value: Tensor, gradient: Tensor, learning_rate: float | Tensor) -> None:
        """Update `value` down the gradient, in place; the learning rate may be a tensor if it is CAPTURABLE."""
        state = ([self.state[name]] if name else [] for name in self._kind.arguments)
        self._kind.update([value], [gradient], *state, lr=learning_rate, **self._options)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Set the state.

        Raises:
            KeyError: if a tensor is missing.
        """
        for name in self.state:
            self.state[name] = state[name].to(self.state[name])
