"""Small model files in the published formats: Lightning checkpoints and TorchScript archives."""

from __future__ import annotations

import copy
import sys
import types
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from generator.models.clip import CLIP
from generator.models.vqgan import VQGAN
from tests.generator.tiny import describe_clip

# OpenAI's archives contain these tensors in addition to the weights.
FACTS = {"input_resolution": 32, "context_length": 77, "vocab_size": 49408}


@pytest.fixture(scope="session")
def vqgan_config() -> DictConfig:
    """A plain f8 VQGAN with 32 codes of 16 numbers."""
    network = {
        "double_z": False, "z_channels": 32, "resolution": 64, "in_channels": 3, "out_ch": 3, "ch": 32,
        "ch_mult": [1, 1, 1, 1], "num_res_blocks": 0, "attn_resolutions": [], "dropout": 0.0,
    }  # fmt: skip
    params = {"embed_dim": 16, "n_embed": 32, "ddconfig": network}
    return OmegaConf.create({"model": {"target": "taming.models.vqgan.VQModel", "params": params}})


@pytest.fixture(scope="session")
def gumbel_config() -> DictConfig:
    network = {
        "double_z": False, "z_channels": 32, "resolution": 32, "in_channels": 3, "out_ch": 3, "ch": 32,
        "ch_mult": [1, 1, 2, 1], "num_res_blocks": 1, "attn_resolutions": [4], "dropout": 0.0,
    }  # fmt: skip
    params = {"embed_dim": 32, "n_embed": 48, "kl_weight": 1e-8, "ddconfig": network}
    return OmegaConf.create({"model": {"target": "taming.models.vqgan.GumbelVQ", "params": params}})


@pytest.fixture(scope="session")
def weights(vqgan_config: DictConfig) -> dict[str, Tensor]:
    """The state dict of that VQGAN, random."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return {name: tensor.clone() for name, tensor in VQGAN(vqgan_config).state_dict().items()}


@pytest.fixture
def yaml(tmp_path: Path, vqgan_config: DictConfig) -> Path:
    """The yaml of the tiny VQGAN."""
    path = tmp_path / "tiny.yaml"
    OmegaConf.save(vqgan_config, path)
    return path


@pytest.fixture(scope="session")
def foreign_class() -> Iterator[type]:
    """A class whose module exists only while a checkpoint is written; reading must work without it."""
    module = types.ModuleType("lightning_of_old")
    module.ModelCheckpoint = type("ModelCheckpoint", (dict,), {"__module__": module.__name__})
    sys.modules[module.__name__] = module
    yield module.ModelCheckpoint
    del sys.modules[module.__name__]


@pytest.fixture(scope="session")
def lightning(foreign_class: type) -> Callable[[Mapping[str, Tensor]], dict[str, object]]:
    """A Lightning checkpoint: the weights with a loss network, an optimiser and foreign objects."""

    def wrap(state: Mapping[str, Tensor]) -> dict[str, object]:
        parameter = torch.nn.Parameter(torch.ones(3))
        optimiser = torch.optim.Adam([parameter])
        parameter.sum().backward()
        optimiser.step()
        loss = {"loss.discriminator.main.0.weight": torch.ones(2, 3), "loss.perceptual_loss.lin0.weight": torch.ones(4)}
        return {
            "epoch": 12,
            "global_step": 3456,
            "pytorch-lightning_version": "1.0.8",
            "callbacks": {foreign_class: {"best_model_score": torch.tensor(0.5), "best_model_path": Path("x")}},
            "hyper_parameters": foreign_class(),
            "optimizer_states": [optimiser.state_dict()],
            "lr_schedulers": [],
            "state_dict": OrderedDict({**state, **loss}),
        }

    return wrap


@pytest.fixture(scope="session", params=["vit", "resnet"])
def archive(
    request: pytest.FixtureRequest, make_clip: Callable[..., CLIP], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Tensor]]:
    """A TorchScript archive made as OpenAI's are, of a ViT or a ResNet in fp16, and the state dict it was made from."""
    from clip.model import convert_weights

    model = make_clip(request.param)
    for name, value in FACTS.items():
        vars(model).pop(name, None)
        model.register_buffer(name, torch.tensor(value))
    half = copy.deepcopy(model)
    convert_weights(half)
    state = half.state_dict()
    inputs = {"encode_image": torch.zeros(1, 3, 32, 32), "encode_text": torch.zeros(1, 77, dtype=torch.long)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace_module(model, inputs)
        for name, parameter in traced.named_parameters():
            parameter.data = state[name]
        path = tmp_path_factory.mktemp("archive") / f"{request.param}.pt"
        traced.save(str(path))
    describe_clip(path, 1 if request.param == "vit" else 4)
    return path, {name: tensor for name, tensor in state.items() if name not in FACTS}
