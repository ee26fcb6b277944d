"""With the same weights our VQGAN equals taming's modules and our perceptor equals clip."""

import copy
from collections.abc import Callable

import pytest
import torch
from omegaconf import DictConfig
from taming.modules.diffusionmodules.model import Decoder, Encoder
from taming.modules.vqvae.quantize import GumbelQuantize, VectorQuantizer2
from torch import Tensor, nn
from torch.nn import functional

from generator.models.clip import CLIP, DEVIATION, MEAN, Perceptor
from generator.models.vqgan import VQGAN
from tests.generator.tiny import clip_tokens

TOLERANCE = 1e-4


class TamingVQGAN(nn.Module):
    """taming's VQModel or GumbelVQ, assembled from its modules like its Lightning class."""

    def __init__(self, config: DictConfig) -> None:
        super().__init__()
        params, network = config.model.params, config.model.params.ddconfig
        self.encoder, self.decoder = Encoder(**network), Decoder(**network)
        self.gumbel = config.model.target.endswith("GumbelVQ")
        if self.gumbel:
            self.quantize = GumbelQuantize(network.z_channels, params.embed_dim, n_embed=params.n_embed, kl_weight=1e-8)
        else:
            self.quantize = VectorQuantizer2(params.n_embed, params.embed_dim, beta=0.25)
        self.quant_conv = nn.Conv2d(network.z_channels, params.embed_dim, 1)
        self.post_quant_conv = nn.Conv2d(params.embed_dim, network.z_channels, 1)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Quantised latent and codes of images in -1..1."""
        quantised, _, (_, _, codes) = self.quantize(self.quant_conv(self.encoder(images)))
        return quantised, codes

    def decode(self, quantised: Tensor) -> Tensor:
        """Images, about -1..1."""
        return self.decoder(self.post_quant_conv(quantised))


def pair(config: DictConfig) -> tuple[VQGAN, TamingVQGAN]:
    """Ours and taming's with the same random weights, all non-zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        theirs = TamingVQGAN(config)
        for parameter in theirs.parameters():
            nn.init.normal_(parameter, std=0.05)
        for module in theirs.modules():
            if isinstance(module, nn.GroupNorm):
                nn.init.uniform_(module.weight, 0.5, 1.5)
        nn.init.normal_((theirs.quantize.embed if theirs.gumbel else theirs.quantize.embedding).weight)
    ours = VQGAN(config)
    ours.load_state_dict(theirs.state_dict())
    return ours.eval(), theirs.eval()


@pytest.fixture(scope="module")
def f16_config(vqgan_config: DictConfig) -> DictConfig:
    config = copy.deepcopy(vqgan_config)
    config.model.params.ddconfig |= {"ch_mult": [1, 1, 1, 1, 2], "attn_resolutions": [4], "num_res_blocks": 1}
    return config


@pytest.fixture(scope="module", params=["f16", "gumbel", "pooled"])
def both(
    request: pytest.FixtureRequest, f16_config: DictConfig, gumbel_config: DictConfig
) -> tuple[VQGAN, TamingVQGAN]:
    if request.param == "pooled":
        config = copy.deepcopy(f16_config)
        config.model.params.ddconfig.resamp_with_conv = False
        return pair(config)
    return pair(f16_config if request.param == "f16" else gumbel_config)


def pictures() -> Tensor:
    return torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(5))


@torch.no_grad()
def test_encode_and_quantise_equal_tamings(both: tuple[VQGAN, TamingVQGAN]) -> None:
    ours, theirs = both
    if theirs.gumbel:
        # taming adds noise even in eval mode; scores this far apart outweigh it, and the best code wins.
        theirs = copy.deepcopy(theirs)
        theirs.quantize.proj.weight *= 1e6
        theirs.quantize.proj.bias *= 1e6
    wanted, codes = theirs.encode(pictures() * 2 - 1)
    found, numbers = ours.quantise(ours.encode(pictures()))
    assert torch.equal(numbers.flatten(), codes.flatten())
    assert len(numbers.unique()) > 1
    assert (found - wanted).abs().max() < TOLERANCE


@torch.no_grad()
def test_the_latent_before_quantising_equals_tamings(f16_config: DictConfig) -> None:
    ours, theirs = pair(f16_config)
    wanted = theirs.quant_conv(theirs.encoder(pictures() * 2 - 1))
    assert (ours.encode(pictures()) - wanted).abs().max() < TOLERANCE


@torch.no_grad()
def test_decode_equals_tamings(both: tuple[VQGAN, TamingVQGAN]) -> None:
    ours, theirs = both
    codes = torch.randint(len(ours.codebook), (2, 3, 5), generator=torch.Generator().manual_seed(6))
    latent = ours.lookup(codes)
    assert torch.equal(latent, theirs.quantize.get_codebook_entry(codes.flatten(), (2, 3, 5, latent.shape[1])))
    assert (ours.decode(latent) * 2 - 1 - theirs.decode(latent)).abs().max() < TOLERANCE


@torch.no_grad()
def test_quantising_takes_the_nearest_code(both: tuple[VQGAN, TamingVQGAN]) -> None:
    ours, _ = both
    latent = torch.randn(1, ours.latent_channels, 4, 4, generator=torch.Generator().manual_seed(7))
    rows = latent.permute(0, 2, 3, 1).flatten(0, 2)
    assert torch.equal(ours.quantise(latent)[1].flatten(), torch.cdist(rows, ours.codebook).argmin(dim=1))


@pytest.mark.parametrize("half", [False, True], ids=["fp32", "fp16"])
@pytest.mark.parametrize("kind", ["vit", "resnet"])
@torch.no_grad()
def test_a_perceptor_equals_clip(make_clip: Callable[..., CLIP], kind: str, half: bool) -> None:
    from clip.model import build_model

    reference = make_clip(kind, 64)
    if half:
        # Like clip.load from OpenAI's file: build_model rounds the weights to fp16.
        reference = build_model(reference.state_dict()).float()
    perceptor = Perceptor.from_state("tiny", reference.state_dict())
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(8))
    seen = (images - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]
    wanted = functional.normalize(reference.encode_image(seen), dim=-1)
    assert (perceptor.embed_images(images) - wanted).abs().max() < TOLERANCE
    texts = ["a red apple", "Ein Schloss im Nebel: 3 Türme!", "", "x" * 60]
    wanted = functional.normalize(reference.encode_text(clip_tokens(*texts)), dim=-1)
    assert (perceptor.embed_texts(texts) - wanted).abs().max() < TOLERANCE
