"""Train a VQGAN of factor 4, at 256 px: `python -m training.halve`, after training.vqgan and training.decoder.

The level of the largest pictures is left out of the VQGAN of factor 8, so that four times as many codes show a picture.
First the new encoder learns what the old one sees in the picture at double size; the codebook stays, so a code means
the same as before, and the prior needs no new training. Then the last layer of the decoder is solved by least squares,
and both train on together, where codes follow the encoder a little. In a folder without a VQGAN of factor 8 the shipped
one of factor 4 trains on. `python -m training.reconstruction` compares the results.
"""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from omegaconf import DictConfig
from torch import Tensor
from torch.utils.data import DataLoader

from generator.loading import STARTER, load_vqgan, read_yaml
from generator.models.vqgan import VQGAN
from training import run
from training.data import Crops
from training.vqgan import CONFIG, edges, greenness

SIDE_PX, CROP_PX = 256, 128
CROPS, WHOLE_EVERY = 2, 4
"""Crops in a step; every fourth step sees a whole picture, since GroupNorm's statistics are those of the whole."""
ENCODER_STEPS = 300
"""Steps in which the encoder learns by itself, at most a quarter; they take a fifth of the time of the others."""
ENCODER_PEAK, TOGETHER_PEAK, DECODER_PEAK = 6e-4, 2e-4, 3e-4
COMMITMENT = 0.25
"""Weight of the distance between latent and codes."""
CODE_RATE = 0.05
"""Share of the way that a frequent code moves in a step, see `move_codes`."""
EDGE = 0.1
"""Smallest difference of neighbouring pixels that counts as an edge, in 0..1."""
SOLVED_FROM = 12
"""Pictures from which the last layer is solved."""


def edge_error(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error of the steps between neighbouring pixels, in 0..1, where the target has an edge."""
    error, count = output.new_zeros(()), output.new_zeros(())
    for ours, theirs in zip(edges(output), edges(target), strict=True):
        here = theirs.abs().amax(dim=1, keepdim=True) >= EDGE
        error = error + ((ours - theirs).abs() * here).sum()
        count = count + here.sum() * theirs.shape[1]
    return error / count.clamp_min(1)


def reconstruction_loss(output: Tensor, target: Tensor) -> Tensor:
    """L1 and L2 of the pixels, L1 of edges at three sizes, of sharp edges, of means over 16 px and of green-magenta."""
    loss = 2 * edge_error(output, target)
    loss = loss + 2 * F.l1_loss(output, target) + 8 * F.mse_loss(output, target)
    loss = loss + 2 * F.l1_loss(greenness(output), greenness(target))
    loss = loss + 2 * F.l1_loss(F.avg_pool2d(output, 16), F.avg_pool2d(target, 16))
    for _ in range(3):
        for ours, theirs in zip(edges(output), edges(target), strict=True):
            loss = loss + F.l1_loss(ours, theirs)
        output, target = F.avg_pool2d(output, 2), F.avg_pool2d(target, 2)
    return loss


def halved_config(config: DictConfig) -> DictConfig:
    """The config of the VQGAN without its level of the largest pictures, and without attention.

    Attention among four times as many codes would take longer than all convolutions, sixteen times at double size.
    """
    half = copy.deepcopy(config)
    half.model.params.ddconfig.attn_type = "none"
    half.model.params.ddconfig.ch_mult = list(config.model.params.ddconfig.ch_mult)[1:]
    return half


@torch.no_grad()
def halved(model: VQGAN, config: DictConfig) -> VQGAN:
    """A VQGAN of half the factor with the weights of all levels but that of the largest pictures."""
    half = VQGAN(halved_config(config))
    theirs = model.state_dict()
    level = re.compile(r"(encoder\.down|decoder\.up)\.(\d+)\.")
    half.load_state_dict(
        {name: theirs[level.sub(lambda at: f"{at[1]}.{int(at[2]) + 1}.", name)] for name in half.state_dict()}
    )
    return half


def batches(work: Path, crop_px: int, count: int, seed: int) -> Iterator[Tensor]:
    """Endless batches `[count, 3, crop_px, crop_px]` of pictures of 256 px."""
    data = Crops(work, crop_px, seed, SIDE_PX, share_large=0.0)
    for _, target in DataLoader(data, batch_size=count, num_workers=1, prefetch_factor=4):
        yield target


def old_latent(old: VQGAN, images: Tensor) -> Tensor:
    """The latent of the old encoder for pictures at double size."""
    large = F.interpolate(images, scale_factor=2.0, mode="bicubic", align_corners=False).clamp(0, 1)
    return old.encode(large)


def shipped() -> VQGAN:
    """The VQGAN of generator/starter."""
    return load_vqgan(STARTER / "vqgan.yaml", STARTER / "vqgan.safetensors", torch.device("cpu")).train()


def of_factor_8(work: Path, device: torch.device) -> VQGAN | None:
    """The folder's VQGAN of factor 8 with its newest decoder; None if it has none."""
    model = VQGAN(read_yaml(CONFIG))
    there = [path for path in (work / "vqgan.pt", work / "decoder.pt") if path.exists()]  # in the order of training
    for path in there:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["average"])
    return model.requires_grad_(False).eval().to(device) if there else None


def latest(work: Path) -> VQGAN:
    """The VQGAN that the folder has trained at 256 px; the shipped one if it has none."""
    path = work / "halved.pt"
    if not path.exists():
        return shipped()
    model = VQGAN(halved_config(read_yaml(CONFIG)))
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["average"])
    return model


@torch.no_grad()
def move_codes(model: VQGAN, latent: Tensor, codes: Tensor) -> None:
    """Move codes `[N, h, w]` towards the mean of the vectors `[N, C, h, w]` that they stand for; rare ones less."""
    vectors = latent.permute(0, 2, 3, 1).reshape(-1, latent.shape[1])
    counts = torch.bincount(codes.flatten(), minlength=len(model.codebook)).to(vectors)
    sums = torch.zeros_like(model.codebook).index_add_(0, codes.flatten(), vectors)
    means = sums / counts.clamp_min(1)[:, None]
    model.codebook.lerp_(means, CODE_RATE * (counts / (counts + 8))[:, None])


@torch.no_grad()
def solve_last_layer(model: VQGAN, pictures: Iterator[Tensor]) -> None:
    """Set the decoder's last convolution to the one that reconstructs pictures `[1, 3, H, W]` with the least error."""
    layer = model.decoder.get_submodule("conv_out")
    channels, height, width = layer.get_parameter("weight").shape[1:]
    count = channels * height * width + 1
    gram, moments = torch.zeros(count, count, dtype=torch.float64), torch.zeros(count, 3, dtype=torch.float64)
    seen: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    for picture in itertools.islice(pictures, SOLVED_FROM):
        features = model.post_quant_conv(model.quantise(model.encode(picture))[0])
        model.decoder(features)
        columns = F.unfold(seen.pop(), (height, width), padding=1)[0].double().cpu()
        columns = torch.cat([columns, torch.ones(1, columns.shape[1], dtype=torch.float64)])
        gram += columns @ columns.T
        moments += columns @ (picture * 2 - 1)[0].flatten(1).double().cpu().T
    handle.remove()
    solved = torch.linalg.solve(gram + 0.1 * torch.eye(count, dtype=torch.float64), moments).T
    layer.get_parameter("weight").copy_(solved[:, :-1].reshape(3, channels, height, width))
    layer.get_parameter("bias").copy_(solved[:, -1])


def main() -> None:
    options = run.arguments(__doc__, steps=2900, batch=CROPS)
    old = of_factor_8(options.work, options.device)
    model = (shipped() if old is None else halved(old, read_yaml(CONFIG))).requires_grad_(False).to(options.device)
    sides = [[*model.encoder.parameters(), *model.quant_conv.parameters()]]
    sides += [[*model.post_quant_conv.parameters(), *model.decoder.parameters()]]
    for weight in itertools.chain(*sides):
        weight.requires_grad_(True)
    optimiser = torch.optim.AdamW([{"params": side} for side in sides], betas=(0.9, 0.99), weight_decay=1e-4)
    average = run.Average(model, 0.99)
    parts = {"model": model, "average": average, "optimiser": optimiser}
    state = run.Run(options.work / "halved.pt", options.steps, parts)
    solved = 0 if old is None else max(1, min(ENCODER_STEPS, options.steps // 4))
    seed = options.seed + 700 + state.step
    small = batches(options.work, CROP_PX, options.batch, seed)
    whole = batches(options.work, SIDE_PX, max(1, options.batch // 2), seed + 50)
    while state.step < options.steps:
        if state.step == solved and old is not None:
            model.load_state_dict(average.shadow)
            solve_last_layer(model, (images[:1].to(options.device) for images in whole))
            average.load_state_dict(model.state_dict())
        is_encoder = state.step < solved
        begin, end = (0, solved) if is_encoder else (solved, options.steps)
        peaks = (ENCODER_PEAK if is_encoder else TOGETHER_PEAK, DECODER_PEAK)
        for group, peak in zip(optimiser.param_groups, peaks, strict=True):
            group["lr"] = run.learning_rate(state.step - begin, end - begin, peak)
        images = next(whole if state.step % WHOLE_EVERY == 0 else small).to(options.device)
        optimiser.zero_grad(set_to_none=True)
        if is_encoder and old is not None:
            with torch.no_grad():
                meant = old_latent(old, images)
            loss = F.mse_loss(model.encode(images), meant)
            figures = {"distance": loss.item()}
        else:
            latent = model.encode(images)
            quantised, codes = model.quantise(latent)
            output = model.decode(latent + (quantised - latent).detach())
            loss = reconstruction_loss(output, images) + COMMITMENT * F.mse_loss(latent, quantised)
            move_codes(model, latent.detach(), codes)
            figures = {
                "loss": loss.item(),
                "edges": edge_error(output.detach().clamp(0, 1), images).item(),
                "psnr": -10 * F.mse_loss(output.detach().clamp(0, 1), images).log10().item(),
            }
        loss.backward()
        torch.nn.utils.clip_grad_norm_(itertools.chain(*sides), 1.0)
        optimiser.step()
        average.update()
        state.advance(**figures)


if __name__ == "__main__":
    main()
