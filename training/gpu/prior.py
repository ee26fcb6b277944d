"""The prior, with sketches and known codes that have holes: one network for first pictures, masks and children."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from generator.models.prior import PriorNetwork
from training import run
from training.compositor import Compositor, Plan
from training.gpu.batch_compositor import BatchCompositor
from training.gpu.part import quickly, update
from training.gpu.perceptor import trained_perceptor
from training.gpu.vqgan import trained_vqgan
from training.perceptor import encode_text
from training.prior import NETWORK, NO_SKETCH, PEAK, holes, prior_loss, start_like_codebook

BATCH, LONGEST = 256, 1.0
HOLED = 0.3
"""Share of the sketches of which a random part is left out."""
FILLED, AROUND = 0.5, 0.6
"""Share of the pictures of which codes are known, and of those the share in which all codes around the things are."""
LEFT_OUT = 0.5
"""Share of the known codes' grids of which a random part is left out."""


class PriorPart:
    """Training of the prior with the VQGAN and the text encoder of the earlier parts."""

    file, peak = "prior", PEAK

    def __init__(self, work: Path, batches: BatchCompositor, device: str, seed: int) -> None:
        self.batch, self._device, self._batches = BATCH, device, batches
        self._vqgan = trained_vqgan(work, device)
        self._perceptor, self._text, _ = trained_perceptor(work, device)
        self._network = PriorNetwork(**NETWORK, dropout=0.05)
        start_like_codebook(self._network, self._vqgan.codebook.cpu())
        self._network.to(device)
        self._grid = self._network.grid
        self._compositor = Compositor(work, self._grid * self._vqgan.factor, seed=seed)
        self._weights = list(self._network.parameters())
        self.optimiser = torch.optim.AdamW(self._weights, lr=PEAK, betas=(0.9, 0.98), weight_decay=0.01)
        self._average = run.Average(self._network, 0.995)
        self.state = {"network": self._network, "average": self._average, "optimiser": self.optimiser}

    def step(self, share: float) -> dict[str, Tensor]:
        """One step."""
        plans = [self._compositor.plan() for _ in range(self.batch)]
        captions = [self._compositor.caption(plan.concepts, plan.count, plan.colour, plan.scene) for plan in plans]
        with quickly(self._device):
            with torch.no_grad():
                side_px = self._grid * self._vqgan.factor
                target, sketch = (
                    self._codes(paint(plans, side_px)) for paint in (self._batches.paint, self._batches.sketches)
                )
                features = encode_text(self._perceptor, self._text(captions).to(self._device)).float()
            sketch, known = self._holed(sketch), self._known(plans, side_px)
            loss, right = prior_loss(self._network, F.normalize(features, dim=-1), target, sketch, known)
        update(self.optimiser, self._weights, loss, LONGEST)
        self._average.update()
        return {"loss": loss.detach(), "right": right}

    def _codes(self, pictures: Tensor) -> Tensor:
        with torch.autocast(torch.device(self._device).type, enabled=False):
            return self._vqgan.nearest(self._vqgan.encode(pictures)).flatten(1)

    def _holed(self, sketch: Tensor) -> Tensor:
        """Sketches of which some are missing, and some have holes."""
        chance = torch.rand(len(sketch), 1, device=self._device)
        open_ = holes(len(sketch), self._grid, self._device) & (chance < NO_SKETCH + HOLED)
        return sketch.masked_fill(open_ | (chance < NO_SKETCH), self._network.n_codes)

    def _known(self, plans: list[Plan], side_px: int) -> Tensor:
        """Codes that `Prior.fill` would be given, `[N, grid * grid] bool`: none, those around things, or any part."""
        count, grid = len(plans), self._grid
        covered = self._batches.covered(plans, side_px)
        # a thing's codes and their neighbours, as in generator.optimisation.starts.composer
        things = F.max_pool2d(F.adaptive_max_pool2d(covered, grid), 3, 1, 1).flatten(1) > 0.05
        around = torch.rand(count, 1, device=self._device) < AROUND
        kept = torch.where(around, ~things, ~holes(count, grid, self._device))
        thinned = holes(count, grid, self._device) & (torch.rand(count, 1, device=self._device) < LEFT_OUT)
        return kept & ~thinned & (torch.rand(count, 1, device=self._device) < FILLED)
