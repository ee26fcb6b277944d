"""The latent under optimisation: its optimiser, moving average and anchor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from generator.optimisation.loss_scale import LossScale
from generator.runtime.device import check_products
from generator.settings import Settings

# Each optimiser, with the state it keeps in the latent's shape between steps.
_OPTIMISERS: Mapping[str, tuple[Any, frozenset[str]]] = {
    "adam": (torch.optim.Adam, frozenset({"exp_avg", "exp_avg_sq"})),
    "adamw": (torch.optim.AdamW, frozenset({"exp_avg", "exp_avg_sq"})),
    "radam": (torch.optim.RAdam, frozenset({"exp_avg", "exp_avg_sq"})),
    "adagrad": (torch.optim.Adagrad, frozenset({"sum"})),
    "rmsprop": (torch.optim.RMSprop, frozenset({"square_avg"})),
}
_FUSED = frozenset({"adam", "adamw"})
"""Optimisers that torch can run on a GPU as one operation."""
CAPTURABLE = _FUSED
"""Optimisers whose update can be part of a CUDA graph, with a learning rate that is a tensor."""
_OPTIMISER_PREFIX = "optimiser."


class Latent:
    """A latent `[1, C, h, w] float32` under optimisation.

    Attributes:
        value: the latent itself, a leaf that accumulates gradients.
        anchor: the latent that the dream started with.
    """

    def __init__(
        self, start: Tensor, anchor: Tensor, codebook: Tensor, settings: Settings, fused: bool | None = None
    ) -> None:
        """Start at `start`; each channel's range is that of `codebook [n, C]`.

        `fused`: update in one operation, where torch has such an optimiser; by default on a GPU.
        """
        self.value = start.detach().clone(memory_format=torch.contiguous_format).requires_grad_(True)
        self.anchor = anchor.detach()
        self._low = codebook.amin(dim=0)[:, None, None]
        self._high = codebook.amax(dim=0)[:, None, None]
        make, self._moments = _OPTIMISERS[settings.optimiser]
        self._fused = settings.optimiser in _FUSED and (start.is_cuda if fused is None else fused)
        options = {"fused": True} if self._fused else {}
        self._optimiser = make([self.value], lr=settings.learning_rate, **options)
        if not start.is_cuda:
            # Before each step torch asks the GPU if it captures, even for a step on the CPU; a failed GPU fails then.
            self._optimiser._cuda_graph_capture_health_check = lambda: None
        self._codebook, self._settings, self._decay = codebook, settings, settings.ema
        self._sum = torch.zeros_like(self.value)
        self._missing = 1.0

    @property
    def average(self) -> Tensor:
        """Latent that the picture is decoded from: the moving average, or `value` if that is off or has just begun.

        Source: `EMATensor` of K. Crowson's notebooks: the weights of the latents so far are normalised to a sum of one,
        so that the start, which is noise, does not contribute.
        """
        if self._decay == 0 or self._missing == 1:
            return self.value.detach()
        return self._sum / (1 - self._missing)

    def update(
        self,
        loss: Tensor,
        learning_rate: float | Tensor,
        scale: LossScale | None = None,
        free: Tensor | None = None,
    ) -> None:
        """Step down the gradient of `loss`, then clamp each channel to the codebook's range.

        With a scale, the gradient is that of the scaled loss, divided by the scale. The learning rate may be a scalar
        tensor if the optimiser is in CAPTURABLE. `free`, `[1, 1, h, w]`, is 0 where the latent stays at its anchor,
        else 1. Call `count_update` after each update.

        Raises:
            OutOfMemory: if the gradient was not computed as it would be with more memory; nothing has changed.
        """
        self._optimiser.zero_grad()
        (loss if scale is None or scale.value == 1 else loss * scale.value).backward()  # type: ignore[no-untyped-call]
        check_products()
        gradient: Tensor | None = self.value.grad
        if scale is not None and gradient is not None:
            scale.unscale(gradient)
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate
        self._optimiser.step()
        with torch.no_grad():
            self.value.clamp_(self._low, self._high)
            if free is not None:
                self.value.copy_(self.anchor.lerp(self.value, free))
            if self._decay:
                self._sum.lerp_(self.value, 1 - self._decay)

    def count_update(self) -> None:
        """Count an update for the moving average: the part that a graph replay does not repeat."""
        if self._decay:
            self._missing *= self._decay

    def prepare_capture(self) -> None:
        """Make the optimiser keep all its state on the GPU, so that its updates can be captured."""
        if self.value.is_cuda:
            for group in self._optimiser.param_groups:
                group["capturable"] = True
            self._optimiser._warned_capturable_if_run_uncaptured = True  # it warms up before capture

    def copy(self) -> Latent:
        """Return an independent copy."""
        twin = Latent(self.value, self.anchor.clone(), self._codebook, self._settings, self._fused)
        twin.load(self)
        return twin

    @torch.no_grad()
    def load(self, other: Latent) -> None:
        """Copy the content of a latent of the same shape and optimiser, in place."""
        self.value.copy_(other.value)
        self.anchor.copy_(other.anchor)
        self._sum.copy_(other._sum)
        self._missing = other._missing
        ours, theirs = self._optimiser.state[self.value], other._optimiser.state[other.value]
        for name, tensor in theirs.items():
            if name in ours:
                ours[name].copy_(tensor)
            else:
                ours[name] = tensor.clone()
        for name in ours.keys() - theirs.keys():  # the other has made no step yet
            ours[name].zero_()

    def tensors(self) -> dict[str, Tensor]:
        """All tensors that a copy needs to continue identically, by name."""
        tensors = {"latent": self.value.detach(), "anchor": self.anchor, "average": self.average}
        tensors |= {"average.sum": self._sum, "average.missing": torch.tensor(self._missing, dtype=torch.float64)}
        state = self._optimiser.state[self.value]
        return tensors | {_OPTIMISER_PREFIX + key: value for key, value in state.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore the tensors returned by `tensors`.

        Raises:
            KeyError: if a tensor is missing.
            ValueError: if one does not fit.
        """
        value = _tensor_like(tensors, "latent", self.value)
        total = _tensor_like(tensors, "average.sum", self._sum)
        self.anchor = _tensor_like(tensors, "anchor", self.anchor)
        self._missing = float(tensors["average.missing"])
        with torch.no_grad():
            self.value.copy_(value)
            self._sum.copy_(total)
        if any(name.startswith(_OPTIMISER_PREFIX) for name in tensors):
            state = {key: _tensor_like(tensors, _OPTIMISER_PREFIX + key, self.value) for key in self._moments}
            step = tensors[_OPTIMISER_PREFIX + "step"].reshape(()).float()
            # Torch keeps the step count on the CPU, except for fused optimisers.
            state["step"] = step.to(self.value.device if self._fused else "cpu")
            self._optimiser.state[self.value] = state


def _tensor_like(tensors: Mapping[str, Tensor], name: str, like: Tensor) -> Tensor:
    tensor = tensors[name]
    if not tensor.isfinite().all():
        raise ValueError(f"{name} has values that are no numbers")
    if tensor.shape != like.shape or tensor.dtype != like.dtype:
        raise ValueError(f"{name} is {tuple(tensor.shape)} {tensor.dtype}, not {tuple(like.shape)} {like.dtype}")
    return tensor.to(like.device)
