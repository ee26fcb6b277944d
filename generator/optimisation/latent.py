"""The latent under optimisation: its optimiser, moving average and anchor."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from generator.optimisation.loss_scale import LossScale
from generator.optimisation.optimiser import Optimiser
from generator.runtime.device import check_products
from generator.settings import Settings

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
        self._optimiser = Optimiser(settings.optimiser, self.value, fused)
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
        self.value.grad = None
        (loss if scale is None or scale.value == 1 else loss * scale.value).backward()  # type: ignore[no-untyped-call]
        check_products()
        gradient: Tensor | None = self.value.grad
        if scale is not None and gradient is not None:
            scale.unscale(gradient)
        if gradient is not None:
            self._optimiser.step(self.value, gradient, learning_rate)
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

    def copy(self) -> Latent:
        """Return an independent copy."""
        twin = Latent(self.value, self.anchor.clone(), self._codebook, self._settings, self._optimiser.fused)
        twin.load(self)
        return twin

    @torch.no_grad()
    def load(self, other: Latent) -> None:
        """Copy the content of a latent of the same shape and optimiser, in place."""
        self.value.copy_(other.value)
        self.anchor.copy_(other.anchor)
        self._sum.copy_(other._sum)
        self._missing = other._missing
        for name, tensor in other._optimiser.state.items():
            self._optimiser.state[name].copy_(tensor)

    def tensors(self) -> dict[str, Tensor]:
        """All tensors that a copy needs to continue identically, by name."""
        tensors = {"latent": self.value.detach(), "anchor": self.anchor, "average": self.average}
        tensors |= {"average.sum": self._sum, "average.missing": torch.tensor(self._missing, dtype=torch.float64)}
        return tensors | {_OPTIMISER_PREFIX + key: value for key, value in self._optimiser.state.items()}

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
            moments = self._optimiser.state.keys() - {"step"}
            state = {key: _tensor_like(tensors, _OPTIMISER_PREFIX + key, self.value) for key in moments}
            self._optimiser.restore(state | {"step": tensors[_OPTIMISER_PREFIX + "step"].reshape(())})


def _tensor_like(tensors: Mapping[str, Tensor], name: str, like: Tensor) -> Tensor:
    tensor = tensors[name]
    if not tensor.isfinite().all():
        raise ValueError(f"{name} has values that are no numbers")
    if tensor.shape != like.shape or tensor.dtype != like.dtype:
        raise ValueError(f"{name} is {tuple(tensor.shape)} {tensor.dtype}, not {tuple(like.shape)} {like.dtype}")
    return tensor.to(like.device)
