"""The perceptor: first from captioned pictures, then against its own mistakes.

The second part continues `training.perceptor --robust`: beside adversarial steps it makes *products* as a dream does,
by moving a VQGAN's latent until the perceptor finds a caption in it that nothing shows. They count as pictures without
content.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from generator.models.clip import CLIP
from generator.models.vqgan import VQGAN
from training import run
from training.compositor import Compositor, Plan
from training.dataset import Batch, Captioned, augment
from training.gpu.batch_compositor import BatchCompositor
from training.gpu.part import NotReady, quickly, update
from training.gpu.vqgan import trained_vqgan
from training.perceptor import (
    CLIPPED,
    PEAK,
    RESOLUTION,
    ROBUST_PEAK,
    ROBUST_SMALLEST,
    SHAPE,
    SMALLEST,
    Heads,
    Text,
    captioned_loss,
    encode_image,
    encode_text,
    mush,
    robust_loss,
    vocabulary,
)

COMPOSED_PX, BATCH, ROBUST_BATCH = 128, 1024, 512
PRODUCTS, MADE_EVERY, MADE_AT_ONCE = 2048, 8, 64
"""Products that are kept, and how often how many of them are made anew."""
MOVES, MOVE_LENGTH = 8, 0.15
"""Steps of a product's latent, and their root mean square in its numbers."""


class Pictures(Captioned):
    """Captioned pictures, composed on the device."""

    def __init__(self, compositor: Compositor, batches: BatchCompositor) -> None:
        super().__init__(compositor)
        self._batches = batches

    @torch.no_grad()
    def batch(self, plans: Sequence[Plan], side_px: int, smallest: float) -> Batch:
        """Pictures of plans, cropped and rotated as `training.dataset` does."""
        pictures = augment(self._batches.paint(plans, COMPOSED_PX), side_px, smallest)
        return self.labelled(pictures, [(plan.concepts, plan.count, plan.colour, plan.scene) for plan in plans])


def products(model: CLIP, vqgan: VQGAN, pictures: Tensor, words: Tensor) -> Tensor:
    """Pictures that the perceptor finds captions in though they do not show them.

    Half begin with other pictures, half with random codes, as dreams from noise do.

    Args:
        model: in evaluation mode, as in a dream.
        vqgan: frozen.
        pictures: `[N, 3, S, S] in 0..1` that do not show the captions.
        words: text features of the captions, `[N, D]`.
    """
    with torch.no_grad():
        latent = vqgan.encode(pictures)
        codes = torch.randint(len(vqgan.codebook), latent[:, 0].shape, device=latent.device)
        latent[::2] = vqgan.lookup(codes)[::2]
    for _ in range(MOVES):
        latent.requires_grad_(True)
        quantised, _ = vqgan.quantise(latent)
        images = vqgan.decode(latent + (quantised - latent).detach()).clamp(0, 1)
        with quickly(str(images.device)):
            seen = encode_image(model, images)
        (gradient,) = torch.autograd.grad(F.cosine_similarity(seen.float(), words.float()).sum(), latent)
        length = gradient.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp_min(1e-9)
        latent = (latent + gradient / length * MOVE_LENGTH).detach()
    with torch.no_grad():
        return vqgan.decode(vqgan.quantise(latent)[0]).clamp(0, 1)


class PerceptorPart:
    """Contrastive training with captions."""

    file, peak = "perceptor", PEAK

    def __init__(self, work: Path, batches: BatchCompositor, device: str, seed: int) -> None:
        self.batch, self._device = BATCH, device
        self._data = Pictures(Compositor(work, COMPOSED_PX, seed=seed), batches)
        ids = vocabulary(self._data)
        torch.save(ids, work / "vocabulary.pt")
        self._text = Text(ids)
        self._model = CLIP(**SHAPE, vocab_size=len(ids)).to(device, memory_format=torch.channels_last)
        self._heads = Heads(self._data.n_concepts).to(device)
        self._weights = [*self._model.parameters(), *self._heads.parameters()]
        self.optimiser = torch.optim.AdamW(self._weights, lr=PEAK, betas=(0.9, 0.98), weight_decay=0.02)
        self._average = run.Average(self._model, 0.99)
        self.state = {
            "model": self._model, "heads": self._heads, "average": self._average, "optimiser": self.optimiser,
        }  # fmt: skip

    def step(self, share: float) -> dict[str, Tensor]:
        """One step with as many captions without pictures as with them."""
        plans = [self._data.compositor.plan() for _ in range(self.batch)]
        batch = self._data.batch(plans, RESOLUTION, SMALLEST)
        more = self._data.words(self.batch).to(self._device)
        with quickly(self._device):
            losses = captioned_loss(self._model, self._heads, self._text, batch, more)
        update(self.optimiser, self._weights, losses.total, CLIPPED)
        self._average.update()
        return {"loss": losses.total.detach(), "naming": losses.naming.detach(), "right": losses.right}


class RobustPart:
    """Training of the image encoder against adversarial steps, mush and its own products."""

    file, peak = "perceptor_robust", ROBUST_PEAK

    def __init__(self, work: Path, batches: BatchCompositor, device: str, seed: int) -> None:
        self.batch, self._device, self._seed = ROBUST_BATCH, device, seed
        self._data = Pictures(Compositor(work, COMPOSED_PX, seed=seed), batches)
        self._vqgan = trained_vqgan(work, device)
        self._model, self._text, heads = trained_perceptor(work, device)
        self._heads = Heads(self._data.n_concepts)
        self._heads.load_state_dict(heads)
        self._heads.to(device)
        self._model.train().requires_grad_(True)
        self._weights = [*self._model.visual.parameters(), *self._heads.parameters()]
        self.optimiser = torch.optim.AdamW(self._weights, lr=ROBUST_PEAK, betas=(0.9, 0.98), weight_decay=0.02)
        self._average = run.Average(self._model, 0.99)
        self.state = {
            "model": self._model, "heads": self._heads, "average": self._average, "optimiser": self.optimiser,
        }  # fmt: skip
        self._products, self._steps = torch.empty(0, 3, RESOLUTION, RESOLUTION, device=device), 0

    def step(self, share: float) -> dict[str, Tensor]:
        """One step; every eighth makes new products first."""
        plans = [self._data.compositor.plan() for _ in range(self.batch)]
        batch = self._data.batch(plans, RESOLUTION, ROBUST_SMALLEST)
        with quickly(self._device), torch.no_grad():
            words = encode_text(self._model, self._text(batch.captions).to(self._device))
        if self._steps % MADE_EVERY == 0:
            self._make(batch.pictures, words)
        self._steps += 1
        with quickly(self._device):
            chosen = torch.randint(len(self._products), (max(1, self.batch // 4),), device=self._device)
            shifted = augment(self._products[chosen], RESOLUTION, ROBUST_SMALLEST)
            nothing = torch.cat([mush(batch.pictures[: max(1, self.batch // 8)]), shifted])
            losses = robust_loss(self._model, self._heads, words, batch, nothing)
        update(self.optimiser, self._weights, losses.total, CLIPPED)
        self._average.update()
        return {"loss": losses.total.detach(), "naming": losses.naming.detach(), "right": losses.right}

    def _make(self, pictures: Tensor, words: Tensor) -> None:
        """Make products from pictures and the captions of their neighbours in the batch."""
        count = min(MADE_AT_ONCE, len(pictures))
        self._model.eval()
        made = products(self._model, self._vqgan, pictures[:count], words.roll(1, 0)[:count])
        self._model.train()
        self._products = torch.cat([made, self._products])[:PRODUCTS]


def trained_perceptor(work: Path, device: str) -> tuple[CLIP, Text, dict[str, Tensor]]:
    """The perceptor of the first part, frozen; its tokens; and the weights of its heads.

    Raises:
        NotReady: if there is none.
    """
    path = work / f"{PerceptorPart.file}.pt"
    if not path.exists():
        raise NotReady("the perceptor has not been trained")
    weights, ids = (torch.load(one, map_location="cpu", weights_only=True) for one in (path, work / "vocabulary.pt"))
    model = CLIP(**SHAPE, vocab_size=len(ids))
    model.load_state_dict(weights["average"])
    model.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
    return model, Text(ids), weights["heads"]
