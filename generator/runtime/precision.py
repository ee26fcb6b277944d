"""In which numbers the networks compute: float32, or half of that. Runs on the thread that dreams.

Only the VQGAN's encoder and decoder and the perceptors are computed in half, by `torch.autocast`: convolutions,
products and attention. Norms add up in float32: the encoder's by autocast on a GPU, clip's by its own LayerNorm, the
decoder's (`generator.models.layers`) by torch's kernels. Outside of the networks everything is float32: the search in
the codebook, crops, losses, latent, optimiser.

Which format is chosen (`auto`): bfloat16 where the device multiplies it, float16 on GPUs that have tensor cores for
that alone (compute capability 7.0 to 7.5, the T4 among them), float32 elsewhere. float16 ends at 65504: `is_safe` tries
before it is used, and the gradient, which would vanish at the other end, is scaled (see `Latent.update`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

import torch
from torch import nn

from generator.errors import InvalidRequest
from generator.messages import Message
from generator.provenance import PRECISIONS
from generator.runtime.processor import multiplies_bfloat16


class Precision(Enum):
    """A number format of the networks; the value is its name in recipes and settings."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"

    @property
    def dtype(self) -> torch.dtype:
        """The format as torch names it."""
        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[self.value]

    @property
    def loss_scale(self) -> float:
        """What the loss is multiplied with before its gradient is taken; a power of two, so that it leaves no trace.

        Only float16 needs one: with random weights of the real shapes up to 11 % of a gradient's elements vanished
        without a scale, and this one was enough.
        """
        return 4096.0 if self is Precision.FP16 else 1.0

    @contextmanager
    def on(self, device: torch.device) -> Iterator[None]:
        """Compute networks in this format; what comes out of them may have it too."""
        if self is Precision.FP32:
            yield
        else:
            with torch.autocast(device.type, dtype=self.dtype):
                yield


def choose_precision(name: str, device: torch.device) -> Precision:
    """The format of that name; `auto` is the best that the device has.

    Raises:
        InvalidRequest: for another name.
    """
    if name not in PRECISIONS:
        text = "precision cannot be {name}; choose one of {known}."
        raise InvalidRequest(Message(text, name=repr(name[:20]), known=", ".join(PRECISIONS)), "precision")
    if name != "auto":
        return Precision(name)
    if device.type == "cuda":
        return of_capability(*torch.cuda.get_device_capability(device))
    return Precision.BF16 if multiplies_bfloat16() else Precision.FP32  # float16 is hundreds of times slower there


def of_capability(major: int, minor: int) -> Precision:
    """The best format of a GPU with this compute capability."""
    if major >= 8:
        return Precision.BF16
    return Precision.FP16 if (major, minor) >= (7, 0) else Precision.FP32


def store_in(module: nn.Module, precision: Precision) -> None:
    """Keep the weights of a frozen network in a format, so that they are not converted anew in each step.

    Those of norms, and biases, have one dimension and stay as they are. A way back to float32 restores the format, not
    the digits that were rounded off.
    """
    for parameter in module.parameters():
        if parameter.dim() > 1:
            parameter.data = parameter.data.to(precision.dtype)
