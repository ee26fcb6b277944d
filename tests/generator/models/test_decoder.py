"""The lean decoder compared with taming's own forward: value, gradient, memory, and fallback."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as functional
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from generator.models.drawers.decoder import decode
from generator.models.vqgan import VQGAN
from generator.runtime.precision import Precision

SHAPES: dict[str, dict[str, object]] = {
    "starter-like": {"ch": 32, "ch_mult": [1, 1, 1, 3], "num_res_blocks": 0, "attn_resolutions": []},
    "f16-like": {"ch": 32, "ch_mult": [1, 2, 2], "num_res_blocks": 2, "attn_resolutions": [16]},
    "without convolutions between sizes": {"ch_mult": [1, 2, 1], "num_res_blocks": 1, "resamp_with_conv": False},
    "wide": {"ch": 64, "ch_mult": [1, 1], "num_res_blocks": 1, "attn_resolutions": []},
}


def make(vqgan_config: DictConfig, **changes: object) -> VQGAN:
    config = OmegaConf.create(OmegaConf.to_container(vqgan_config))
    config.model.params.ddconfig.update(changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = VQGAN(config)
        for module in model.modules():
            if isinstance(module, torch.nn.GroupNorm):
                torch.nn.init.uniform_(module.weight, 0.5, 1.5)
                torch.nn.init.normal_(module.bias, std=0.3)
    return model.eval().requires_grad_(False)


def with_gradient(model: VQGAN, features: Tensor, lean: bool) -> tuple[Tensor, Tensor]:
    leaf = features.clone().requires_grad_(True)
    image = decode(model.decoder, leaf) if lean else model.decoder(leaf)
    (image * torch.linspace(-1, 2, image.numel(), dtype=image.dtype).view(image.shape)).sum().backward()
    return image.detach(), leaf.grad


@pytest.mark.parametrize("shape", SHAPES)
def test_the_lean_decoder_is_tamings_in_value_and_gradient(vqgan_config: DictConfig, shape: str) -> None:
    model = make(vqgan_config, **SHAPES[shape])
    features = torch.randn(1, 32, 16, 20, generator=torch.Generator().manual_seed(1))
    ours = with_gradient(model, features, lean=True)
    exact = with_gradient(model.double(), features.double(), lean=False)
    for mine, plain in zip(ours, exact, strict=True):
        assert ((mine.double() - plain).norm() / plain.norm()) < 2e-5


@pytest.mark.parametrize("shape", SHAPES)
def test_in_bfloat16_it_is_the_same_picture_but_for_rounding(vqgan_config: DictConfig, shape: str) -> None:
    model = make(vqgan_config, **SHAPES[shape])
    features = torch.randn(1, 32, 16, 20, generator=torch.Generator().manual_seed(1))
    exact = with_gradient(model, features, lean=True)
    model.compute_in(Precision.BF16)
    half = with_gradient(model, features, lean=True)
    for mine, plain in zip(half, exact, strict=True):
        assert functional.cosine_similarity(mine.float().flatten(), plain.flatten(), dim=0) > 0.99
    model.compute_in(Precision.FP32)
    assert all(weight.is_contiguous() for weight in model.decoder.parameters())


def test_pictures_come_from_the_lean_decoder(vqgan: VQGAN) -> None:
    latent = torch.randn(1, vqgan.latent_channels, 4, 4, generator=torch.Generator().manual_seed(1))
    expected = (vqgan.decoder(vqgan.post_quant_conv(latent)) + 1) / 2
    assert (vqgan.decode(latent) - expected).abs().max() < 1e-5


def test_a_decoder_that_learns_gets_gradients_for_its_weights(vqgan_config: DictConfig) -> None:
    model = make(vqgan_config)
    model.decoder.conv_in.requires_grad_(True)
    model.decode(torch.randn(1, model.latent_channels, 2, 2)).sum().backward()
    assert model.decoder.conv_in.weight.grad.abs().max() > 0


def test_much_less_is_kept_than_by_the_plain_decoder(vqgan_config: DictConfig) -> None:
    model = make(vqgan_config, **SHAPES["f16-like"])
    features = torch.randn(1, 32, 16, 16, requires_grad=True)
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}

    def kept(lean: bool) -> int:
        sizes: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            image = decode(model.decoder, features) if lean else model.decoder(features)
        del image
        return sum(size for address, size in sizes.items() if address not in own)

    assert kept(lean=True) < 0.4 * kept(lean=False)
