"""The latent that the dream improves: its optimiser, its moving average and where it began.

Runs on the thread that dreams.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from generator.optimisation.loss_scale import LossScale
from generator.runtime.device import check_products
from generator.settings import Settings

# Each optimiser with what it keeps of the latent's shape between two steps.
_OPTIMISERS: Mapping[str, tuple[Any, frozenset[str]]] = {
    "adam": (torch.optim.Adam, frozenset({"exp_avg", "exp_avg_sq"})),
    "adamw": (torch.optim.AdamW, frozenset({"exp_avg", "exp_avg_sq"})),
    "radam": (torch.optim.RAdam, frozenset({"exp_avg", "exp_avg_sq"})),
    "adagrad": (torch.optim.Adagrad, frozenset({"sum"})),
    "rmsprop": (torch.optim.RMSprop, frozenset({"square_avg"})),
}
_FUSED = frozenset({"adam", "adamw"})
"""Those that torch can run on a GPU as one operation."""
CAPTURABLE = _FUSED
"""Those whose update can be part of a CUDA graph, with a learning rate that is a tensor."""
_OPTIMISER_PREFIX = "optimiser."


class Latent:
    """A latent `[1, C, h, w] float32` under optimisation.

    Attributes:
        value: the latent itself, a leaf that gathers gradients.
        anchor: the latent that the dream began with.
    """

    def __init__(
        self, start: Tensor, anchor: Tensor, codebook: Tensor, settings: Settings, fused: bool | None = None
    ) -> None:
        """Begin at `start`; the range of each channel is that of `codebook [n, C]`.

        `fused`: one operation an update, where torch has such an optimiser; by default on a GPU.
        """
        self.value = start.detach().clone(memory_format=torch.contiguous_format).requires_grad_(True)
        self.anchor = anchor.detach()
        self._low = codebook.amin(dim=0)[:, None, None]
        self._high = codebook.amax(dim=0)[:, None, None]
        make, self._moments = _OPTIMISERS[settings.optimiser]
        self._fused = settings.optimiser in _FUSED and (start.is_cuda if fused is None else fused)
        options = {"fused": True} if self._fused else {}
        self._optimiser = make([self.value], lr=settings.learning_rate, **options)
        self._codebook, self._settings, self._decay = codebook, settings, settings.ema
        self._sum = torch.zeros_like(self.value)
        self._missing = 1.0

    @property
    def average(self) -> Tensor:
        """What the picture is decoded from: the moving average, or the latent where that is off or has just begun.

        Source: `EMATensor` of K. Crowson's notebooks: the weights of the latents so far are brought to a sum of one, so
        that the start, which is noise, has no part in it.
        """
        if self._decay == 0 or self._missing == 1:
            return self.value.detach()
        return self._sum / (1 - self._missing)

    def update(self, loss: Tensor, learning_rate: float | Tensor, scale: LossScale | None = None) -> None:
        """One step down the gradient of `loss`, then back into the range of the codebook, channel by channel.

        Where there is a scale, the gradient is taken of the loss times that, and divided by it. The learning rate may
        be a scalar tensor if the optimiser is one of CAPTURABLE. Call `count_update` after each update.

        Raises:
            OutOfMemory: if the gradient was computed otherwise than it would be with more memory; nothing has changed.
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
            if self._decay:
                self._sum.lerp_(self.value, 1 - self._decay)

    def count_update(self) -> None:
        """Count an update for the moving average: the part of it that a replay does not repeat."""
        if self._decay:
            self._missing *= self._decay

    def prepare_capture(self) -> None:
        """Have the optimiser keep all of its state on the GPU, so that its updates can be captured."""
        if self.value.is_cuda:
            for group in self._optimiser.param_groups:
                group["capturable"] = True
            self._optimiser._warned_capturable_if_run_uncaptured = True  # it warms up before it is captured

    def copy(self) -> Latent:
        """A latent of its own with the same content."""
        twin = Latent(self.value, self.anchor.clone(), self._codebook, self._settings, self._fused)
        twin.load(self)
        return twin

    @torch.no_grad()
    def load(self, other: Latent) -> None:
        """Take over the content of a latent of the same shape and optimiser, in place."""
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
        """All that a copy needs to go on in the same way, by name."""
        tensors = {"latent": self.value.detach(), "anchor": self.anchor, "average": self.average}
        tensors |= {"average.sum": self._sum, "average.missing": torch.tensor(self._missing, dtype=torch.float64)}
        state = self._optimiser.state[self.value]
        return tensors | {_OPTIMISER_PREFIX + key: value for key, value in state.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` gave.

        Raises:
            KeyError: if a tensor is missing.
            ValueError: if one does not fit.
        """
        value = _fitting(tensors, "latent", self.value)
        total = _fitting(tensors, "average.sum", self._sum)
        self.anchor = _fitting(tensors, "anchor", self.anchor)
        self._missing = float(tensors["average.missing"])
        with torch.no_grad():
            self.value.copy_(value)
            self._sum.copy_(total)
        if any(name.startswith(_OPTIMISER_PREFIX) for name in tensors):
            state = {key: _fitting(tensors, _OPTIMISER_PREFIX + key, self.value) for key in self._moments}
            step = tensors[_OPTIMISER_PREFIX + "step"].reshape(()).float()
            # Torch counts on the processor, but for fused optimisers.
            state["step"] = step.to(self.value.device if self._fused else "cpu")
            self._optimiser.state[self.value] = state


def _fitting(tensors: Mapping[str, Tensor], name: str, like: Tensor) -> Tensor:
    tensor = tensors[name]
    if not tensor.isfinite().all():
        raise ValueError(f"{name} has values that are no numbers")
    if tensor.shape != like.shape or tensor.dtype != like.dtype:
        raise ValueError(f"{name} is {tuple(tensor.shape)} {tensor.dtype}, not {tuple(like.shape)} {like.dtype}")
    return tensor.to(like.device)
