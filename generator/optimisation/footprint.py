"""What one step of these models takes in memory, measured where they are and as they compute.

Autograd is asked which tensors it keeps for the way back, at a few tiny sizes, from which every other size follows:
what a decoder keeps grows with the pixels, in its attention with their square, and what perceptors keep with the
cutouts. Runs on the thread that dreams.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from generator.models.clip import Perceptor
from generator.models.model_set import Models
from generator.models.vqgan import VQGAN
from generator.optimisation.guidance import ClipGuidance
from generator.optimisation.memory import MemoryModel
from generator.optimisation.targets import Targets
from generator.settings import Settings

_PASSING = 5
"""Tensors of the largest size that come and go beside those that are kept: gradients, and norms computed again."""
_GRIDS = ((1, 2), (2, 2), (2, 4))
"""Heights and widths, in codes, of the pictures that are decoded for the measurement."""
_COUNTS = (1, 2)
_GPU_WORKSPACE_BYTES = 256 * 2**20
"""What cuDNN and cuBLAS may take for themselves."""


_MEASURED: WeakKeyDictionary[Models, MemoryModel] = WeakKeyDictionary()


class SavedTensors(NamedTuple):
    """Bytes that autograd keeps in all, and of the largest tensor among them."""

    total: int
    largest: int

    @property
    def peak(self) -> int:
        """An estimate of the most that is in use at once."""
        return self.total + _PASSING * self.largest


def memory_model_of(models: Models) -> MemoryModel:
    """Memory that one step of these models takes; measured at the first call."""
    if models not in _MEASURED:
        _MEASURED[models] = measure(models.vqgan, models.perceptors, models.device)
    return _MEASURED[models]


def measure(vqgan: VQGAN, perceptors: Sequence[Perceptor], device: torch.device) -> MemoryModel:
    """The footprint of one step. It takes about as long as one small step."""
    modules: list[nn.Module] = [vqgan, *(perceptor.model for perceptor in perceptors)]
    own = {parameter.untyped_storage().data_ptr() for module in modules for parameter in module.parameters()}

    def decoded(grid: tuple[int, int]) -> int:
        latent = vqgan.lookup(torch.zeros((1, *grid), dtype=torch.long, device=device)).requires_grad_(True)
        return kept_by(lambda: vqgan.decode(latent), own).peak

    def judged(count: int) -> int:
        image = torch.zeros(1, 3, 2 * vqgan.factor, 2 * vqgan.factor, device=device, requires_grad=True)
        judges = ClipGuidance(perceptors, Settings(cutouts=count))
        chances = judges.draw(0, image, torch.Generator(device).manual_seed(0))
        return kept_by(lambda: judges.evaluate(image, chances, _targets(perceptors, device)).loss, own).peak

    fixed, per_pixel, per_square = _parabola(
        [height * width * vqgan.factor**2 for height, width in _GRIDS], [decoded(grid) for grid in _GRIDS]
    )
    few, many = (judged(count) for count in _COUNTS)
    per_cutout = (many - few) / (_COUNTS[1] - _COUNTS[0])
    fixed += max(0.0, few - per_cutout * _COUNTS[0]) + (_GPU_WORKSPACE_BYTES if device.type == "cuda" else 0)
    return MemoryModel(fixed, per_pixel, per_square, per_cutout)


def kept_by(function: Callable[[], Tensor], but: set[int]) -> SavedTensors:
    """What autograd keeps for the gradient of a function, without the storages at the addresses `but`."""
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in but:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        result = function()  # while it lives, no address is used twice
    del result
    return SavedTensors(sum(sizes.values()), max(sizes.values(), default=0))


def _targets(perceptors: Sequence[Perceptor], device: torch.device) -> Targets:
    """One prompt that has no meaning."""
    one = torch.ones(1, device=device)
    vectors = tuple(torch.eye(1, perceptor.dimension, device=device) for perceptor in perceptors)
    return Targets(("",), (1.0,), one, one * -math.inf, vectors)


def _parabola(places: Sequence[int], values: Sequence[int]) -> tuple[float, float, float]:
    """The coefficients, none below zero, of the parabola through three points."""
    (x, y, z), (u, v, w) = places, values
    first, second = (v - u) / (y - x), (w - v) / (z - y)
    square = max(0.0, (second - first) / (z - x))
    slope = max(0.0, first - square * (x + y))
    return max(0.0, u - slope * x - square * x * x), slope, square
