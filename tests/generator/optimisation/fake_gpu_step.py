"""`python -m tests.generator.optimisation.fake_gpu_step`: the forward pass of a step on a GPU that does not exist.

Tensors have shape, type and device and no numbers, so torch itself finds whatever mixes devices. It is a process of its
own since torch may end one that asks too much of such tensors. The loop's last half, backward and update, wants a GPU.
The error of each case is printed as JSON, empty if there is none.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks.cases import F16, VIT_B_32, vqgan_config
from generator import load_models
from generator.models.clip import CLIP, Perceptor
from generator.models.model_set import Models
from generator.models.vqgan import VQGAN
from generator.optimisation.autograd import clamp_with_gradient, straight_through
from generator.optimisation.cutouts import CutoutParams, cut, draw
from generator.optimisation.guidance import ClipGuidance, CutoutBatch
from generator.optimisation.losses.picture import picture_losses, total_variation
from generator.optimisation.losses.regularisers import anchor_loss, pull_loss
from generator.optimisation.starts.init import at_size
from generator.optimisation.targets import targets_of
from generator.request import GenerationRequest
from generator.runtime.device import cap_memory, choose_device
from generator.runtime.precision import choose_precision
from generator.settings import Settings, Size
from tests.stand_in_gpu import gpus
from training import run
from training.judges import softened
from training.perceptor import mush

PICTURE_LOSSES = Settings(
    palette="navy, gold", symmetry="both", flatness=1.0, laplacian=1.0, border="white", saturation=1.0, contrast=1.0
)
PRECISIONS = {(8, 0): "bf16", (7, 5): "fp16", (6, 1): "fp32"}


def converted(module: nn.Module, change: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
    """`nn.Module._apply`, which would swap the inside of tensors; those without numbers cannot be."""
    for part in module.modules():
        for name, weight in part._parameters.items():
            part._parameters[name] = None if weight is None else nn.Parameter(change(weight), weight.requires_grad)
        for name, buffer in part._buffers.items():
            part._buffers[name] = None if buffer is None else change(buffer)
    return module


def the_starter(real: Models, device: torch.device) -> Models:
    """Its networks, without numbers and without the prior."""
    for perceptor in real.perceptors:
        converted(perceptor.model, lambda weight: torch.empty(weight.shape, dtype=weight.dtype, device=device))
        perceptor.device = device
        perceptor._mean, perceptor._deviation = (torch.empty(3, 1, 1, device=device) for _ in range(2))
    converted(real.vqgan, lambda weight: torch.empty(weight.shape, dtype=torch.float32, device=device))
    return replace(real, prior=None, device=device)


def step(models: Models, request: GenerationRequest, exact: bool) -> None:
    """Decode, cut, augment, embed, lose; the results must lie on the GPU."""
    device, settings, vqgan = models.device, request.settings, models.vqgan
    targets = targets_of(request, models.perceptors)[0]
    side = (settings.size.height // vqgan.factor, settings.size.width // vqgan.factor)
    start = vqgan.lookup(torch.zeros(1, *side, dtype=torch.long, device=device))
    latent = start.detach().clone().requires_grad_(True)
    quantised, _ = vqgan.quantise(latent.detach())
    image = clamp_with_gradient(vqgan.decode(straight_through(latent, quantised), settings.tiled), 0, 1)
    guidance = ClipGuidance(models.perceptors, settings, exact)
    cuts = draw(settings, 4, settings.size.width, settings.size.height, torch.Generator())
    cutouts = CutoutBatch(
        CutoutParams(*(choice.to(device) for choice in cuts)),
        {
            one.resolution: torch.randn(settings.cutouts, 3, one.resolution, one.resolution, device=device)
            for one in models.perceptors
        },
    )
    losses = guidance.evaluate(image, cutouts, targets)
    loss = losses.loss + total_variation(image) + anchor_loss(latent, start) + pull_loss(latent)
    loss = loss + sum(picture_losses(image, PICTURE_LOSSES))
    values = torch.cat([loss.detach()[None], losses.losses, losses.cosines])
    small = at_size(vqgan, latent.detach(), Size(settings.size.width // 2, settings.size.height // 2))
    scores = targets.scores(image.detach(), models.perceptors)
    for name, tensor in {"image": image, "loss": loss, "values": values, "small": small, "scores": scores}.items():
        on_the_gpu(name, tensor, device)


def on_the_gpu(name: str, tensor: Tensor, device: torch.device) -> None:
    if tensor.device != device or tensor.dtype != torch.float32:
        raise AssertionError(f"{name} is {tensor.dtype} on {tensor.device}")


def of_real_width(device: torch.device) -> Models:
    """Layers as wide as those of the well-known checkpoints, each kind of them once or twice."""
    config = vqgan_config(F16 | {"ch_mult": [1, 2, 4], "num_res_blocks": 1, "attn_resolutions": [64]})
    vqgan = VQGAN(config).eval().requires_grad_(False).to(device)
    clip = CLIP(**VIT_B_32 | {"vision_layers": 2, "transformer_layers": 2})
    return Models("real", vqgan, (Perceptor(clip, "ViT of two layers", device=device),), None, device, {})


def a_dream(models_on: Callable[[torch.device], Models], mode: FakeTensorMode) -> None:
    """All number formats, sampled and gathered, square and other sizes."""
    for capability, expected in PRECISIONS.items():
        with mode, patch.object(nn.Module, "_apply", converted), gpus(2, capability=capability) as driver:
            models = models_on(choose_device("cuda:1"))
            cap_memory(models.device, 0.5)
            if driver.calls_of("set_memory_fraction") != [(0.5, models.device.index)]:
                raise AssertionError(driver.calls)
            chosen = choose_precision("auto", models.device)
            if chosen.value != expected:
                raise AssertionError(chosen)
            models.vqgan.compute_in(chosen)
            for perceptor in models.perceptors:
                perceptor.compute_in(chosen)
            for exact, size, tile in ((False, "64x64", "none"), (True, "96x64", "none"), (False, "64x64", "both")):
                ours = {"start": "random", "cutouts": 8, "coarse": 0.0, "size": size, "tile": tile}
                settings = Settings().merged(models.defaults).merged(ours)
                step(models, GenerationRequest(prompt="a | b:-1", models=models.name, settings=settings), exact)


def mixed(mode: FakeTensorMode) -> None:
    """Mix devices, the error to detect: crops on the CPU, the picture on the GPU. It must not pass."""
    with mode, gpus():
        image = torch.empty(1, 3, 64, 64, device="cuda:0")
        cut(image, draw(Settings(cutouts=4), 1, 64, 64, torch.Generator()), 32)


def the_training(mode: FakeTensorMode) -> None:
    """Apply the steps of the training commands to pictures that are on the GPU already."""
    with mode, gpus() as driver:
        pictures = torch.empty(6, 3, 64, 64, device="cuda:0")
        on_the_gpu("mush", mush(pictures), pictures.device)
        on_the_gpu("softened", softened(pictures), pictures.device)
        if run.arguments(None, 1, 1).device != "cuda:0":
            raise AssertionError(driver.calls)


def error_of(case: Callable[[FakeTensorMode], None]) -> str:
    try:
        case(FakeTensorMode(allow_non_fake_inputs=True))
    except Exception:
        return traceback.format_exc()
    return ""


def main() -> None:
    real = load_models("starter", "cpu", precision="fp32")
    cases: dict[str, Callable[[FakeTensorMode], None]] = {
        "real width": partial(a_dream, of_real_width),
        "starter": partial(a_dream, partial(the_starter, real)),
        "training": the_training,
        "mixed": mixed,
    }
    print(json.dumps({name: error_of(case) for name, case in cases.items()}))  # noqa: T201


if __name__ == "__main__":
    main()
