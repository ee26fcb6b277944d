"""Number formats of the networks: float32, bfloat16 and float16.

Only the VQGAN's encoder and decoder and the perceptors compute in half precision, by `torch.autocast`: convolutions,
products and attention. Norms sum in float32: the encoder's by autocast on a GPU, clip's by its own LayerNorm, the
decoder's (`generator.models.layers`) by torch's kernels. Outside the networks everything is float32: codebook search,
crops, losses, latent, optimiser.

`auto` chooses bfloat16 on GPUs that multiply it and on CPUs with matrix units for it, float16 on GPUs whose tensor
cores support only that (compute capability 7.0 to 7.5, including the T4), float32 elsewhere. float16 ends at 65504:
`generator.optimisation.probing` tests it before use, and the gradient, which would vanish at the other end, is scaled
(see `Latent.update`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

import torch
from torch import nn

from generator.errors import InvalidRequest
from generator.messages import Message
from generator.provenance import PRECISIONS
from generator.runtime.processor import multiplies_bfloat16

_LOG = logging.getLogger(__name__)
_PRODUCTS = (nn.modules.conv._ConvNd, nn.Linear, nn.MultiheadAttention)
"""Modules whose bias autocast would convert together with the weight."""


class Precision(Enum):
    """Number format of the networks; the value is its name in recipes and settings."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"

    @property
    def dtype(self) -> torch.dtype:
        """The format as a torch dtype."""
        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[self.value]

    @property
    def loss_scale(self) -> float:
        """Factor of the loss before its gradient is taken; a power of two, so that scaling is exact.

        Only float16 needs one: with random weights of the real shapes up to 11 % of a gradient's elements vanished
        without a scale, and this one was enough.
        """
        return 4096.0 if self is Precision.FP16 else 1.0

    @contextmanager
    def on(self, device: torch.device) -> Iterator[None]:
        """Compute networks in this format; their results may have it too."""
        if self is Precision.FP32:
            yield
        else:
            with torch.autocast(device.type, dtype=self.dtype):
                yield


def choose_precision(name: str, device: torch.device) -> Precision:
    """Choose the format by name; `auto` is the best that the device supports.

    A CPU computes float16 hundreds of times slower: it takes float32 instead, with a warning in the log.

    Raises:
        InvalidRequest: for an unknown name.
    """
    if name not in PRECISIONS:
        text = "precision cannot be {name}; choose one of {known}."
        raise InvalidRequest(Message(text, name=repr(name[:20]), known=", ".join(PRECISIONS)), "precision")
    if name == Precision.FP16.value and device.type == "cpu":
        _LOG.warning("A CPU takes hundreds of times longer in fp16, so it computes in fp32.")
        return Precision.FP32
    if name != "auto":
        return Precision(name)
    if device.type == "cuda":
        return of_capability(*torch.cuda.get_device_capability(device))
    return Precision.BF16 if multiplies_bfloat16() else Precision.FP32


def of_capability(major: int, minor: int) -> Precision:
    """Best format of a GPU with this compute capability."""
    if major >= 8:
        return Precision.BF16
    return Precision.FP16 if (major, minor) >= (7, 0) else Precision.FP32


def store_in(module: nn.Module, precision: Precision) -> None:
    """Store the weights of a frozen network in a format, so that they are not converted in each step.

    Norms keep theirs, which have one dimension. Converting back to float32 restores the format, not the rounded-off
    digits.
    """
    for part in module.modules():
        multiplies = isinstance(part, _PRODUCTS)
        for name, parameter in part.named_parameters(recurse=False):
            if parameter.dim() > 1 or (multiplies and name.endswith("bias")):
                parameter.data = parameter.data.to(precision.dtype)
