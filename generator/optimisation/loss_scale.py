"""The loss scale of float16: it keeps small gradients from vanishing and detects overflow.

The scale is static and the detection delayed: checking each step's gradient before its use would make the host wait for
the device every time. An infinite or NaN element counts as zero in its step; every LOOK_EVERY_STEPS steps the host
checks for such elements and, if there were any, lowers the scale.
Source: Micikevicius et al., "Mixed Precision Training", arXiv 1710.03740; we differ in not skipping such steps.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from generator.runtime.precision import Precision

LOOK_EVERY_STEPS = 25
_FALL = 16.0


class LossScale:
    """Factor that the loss is multiplied by and the gradient divided by.

    Attributes:
        value: a power of two, at least 1; 1 means no scaling and no checks.
    """

    def __init__(self, precision: Precision, device: torch.device) -> None:
        """Start with the number format's scale."""
        self.value = precision.loss_scale
        self._spoilt = torch.zeros((), device=device)

    def unscale(self, gradient: Tensor) -> None:
        """Divide a gradient in place; elements that are not finite become zero and are recorded."""
        if self.value == 1:
            return
        gradient.div_(self.value)
        wrong = gradient.isfinite().logical_not_()
        gradient.masked_fill_(wrong, 0)
        self._spoilt += wrong.any()

    def look(self, step: int) -> bool:
        """Check for overflow after `step` steps if a check is due; on overflow, lower the scale and return True."""
        if self.value == 1 or step % LOOK_EVERY_STEPS or not bool(self._spoilt):
            return False
        self._spoilt.zero_()
        self.value = max(1.0, self.value / _FALL)
        return True

    def copy(self) -> LossScale:
        """Return an independent copy."""
        twin = copy.copy(self)
        twin._spoilt = self._spoilt.clone()
        return twin

    def load(self, other: LossScale) -> None:
        """Copy the content of another scale, in place."""
        self.value = other.value
        self._spoilt.copy_(other._spoilt)

    def state(self) -> tuple[float, int]:
        """State for `restore`; both numbers fit into JSON."""
        return self.value, int(self._spoilt)

    def restore(self, state: Sequence[object]) -> None:
        """Restore a state returned by `state`.

        Raises:
            ValueError: if it is anything else.
        """
        value, spoilt = state
        if not isinstance(value, float | int) or type(spoilt) is not int or not 1 <= value <= 2**16 or spoilt < 0:
            raise ValueError("it has no loss scale")
        self.value = float(value)
        self._spoilt.fill_(spoilt)
