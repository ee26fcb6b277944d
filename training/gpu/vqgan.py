"""The VQGAN of factor 4 at 256 px: encoder, codebook and decoder, with whole pictures in large batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor

from generator.loading import STARTER, load_vqgan, read_yaml
from generator.models.vqgan import VQGAN
from training import run
from training.carry import START, VQGAN_NAME, BrokenFile
from training.compositor import Compositor
from training.gpu.batch_compositor import BatchCompositor
from training.gpu.part import precision, update
from training.halve import reconstruction_loss
from training.vqgan import Codes, start_codebook, start_linear

SIDE_PX = 256
"""Side of the pictures."""
PEAK, LONGEST, COMMITMENT = 6e-4, 1.0, 0.25
FREE, FROZEN = 0.12, 0.6
"""Shares of the part: a VQGAN from nothing has no codes before the first; only its decoder learns after the second."""
BATCH = 48


def empty() -> VQGAN:
    """A VQGAN of factor 4 with random weights, as a linear network."""
    model = VQGAN(read_yaml(STARTER / "vqgan.yaml"))
    start_linear(model)
    return model


def beginning(work: Path) -> VQGAN:
    """The folder's VQGAN, else the carried one, else the shipped one.

    Raises:
        BrokenFile: if it has other layers than the shipped one.
    """
    model, path = empty(), work / f"{VQGAN_NAME}.pt"
    if path.exists():
        weights = torch.load(path, map_location="cpu", weights_only=True)["average"]
    elif (work / START).exists():
        weights = safetensors.torch.load_file(work / START)
    else:
        shipped = load_vqgan(STARTER / "vqgan.yaml", STARTER / "vqgan.safetensors", torch.device("cpu"))
        weights = shipped.state_dict()
    try:
        model.load_state_dict({name: weight.float() for name, weight in weights.items()})
    except RuntimeError as exc:
        raise BrokenFile(
            "The VQGAN to begin with has other layers than generator/starter/vqgan.yaml says: begin with random "
            "weights by --anew, or pack a file without it."
        ) from exc
    return model


def trained_vqgan(work: Path, device: str) -> VQGAN:
    """The VQGAN as trained so far, frozen."""
    model = beginning(work)
    model.eval().requires_grad_(False).to(device).compute_in(precision(device))
    return model


class Phase:
    """How far the codebook is: 0 before there are codes, 1 while they learn, 2 when they are final."""

    def __init__(self, value: int) -> None:
        self.value = value

    def state_dict(self) -> dict[str, int]:
        return {"value": self.value}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.value = state["value"]


class VqganPart:
    """Training of the VQGAN; `anew` begins with random weights."""

    file, peak = VQGAN_NAME, PEAK

    def __init__(self, work: Path, batches: BatchCompositor, device: str, seed: int, *, anew: bool = False) -> None:
        self.batch = BATCH
        self._compositor = Compositor(work, SIDE_PX, seed=seed, held_out=False)
        self._batches, self._device = batches, device
        self._model = (empty() if anew else beginning(work)).train().requires_grad_(True).to(device)
        self._model.precision = precision(device)
        self._model.codebook.requires_grad_(False)
        self._codes, self._phase = Codes(self._model.codebook), Phase(0 if anew else 1)
        self._weights = [weight for weight in self._model.parameters() if weight.requires_grad]
        self.optimiser = torch.optim.AdamW(self._weights, lr=PEAK, betas=(0.9, 0.99), weight_decay=1e-4)
        self._average = run.Average(self._model, 0.99)
        self.state = {
            "model": self._model, "average": self._average, "optimiser": self.optimiser,
            "codes": self._codes, "phase": self._phase,
        }  # fmt: skip

    def step(self, share: float) -> dict[str, Tensor]:
        """One step with whole pictures: GroupNorm's statistics are theirs."""
        self._enter(share)
        images, model = self._pictures(), self._model
        with torch.set_grad_enabled(self._phase.value < 2):
            latent = model.encode(images)
        if self._phase.value == 0:
            # a little noise keeps the space smooth enough to be quantised
            shown, beside = latent + 0.1 * torch.randn_like(latent), latent.square().mean() * 0.02
        else:
            quantised, codes = model.quantise(latent)
            shown, beside = latent + (quantised - latent).detach(), COMMITMENT * F.mse_loss(latent, quantised)
            if self._phase.value == 1:
                self._codes.update(latent.detach(), codes)
        output = model.decode(shown)
        loss = reconstruction_loss(output, images) + beside
        update(self.optimiser, self._weights, loss, LONGEST)
        self._average.update()
        error = F.mse_loss(output.detach().clamp(0, 1), images)
        used = (self._codes.counts > 0.02).float().mean()
        return {"loss": loss.detach(), "psnr": -10 * error.log10(), "codes used": used}

    def _pictures(self) -> Tensor:
        with torch.no_grad():
            return self._batches.paint([self._compositor.plan() for _ in range(self.batch)], SIDE_PX)

    def _enter(self, share: float) -> None:
        """Make the codebook when its time has come, and make encoder and codebook final."""
        if self._phase.value == 0 and share >= FREE:
            start_codebook(self._model, self._codes, self._endless(), self._device)
            self._average.load_state_dict(self._model.state_dict())
            self._phase.value = 1
        if self._phase.value == 1 and share >= FROZEN:
            # the averaged encoder and codebook are better, and final from now on
            done = ("encoder.", "quant_conv.", "quantize.")
            kept = {name: value for name, value in self._average.shadow.items() if name.startswith(done)}
            self._model.load_state_dict(kept, strict=False)
            self._phase.value = 2
        if self._phase.value == 2:
            self._model.encoder.requires_grad_(False)
            self._model.quant_conv.requires_grad_(False)

    def _endless(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            images = self._pictures()
            yield images, images
