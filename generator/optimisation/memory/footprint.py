"""Memory footprint of one step, measured for the loaded models on their device and in their precision.

Autograd reports which tensors it keeps for the backward pass at a few tiny sizes, from which every other size follows:
a decoder's tensors grow with the pixels, in its attention with their square, and the perceptors' with the cutouts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from generator.models.clip import Perceptor
from generator.models.kernels import norm_kernels
from generator.models.model_set import Models
from generator.models.vqgan import VQGAN
from generator.optimisation.guidance import ClipGuidance
from generator.optimisation.memory.model import MemoryModel
from generator.optimisation.targets import Targets
from generator.settings import Settings

_PASSING = 5
"""Tensors of the largest size that exist briefly in addition to the kept ones: gradients, and norms computed again."""
_GRIDS = ((1, 2), (2, 2), (2, 4))
"""Heights and widths, in codes, of the pictures decoded for the measurement."""
_COUNTS = (1, 2)
_GPU_WORKSPACE_BYTES = 256 * 2**20
"""Memory that cuDNN and cuBLAS may take for themselves."""


_MEASURED: WeakKeyDictionary[Models, MemoryModel] = WeakKeyDictionary()


class SavedTensors(NamedTuple):
    """Bytes that autograd keeps in total, and the size of the largest tensor among them."""

    total: int
    largest: int

    @property
    def peak(self) -> int:
        """Estimated peak use."""
        return self.total + _PASSING * self.largest


def memory_model_of(models: Models) -> MemoryModel:
    """Memory that one step of these models takes; measured on the first call."""
    if models not in _MEASURED:
        _MEASURED[models] = measure(models.vqgan, models.perceptors, models.device)
    return _MEASURED[models]


def measure(vqgan: VQGAN, perceptors: Sequence[Perceptor], device: torch.device) -> MemoryModel:
    """Measure the footprint of one step, in about the time of one small step."""
    norm_kernels(device)  # its trial keeps tensors too, which are not part of a step
    modules: list[nn.Module] = [vqgan, *(perceptor.model for perceptor in perceptors)]
    own = {parameter.untyped_storage().data_ptr() for module in modules for parameter in module.parameters()}

    def decoded(grid: tuple[int, int]) -> int:
        latent = vqgan.lookup(torch.zeros((1, *grid), dtype=torch.long, device=device)).requires_grad_(True)
        return saved_by(lambda: vqgan.decode(latent), own).peak

    targets = Targets.of_one([torch.eye(1, perceptor.dimension, device=device) for perceptor in perceptors])

    def saved_for(count: int) -> int:
        image = torch.zeros(1, 3, 2 * vqgan.factor, 2 * vqgan.factor, device=device, requires_grad=True)
        guidance = ClipGuidance(perceptors, Settings(cutouts=count))
        cutouts = guidance.draw(0, image, torch.Generator(device).manual_seed(0))
        return saved_by(lambda: guidance.evaluate(image, cutouts, targets).loss, own).peak

    fixed, per_pixel, per_square = _parabola(
        [height * width * vqgan.factor**2 for height, width in _GRIDS], [decoded(grid) for grid in _GRIDS]
    )
    few, many = (saved_for(count) for count in _COUNTS)
    per_cutout = (many - few) / (_COUNTS[1] - _COUNTS[0])
    fixed += max(0.0, few - per_cutout * _COUNTS[0]) + (_GPU_WORKSPACE_BYTES if device.type == "cuda" else 0)
    return MemoryModel(fixed, per_pixel, per_square, per_cutout)


def saved_by(function: Callable[[], Tensor], but: set[int]) -> SavedTensors:
    """Measure what autograd keeps for a function's gradient, without the storages at the addresses in `but`."""
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in but:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        result = function()  # keep it alive, so that no address is used twice
    del result
    return SavedTensors(sum(sizes.values()), max(sizes.values(), default=0))


def _parabola(places: Sequence[int], values: Sequence[int]) -> tuple[float, float, float]:
    """Coefficients, none below zero, of the parabola through three points."""
    (x, y, z), (u, v, w) = places, values
    first, second = (v - u) / (y - x), (w - v) / (z - y)
    square = max(0.0, (second - first) / (z - x))
    slope = max(0.0, first - square * (x + y))
    return max(0.0, u - slope * x - square * x * x), slope, square
