"""The VQGAN around taming's parts; parity with taming itself is tested with the checkpoints."""

from __future__ import annotations

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from generator.errors import CheckpointError
from generator.models.vqgan import VQGAN


def test_the_nearest_code_is_the_one_at_the_smallest_distance(vqgan: VQGAN) -> None:
    latent = torch.randn(2, vqgan.latent_channels, 3, 5, generator=torch.Generator().manual_seed(1))
    rows = latent.permute(0, 2, 3, 1).reshape(-1, vqgan.latent_channels)
    plain = torch.stack([(vqgan.codebook - row).square().sum(dim=1).argmin() for row in rows]).reshape(2, 3, 5)
    quantised, codes = vqgan.quantise(latent)
    assert torch.equal(codes, plain)
    assert torch.equal(quantised[1, :, 2, 4], vqgan.codebook[plain[1, 2, 4]])


def test_shapes_follow_the_factor(vqgan: VQGAN) -> None:
    latent = vqgan.encode(torch.rand(1, 3, 48, 32))
    assert vqgan.factor == 8
    assert latent.shape == (1, vqgan.latent_channels, 6, 4)
    assert vqgan.decode(latent).shape == (1, 3, 48, 32)


def test_a_gumbel_encoder_gives_the_vector_of_its_best_code(vqgan_config: DictConfig) -> None:
    config = OmegaConf.create(OmegaConf.to_container(vqgan_config))
    config.model.target = "taming.models.vqgan.GumbelVQ"
    model = VQGAN(config).eval()
    latent = model.encode(torch.rand(1, 3, 16, 16))
    assert torch.equal(model.quantise(latent)[0], latent)
    assert "quantize.embed.weight" in model.state_dict()


@pytest.mark.parametrize("missing", ["embed_dim", "n_embed", "ddconfig"])
def test_a_yaml_that_lacks_a_part_is_refused_in_words(vqgan_config: DictConfig, missing: str) -> None:
    config = OmegaConf.create(OmegaConf.to_container(vqgan_config))
    del config.model.params[missing]
    with pytest.raises(CheckpointError, match="not one of taming-transformers' VQGANs"):
        VQGAN(config)
