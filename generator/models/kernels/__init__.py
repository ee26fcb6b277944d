"""GPU kernels in Triton, for operations that torch is slow at. Triton is imported only where there is a GPU."""

from __future__ import annotations

import os
from types import ModuleType

import torch


def norm_kernels(device: torch.device) -> ModuleType | None:
    """The module `group_norm_silu`, if its kernels work on this device; tried once for each.

    With REVERIE_KERNELS=off in the environment there are none.
    """
    if device.type != "cuda" or os.environ.get("REVERIE_KERNELS") == "off":
        return None
    from generator.models.kernels import group_norm_silu

    return group_norm_silu if group_norm_silu.available(device) else None
