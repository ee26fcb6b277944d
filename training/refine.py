"""Train the decoder at 256 px: `python -m training.refine`, after training.vqgan and training.decoder.

Encoder and codebook stay fixed, so that prior and stored drawings keep their meaning. Without a VQGAN in the folder it
begins with the shipped one. `python -m training.reconstruction` compares the result with the shipped decoder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import safetensors.torch
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from torch import Tensor
from torch.utils.data import DataLoader

from generator.models.vqgan import VQGAN
from training import run
from training.data import Crops
from training.vqgan import CONFIG, edges

SIDE_PX, CROP_PX = 256, 128
CROPS, WHOLE_EVERY = 3, 3
"""Crops in a step; every third step sees a whole picture, since GroupNorm's statistics are those of the whole."""
PEAK = 3e-4


def refinement_loss(output: Tensor, target: Tensor) -> Tensor:
    """L1 and L2 of the pixels, and L1 of their edges at two sizes."""
    loss = 2 * F.l1_loss(output, target) + 8 * F.mse_loss(output, target)
    for _ in range(2):
        for ours, theirs in zip(edges(output), edges(target), strict=True):
            loss = loss + F.l1_loss(ours, theirs)
        output, target = F.avg_pool2d(output, 2), F.avg_pool2d(target, 2)
    return loss


def shipped() -> VQGAN:
    """The VQGAN of generator/starter."""
    model = VQGAN(OmegaConf.load(CONFIG))  # type: ignore[arg-type]  # our own yaml is a mapping
    weights = safetensors.torch.load_file(CONFIG.with_suffix(".safetensors"))
    model.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return model


def latest(work: Path) -> VQGAN:
    """The VQGAN of the folder with its newest decoder; the shipped one where the folder has none."""
    model = shipped()
    for path in (work / f"{name}.pt" for name in ("vqgan", "decoder", "refined")):  # in the order of training
        if path.exists():
            model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["average"])
    return model


def batches(work: Path, crop_px: int, count: int, seed: int) -> Iterator[Tensor]:
    """Endless batches `[count, 3, crop_px, crop_px]` of pictures of 256 px."""
    data = Crops(work, crop_px, seed, SIDE_PX, share_large=0.0)
    for _, target in DataLoader(data, batch_size=count, num_workers=1, prefetch_factor=4):
        yield target


def main() -> None:
    options = run.arguments(__doc__, steps=3000, batch=CROPS)
    torch.manual_seed(options.seed + 600)
    model = latest(options.work).requires_grad_(False).to(options.device)
    trained = [*model.decoder.parameters(), *model.post_quant_conv.parameters()]
    for weight in trained:
        weight.requires_grad_(True)
    optimiser = torch.optim.AdamW(trained, lr=PEAK, betas=(0.9, 0.99), weight_decay=1e-4)
    average = run.Average(model, 0.995)
    state = run.Run(
        options.work / "refined.pt", options.steps, {"model": model, "average": average, "optimiser": optimiser}
    )
    seed = options.seed + 700 + state.step
    small = batches(options.work, CROP_PX, options.batch, seed)
    whole = batches(options.work, SIDE_PX, max(1, options.batch // 3), seed + 50)
    while state.step < options.steps:
        for group in optimiser.param_groups:
            group["lr"] = run.learning_rate(state.step, options.steps, PEAK)
        images = next(whole if state.step % WHOLE_EVERY == 0 else small).to(options.device)
        with torch.no_grad():
            quantised, _ = model.quantise(model.encode(images))
        output = model.decode(quantised)
        loss = refinement_loss(output, images)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        average.update()
        error = F.mse_loss(output.detach().clamp(0, 1), images)
        state.advance(loss=loss.item(), psnr=-10 * error.log10().item())


if __name__ == "__main__":
    main()
