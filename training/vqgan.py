"""Train the starter's VQGAN: `python -m training.vqgan`.

First without quantising, then a k-means codebook, then with it; unused codes are moved to where the data is. Every
third step sees whole pictures instead of crops, since GroupNorm's statistics are those of the whole. At FROZEN_SHARE of
the run encoder and codebook are final (the prior can be trained from then on); the decoder trains on. Losses: L1, L1 of
the picture's own edges at three scales (crisp outlines), the commitment to the codes.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from generator.models.vqgan import VQGAN
from training import run
from training.data import crops

CONFIG = Path(__file__).parent / "vqgan_f8.yaml"
"""The VQGAN of factor 8 that training.halve makes the shipped one of."""
FREE_SHARE, FROZEN_SHARE = 0.15, 0.5
CROP_PX, WHOLE_PX = 64, 128
POINTS_PER_CODE, K_MEANS_ROUNDS = 20, 12
"""Latent vectors from which the codebook starts, and rounds of k-means over them."""


@torch.no_grad()
def start_linear(model: VQGAN) -> None:
    """Initialise as a linear network: channels in opposite pairs, residual branches almost zero.

    taming's GroupNorm(32) has few channels a group in a small network and subtracts their common mean, and with it the
    colour of the whole picture. The mean of an opposite pair is always zero, so nothing is lost; and since swish(a) -
    swish(-a) = a, weights that read the pair in opposite signs see a itself.
    """
    for part in (model.encoder, model.decoder):
        for name, module in part.named_modules():
            if not isinstance(module, nn.Conv2d):
                continue
            if module.in_channels % 64 == 0 and name.endswith(("conv1", "conv2", "conv_out")):
                module.weight[:, 1::2] = -module.weight[:, ::2]
            if module.out_channels % 64 == 0:
                module.weight[1::2] = -module.weight[::2]
                if module.bias is not None:
                    module.bias.zero_()
            if name.endswith(("conv2", "proj_out")):
                module.weight.mul_(0.1)


def edges(images: Tensor) -> tuple[Tensor, Tensor]:
    """Differences of neighbouring pixels along x and along y."""
    return images[..., 1:] - images[..., :-1], images[..., 1:, :] - images[..., :-1, :]


def reconstruction_loss(output: Tensor, target: Tensor) -> Tensor:
    """L1 and L2 of the pixels, L1 of their edges at three sizes, L1 of the green-magenta axis at an eighth."""
    loss = 2 * F.l1_loss(output, target) + 4 * F.mse_loss(output, target)
    for _ in range(3):
        for ours, theirs in zip(edges(output), edges(target), strict=True):
            loss = loss + F.l1_loss(ours, theirs)
        output, target = F.avg_pool2d(output, 2), F.avg_pool2d(target, 2)
    return loss + 4 * F.l1_loss(greenness(output), greenness(target))


def greenness(images: Tensor) -> Tensor:
    """Green-magenta axis, the colour axis that varies least in the drawings and is learnt last without help."""
    return images[:, 1] - (images[:, 0] + images[:, 2]) / 2


@torch.no_grad()
def k_means(points: Tensor, n_codes: int) -> Tensor:
    """Centres `[n_codes, C]` of points `[N, C]`, by k-means."""
    centres = points[torch.randperm(len(points))[:n_codes]].clone()
    for _ in range(K_MEANS_ROUNDS):
        nearest = torch.cat([torch.cdist(part, centres).argmin(dim=1) for part in points.split(4096)])
        sums = torch.zeros_like(centres).index_add_(0, nearest, points)
        counts = torch.bincount(nearest, minlength=n_codes)
        used = counts > 0
        centres[used] = sums[used] / counts[used, None]
        centres[~used] = points[torch.randint(len(points), (int((~used).sum()),))]
    return centres


class Codes:
    """Update the codebook by a running mean of the vectors assigned to it, and revive unused codes."""

    def __init__(self, codebook: Tensor, decay: float = 0.98) -> None:
        self.codebook, self.decay = codebook, decay
        self.counts = torch.ones(len(codebook), device=codebook.device)
        self.sums = codebook.detach().clone()

    @torch.no_grad()
    def reset(self) -> None:
        self.counts.fill_(1.0)
        self.sums.copy_(self.codebook)

    @torch.no_grad()
    def update(self, latent: Tensor, codes: Tensor) -> None:
        points = latent.permute(0, 2, 3, 1).reshape(-1, latent.shape[1])
        flat = codes.flatten()
        self.counts.mul_(self.decay).add_(torch.bincount(flat, minlength=len(self.counts)), alpha=1 - self.decay)
        self.sums.mul_(self.decay).add_(torch.zeros_like(self.sums).index_add_(0, flat, points), alpha=1 - self.decay)
        dead = (self.counts < 0.02).nonzero().flatten()
        if len(dead):
            chosen = points[torch.randint(len(points), (len(dead),), device=points.device)]
            self.sums[dead], self.counts[dead] = chosen, 1.0
        self.codebook.copy_(self.sums / self.counts.clamp_min(1e-4)[:, None])

    def state_dict(self) -> dict[str, Tensor]:
        return {"counts": self.counts, "sums": self.sums}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.counts.copy_(state["counts"])
        self.sums.copy_(state["sums"])


@torch.no_grad()
def start_codebook(model: VQGAN, codes: Codes, batches: object, device: str) -> None:
    """Initialise the codebook from the encoder's latents."""
    points = []
    while sum(map(len, points)) < POINTS_PER_CODE * len(model.codebook):
        images, _ = next(batches)  # type: ignore[call-overload]  # an endless iterator of batches
        points.append(model.encode(images.to(device)).permute(0, 2, 3, 1).reshape(-1, model.latent_channels))
    model.codebook.copy_(k_means(torch.cat(points), len(model.codebook)))
    codes.reset()


def main() -> None:
    options = run.arguments(__doc__, steps=3300, batch=8)
    config = OmegaConf.load(CONFIG)
    if not isinstance(config, DictConfig):
        raise TypeError("vqgan.yaml is not a mapping")
    model = VQGAN(config)
    start_linear(model)
    model.to(options.device)
    model.codebook.requires_grad_(False)
    codes = Codes(model.codebook)
    optimiser = torch.optim.AdamW(
        [part for part in model.parameters() if part.requires_grad], lr=4e-4, betas=(0.9, 0.99), weight_decay=1e-4
    )
    average = run.Average(model, 0.99)
    parts = {"model": model, "average": average, "optimiser": optimiser, "codes": codes}
    state = run.Run(options.work / "vqgan.pt", options.steps, parts)
    free, frozen = int(FREE_SHARE * options.steps), int(FROZEN_SHARE * options.steps)
    seed = options.seed + 100 + state.step
    small = crops(options.work, CROP_PX, options.batch, seed)
    whole = crops(options.work, WHOLE_PX, max(1, options.batch * CROP_PX**2 // WHOLE_PX**2), seed + 50)
    while state.step < options.steps:
        if state.step == free:
            start_codebook(model, codes, whole, options.device)
        if state.step == frozen:  # the averaged encoder and codebook are better, and final from now on
            parts_done = ("encoder.", "quant_conv.", "quantize.")
            done = {name: value for name, value in average.shadow.items() if name.startswith(parts_done)}
            model.load_state_dict(done, strict=False)
        if state.step >= frozen:
            model.encoder.requires_grad_(False)
            model.quant_conv.requires_grad_(False)
        for group in optimiser.param_groups:
            group["lr"] = run.learning_rate(state.step, options.steps, 4e-4)
        images, target = (part.to(options.device) for part in next(whole if state.step % 3 == 0 else small))
        latent = model.encode(images)
        if state.step < free:
            # a little noise keeps the space smooth enough to be quantised
            shown, commitment = latent + 0.1 * torch.randn_like(latent), latent.square().mean() * 0.02
        else:
            quantised, numbers = model.quantise(latent)
            commitment = F.mse_loss(latent, quantised)
            shown = latent + (quantised - latent).detach()
            if state.step < frozen:
                codes.update(latent.detach(), numbers)
        output = model.decode(shown)
        loss = reconstruction_loss(output, target) + 0.25 * commitment
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        average.update()
        error = F.mse_loss(output.detach().clamp(0, 1), target)
        state.advance(loss=loss.item(), psnr=-10 * error.log10().item(), commit=commitment.item())


if __name__ == "__main__":
    main()
