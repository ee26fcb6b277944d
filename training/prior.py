"""Train the starter's prior: `python -m training.prior`, after the VQGAN's codes and the perceptor's text encoder.

Each picture's codes are predicted from its sketch's codes and the perceptor's text features of a freshly worded
caption. Embeddings and head start as one random projection of the codebook, so that similar codes start with similar
embeddings and the network copies its sketch from the first step; what remains to be learnt is the effect of the words.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from torch import Tensor

from generator.models.clip import CLIP
from generator.models.prior import PriorNetwork
from generator.models.vqgan import VQGAN
from training import run
from training.dataset import Composed
from training.perceptor import SHAPE, Text, encode_text, vocabulary
from training.vqgan import CONFIG

NETWORK = {"n_codes": 2048, "grid": 16, "text_width": 256, "n_layer": 4, "n_head": 4, "n_embd": 192}
NO_SKETCH, PEAK = 0.12, 1e-3


@torch.no_grad()
def start_like_codebook(network: PriorNetwork, codebook: Tensor) -> None:
    """Initialise embeddings so that near codes are near, and the head so that it copies the sketch."""
    width = network.start.shape[0]
    centred = F.normalize(codebook - codebook.mean(dim=0), dim=-1)
    projection, _ = torch.linalg.qr(torch.randn(width, codebook.shape[1]))
    near = centred @ projection.t() + torch.randn(len(codebook), width) * 0.03
    network.sketch.weight[:-1].copy_(near * 1.5)
    network.gpt.tok_emb.weight.copy_(near * 0.3)
    network.gpt.head.weight.copy_(near * 0.6)


class Codes:
    """Codes of pictures and sketches, encoded on first use."""

    def __init__(self, vqgan: VQGAN, data: Composed, device: str) -> None:
        self._vqgan, self._data, self._device = vqgan, data, device
        self._kept: dict[tuple[str, int], Tensor] = {}

    @torch.no_grad()
    def __call__(self, kind: str, rows: list[int]) -> Tensor:
        missing = [row for row in rows if (kind, row) not in self._kept]
        if missing:
            source = self._data.pictures if kind == "picture" else self._data.sketches
            images = torch.from_numpy(source[missing]).permute(0, 3, 1, 2).float().div(255).to(self._device)
            for row, codes in zip(missing, self._vqgan.nearest(self._vqgan.encode(images)), strict=True):
                self._kept[kind, row] = codes.flatten().to(torch.int16).cpu()
        return torch.stack([self._kept[kind, row] for row in rows]).long().to(self._device)


def holes(count: int, grid: int, device: str) -> Tensor:
    """Random parts of a grid of codes, `[count, grid * grid] bool`: a rectangle, or cells strewn over the grid."""
    low, high = (torch.rand(count, 2, 2, device=device) * (grid + 1)).floor().sort(dim=1).values.unbind(1)
    at = torch.arange(grid, device=device)
    inside = (at >= low[..., None]) & (at < high[..., None])  # [count, 2, grid]
    rectangle = inside[:, 0, :, None] & inside[:, 1, None, :]
    strewn = torch.rand(count, grid, grid, device=device) < torch.rand(count, 1, 1, device=device)
    return torch.where(torch.rand(count, 1, 1, device=device) < 0.7, rectangle, strewn).flatten(1)


def prior_loss(
    network: PriorNetwork, features: Tensor, target: Tensor, sketch: Tensor, known: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Cross entropy in nats for a code, and the share of codes that are right.

    Args:
        network: on the device of all others.
        features: unit text features `[N, D]`.
        target: codes `[N, grid * grid]`.
        sketch: codes `[N, grid * grid]`; n_codes where nothing is sketched.
        known: codes that need not be drawn, `[N, grid * grid] bool`; they count for nothing.
    """
    condition = network.condition(features, sketch.unflatten(1, (network.grid, network.grid)))
    logits = network(target, condition).float()
    loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view_as(target)
    right, drawn = (logits.argmax(dim=-1) == target).float(), torch.ones_like(loss)
    if known is not None:
        drawn = (~known).float()
    count = drawn.sum().clamp_min(1)
    return (loss * drawn).sum() / count, (right * drawn).sum() / count


def main() -> None:
    options = run.arguments(__doc__, steps=1550, batch=12)
    data = Composed(options.work, seed=options.seed + 5)
    vqgan = VQGAN(OmegaConf.load(CONFIG))  # type: ignore[arg-type]  # our own yaml is a mapping
    vqgan.load_state_dict(torch.load(options.work / "vqgan.pt", map_location="cpu", weights_only=True)["average"])
    vqgan.eval().requires_grad_(False).to(options.device)
    ids = vocabulary(data)
    text = Text(ids)
    perceptor = CLIP(**SHAPE, vocab_size=len(ids))
    trained = torch.load(options.work / "perceptor.pt", map_location="cpu", weights_only=True)
    perceptor.load_state_dict(trained["average"])
    perceptor.eval().requires_grad_(False).to(options.device)
    network = PriorNetwork(**NETWORK, dropout=0.05)
    start_like_codebook(network, vqgan.codebook.cpu())
    network.to(options.device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=PEAK, betas=(0.9, 0.98), weight_decay=0.01)
    average = run.Average(network, 0.995)
    parts = {"network": network, "average": average, "optimiser": optimiser}
    state = run.Run(options.work / "prior.pt", options.steps, parts)
    codes = Codes(vqgan, data, options.device)
    rng = data.rng
    while state.step < options.steps:
        for group in optimiser.param_groups:
            group["lr"] = run.learning_rate(state.step, options.steps, PEAK)
        rows = [int(row) for row in rng.choice(len(data.samples), options.batch, replace=False)]
        target, sketch = codes("picture", rows), codes("sketch", rows)
        sketch[torch.from_numpy(rng.random(options.batch) < NO_SKETCH)] = NETWORK["n_codes"]
        captions = [data.compositor.caption(*data.samples[row]) for row in rows]
        with torch.no_grad():
            features = F.normalize(encode_text(perceptor, text(captions).to(options.device)), dim=-1)
        loss, right = prior_loss(network, features, target, sketch)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        average.update()
        state.advance(nats=loss.item(), right=right.item())


if __name__ == "__main__":
    main()
