"""The loss scale of float16: it keeps small gradients from vanishing, and notices when large ones go out of range.

Runs on the thread that dreams. The scale is static and the notice late: to look at each step's gradient before it is
used would make the host wait for the device each time. An element that is infinite or no number counts as zero in its
step, and every so many steps the host looks whether there were any; then the scale falls.
Source: Micikevicius et al., "Mixed Precision Training", arXiv 1710.03740; we differ in going on meanwhile.
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
    """What the loss is multiplied with, and the gradient divided by.

    Attributes:
        value: a power of two, at least 1; 1 means that nothing is scaled and nothing watched.
    """

    def __init__(self, precision: Precision, device: torch.device) -> None:
        """Begin with what suits the number format."""
        self.value = precision.loss_scale
        self._spoilt = torch.zeros((), device=device)

    def unscale(self, gradient: Tensor) -> None:
        """Divide a gradient in place; elements that are no finite numbers become zero and are noted."""
        if self.value == 1:
            return
        gradient.div_(self.value)
        wrong = gradient.isfinite().logical_not_()
        gradient.masked_fill_(wrong, 0)
        self._spoilt += wrong.any()

    def look(self, step: int) -> bool:
        """After `step` steps, see whether it is time to look and whether anything was noted; then the scale falls."""
        if self.value == 1 or step % LOOK_EVERY_STEPS or not bool(self._spoilt):
            return False
        self._spoilt.zero_()
        self.value = max(1.0, self.value / _FALL)
        return True

    def copy(self) -> LossScale:
        """A scale of its own with the same content."""
        twin = copy.copy(self)
        twin._spoilt = self._spoilt.clone()
        return twin

    def load(self, other: LossScale) -> None:
        """Take over the content of another, in place."""
        self.value = other.value
        self._spoilt.copy_(other._spoilt)

    def state(self) -> tuple[float, int]:
        """What `restore` takes; both numbers fit into JSON."""
        return self.value, int(self._spoilt)

    def restore(self, state: Sequence[object]) -> None:
        """Take over what `state` gave.

        Raises:
            ValueError: if it is something else.
        """
        value, spoilt = state
        if not isinstance(value, float | int) or type(spoilt) is not int or not 1 <= value <= 2**16 or spoilt < 0:
            raise ValueError("it has no loss scale")
        self.value = float(value)
        self._spoilt.fill_(spoilt)
