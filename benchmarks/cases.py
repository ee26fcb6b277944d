"""Benchmark cases: model sets with their settings, for our dream and for the plain loop alike.

Real shapes are those of the well-known checkpoints (VQGAN ImageNet f16 with 16,384 codes, CLIP ViT-B/32) with random
weights: speed and memory do not depend on the values. The starter is the shipped one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from benchmarks.reference import PlainLoop, Seeing
from generator.loading import STARTER, load_models, read_tensors
from generator.models.clip import CLIP, ModifiedResNet, Perceptor
from generator.models.model_set import Models
from generator.models.vqgan import VQGAN
from generator.optimisation.dream import Dream
from generator.optimisation.probing import settle_precision
from generator.optimisation.targets import targets_of
from generator.request import GenerationRequest
from generator.runtime.device import choose_device
from generator.runtime.precision import choose_precision
from generator.settings import Settings

PROMPT = "a red apple at night"
F16 = {
    "double_z": False, "z_channels": 256, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": 128,
    "ch_mult": [1, 1, 2, 2, 4], "num_res_blocks": 2, "attn_resolutions": [16], "dropout": 0.0,
}  # fmt: skip
_TINY = {
    "double_z": False, "z_channels": 32, "resolution": 64, "in_channels": 3, "out_ch": 3, "ch": 32,
    "ch_mult": [1, 1, 1, 1], "num_res_blocks": 0, "attn_resolutions": [], "dropout": 0.0,
}  # fmt: skip
VIT_B_32 = {
    "embed_dim": 512, "image_resolution": 224, "vision_layers": 12, "vision_width": 768, "vision_patch_size": 32,
    "context_length": 77, "vocab_size": 49408, "transformer_width": 512, "transformer_heads": 8,
    "transformer_layers": 12,
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """Models and settings; `settings` override the models' own defaults.

    Attributes:
        name: in tables.
        models: `real` or `starter`.
        settings: by name.
        steps: per round.
        rounds: number of rounds.
        whole: True if a round is a dream from its first step to its last, since its steps differ.
    """

    name: str
    models: str
    settings: dict[str, Any]
    steps: int
    rounds: int
    whole: bool = False


_PLAIN = {"start": "random", "cutouts": 32, "steps": 5000}
CASES = {
    case.name: case
    for case in (
        Case("256-real", "real", {"size": 256, **_PLAIN}, 1, 5),
        Case("512-real", "real", {"size": 512, **_PLAIN}, 1, 3),
        Case("768-real", "real", {"size": 768, **_PLAIN}, 1, 3),
        Case("starter", "starter", {"start": "random", "steps": 16}, 16, 5, whole=True),
        Case("starter-full-size", "starter", {"start": "random", "steps": 5000, "coarse": 0.0, "ema": 0.0}, 5, 5),
    )
}


def models_of(case: Case, device: str, precision: str = "auto") -> Models:
    """Models of a case for our dream; the plain loop has its own, in `fp32`."""
    if case.models == "starter":
        return load_models("starter", device, precision=precision)
    chosen = choose_device(device)
    torch.manual_seed(0)
    vqgan = VQGAN(vqgan_config(F16)).eval().requires_grad_(False).to(chosen)
    perceptor = Perceptor(CLIP(**VIT_B_32), "ViT-B/32 (random)", device=chosen)
    models = Models("real", vqgan, (perceptor,), None, chosen, {})
    return settle_precision(models, choose_precision(precision, models.device))


def tiny_models(device: str = "cpu") -> Models:
    """Models of a second's arithmetic on a CPU, to try a script: an f8 VQGAN and a ViT that sees 32 px."""
    chosen = choose_device(device)
    torch.manual_seed(0)
    vqgan = VQGAN(tiny_vqgan_config()).eval().requires_grad_(False).to(chosen)
    return Models("tiny", vqgan, (Perceptor(tiny_clip(), "tiny", device=chosen),), None, chosen, {})


def vqgan_config(network: Mapping[str, object], channels: int = 256, codes: int = 16384) -> DictConfig:
    """The yaml of a VQGAN in taming's form."""
    params = {"embed_dim": channels, "n_embed": codes, "ddconfig": dict(network)}
    config = OmegaConf.create({"model": {"target": "taming.models.vqgan.VQModel", "params": params}})
    assert isinstance(config, DictConfig)  # noqa: S101 - for the type alone
    return config


def tiny_vqgan_config() -> DictConfig:
    """The yaml of the tiny VQGAN."""
    return vqgan_config(_TINY, 4, 256)


def tiny_clip(**vision: object) -> CLIP:
    """A CLIP of one layer; by default its image tower is a ViT."""
    shape = {"vision_layers": 1, "vision_width": 64, "vision_patch_size": 16} | vision
    side = 32 if isinstance(shape["vision_layers"], int) else 64
    return CLIP(
        embed_dim=32, image_resolution=side, context_length=77, vocab_size=49408, transformer_width=64,
        transformer_heads=1, transformer_layers=1, **shape,
    )  # fmt: skip


def request_of(case: Case, models: Models, seed: int = 0) -> GenerationRequest:
    """The request for both sides."""
    settings = Settings().merged(models.defaults).merged(case.settings).merged({"seed": seed})
    return GenerationRequest(prompt=PROMPT, models=models.name, settings=settings)


def dream_of(case: Case, models: Models) -> Dream:
    """Our side."""
    return Dream(request_of(case, models), models)


def plain_loop_of(case: Case, models: Models, request: GenerationRequest, one_crop_per_call: bool = False) -> PlainLoop:
    """The other side: the same weights in stock modules, the same start."""
    start = Dream(request, models).latent
    torch.manual_seed(request.settings.seed)
    eye = stock_eye(case, models)
    return PlainLoop(
        models.vqgan, eye, targets_of(request, models.perceptors)[0], request.settings, start, one_crop_per_call
    )


def stock_eye(case: Case, models: Models) -> Seeing:
    """Image encoder as clip builds it: our ResNet has its batch norms folded into its convolutions."""
    perceptor = models.perceptors[0]
    if case.models != "starter":
        return Seeing(perceptor.model.visual, perceptor.resolution)
    state = {
        name.removeprefix("visual."): tensor
        for name, tensor in read_tensors(STARTER / "clip.safetensors").items()
        if name.startswith("visual.")
    }
    layers = tuple(len({key.split(".")[1] for key in state if key.startswith(f"layer{n}.")}) for n in (1, 2, 3, 4))
    width = len(state["layer1.0.conv1.weight"])
    network = ModifiedResNet(layers, perceptor.dimension, width * 32 // 64, perceptor.resolution, width)
    network.load_state_dict(state)
    return Seeing(network.eval().requires_grad_(False).to(models.device), perceptor.resolution)
