"""Random weights of the real shapes as files in the published formats."""

from __future__ import annotations

import copy
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import torch
from omegaconf import OmegaConf

from benchmarks.cases import F16, VIT_B_32, tiny_clip, tiny_vqgan_config, vqgan_config
from generator.checkpoints.clip.config import config_beside
from generator.models.clip import CLIP
from generator.models.vqgan import VQGAN

_FACTS = ("input_resolution", "context_length", "vocab_size")


class Files(NamedTuple):
    """A Lightning checkpoint with its yaml, a TorchScript archive of a ViT, and a state dict of a ResNet."""

    vqgan: Path
    config: Path
    vit: Path
    resnet: Path

    @property
    def flags(self) -> tuple[str, ...]:
        """Return the command-line options for VQGAN and ViT."""
        return ("--vqgan", str(self.vqgan), "--vqgan-config", str(self.config), "--perceptor", str(self.vit))


def write(folder: Path, tiny: bool) -> Files:
    """Write all of them; the ResNet is always a small one."""
    folder.mkdir(parents=True, exist_ok=True)
    files = Files(folder / "last.ckpt", folder / "model.yaml", folder / "vit.pt", folder / "resnet.pt")
    torch.manual_seed(0)
    config = tiny_vqgan_config() if tiny else vqgan_config(F16)
    OmegaConf.save(config, files.config)
    state = VQGAN(config).state_dict()
    checkpoint = {"epoch": 1, "pytorch-lightning_version": "1.0.8", "callbacks": {}, "state_dict": OrderedDict(state)}
    torch.save(checkpoint, files.vqgan)
    _write_archive(tiny_clip() if tiny else CLIP(**VIT_B_32), files.vit)
    torch.save(tiny_clip(vision_layers=(1, 1, 1, 1), vision_width=8).half().state_dict(), files.resnet)
    # No published CLIP is as small, so each says how many heads it has.
    config_beside(files.resnet).write_text("vision_heads: 4\ntext_heads: 1\n", "utf-8")
    if tiny:
        config_beside(files.vit).write_text("vision_heads: 1\ntext_heads: 1\n", "utf-8")
    return files


def _write_archive(model: CLIP, path: Path) -> None:
    """Write a TorchScript archive as OpenAI's: fp16 weights, and three facts beside them."""
    model = model.eval().requires_grad_(False)
    side, tokens = int(model.visual.input_resolution), int(model.context_length)
    for name in _FACTS:
        fact = {"input_resolution": side, "context_length": tokens}.get(name, len(model.token_embedding.weight))
        vars(model).pop(name, None)
        model.register_buffer(name, torch.tensor(fact))
    from clip.model import convert_weights  # late, with all of clip: that takes longer to import than torch

    half = copy.deepcopy(model)
    convert_weights(half)
    state = half.state_dict()
    inputs = {
        "encode_image": torch.zeros(1, 3, side, side),
        "encode_text": torch.zeros(1, tokens, dtype=torch.long),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace_module(model, inputs, check_trace=False)
        for name, parameter in traced.named_parameters():
            parameter.data = state[name]
        traced.save(str(path))
