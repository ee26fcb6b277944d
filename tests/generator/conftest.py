"""Tiny models of the real classes with random weights: an f8 VQGAN, a ViT and a ResNet CLIP at 32 px, a prior."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO

import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from generator.loading import load_models
from generator.models.clip import CLIP, Perceptor
from generator.models.drawings.stored import STYLES, StoredDrawings
from generator.models.lexicon import Lexicon
from generator.models.model_set import Models
from generator.models.prior import Prior, PriorNetwork
from generator.models.vqgan import VQGAN
from generator.optimisation.dream import Dream
from generator.request import GenerationRequest
from generator.settings import Settings
from tests.generator.drawn import stored_sprite

VISION = {"vit": {"vision_layers": 1, "vision_patch_size": 16}, "resnet": {"vision_layers": (1, 1, 1, 1)}}


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Use one thread: tiny models gain nothing from several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def vqgan_config() -> DictConfig:
    network = {
        "double_z": False, "z_channels": 32, "resolution": 64, "in_channels": 3, "out_ch": 3, "ch": 32,
        "ch_mult": [1, 1, 1, 1], "num_res_blocks": 0, "attn_resolutions": [], "dropout": 0.0,
    }  # fmt: skip
    params = {"embed_dim": 4, "n_embed": 256, "ddconfig": network}
    return OmegaConf.create({"model": {"target": "taming.models.vqgan.VQModel", "params": params}})


@pytest.fixture(scope="session")
def make_clip() -> Callable[..., CLIP]:
    def make(kind: str = "vit", resolution: int = 32, seed: int = 0) -> CLIP:
        vision = {"vision_width": 64 if kind == "vit" else 8, "vision_patch_size": None, **VISION[kind]}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = CLIP(
                embed_dim=32, image_resolution=resolution, context_length=77, vocab_size=49408, transformer_width=64,
                transformer_heads=1, transformer_layers=1, **vision,
            )  # fmt: skip
            for module in model.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    torch.nn.init.normal_(module.running_mean, std=0.1)
                    torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
                    torch.nn.init.uniform_(module.weight, 0.5, 1.5)
        return model.eval()

    return make


@pytest.fixture(scope="session")
def vqgan(vqgan_config: DictConfig) -> VQGAN:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = VQGAN(vqgan_config)
        torch.nn.init.normal_(model.decoder.conv_out.weight, std=0.1)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def prior(vqgan: VQGAN) -> Prior:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = PriorNetwork(n_codes=256, grid=8, text_width=32, n_layer=1, n_head=2, n_embd=32).eval()
    rows = torch.full((2, len(STYLES)), -1)
    rows[:, 0] = torch.arange(2)
    drawings = StoredDrawings(rows, [stored_sprite(number) for number in range(2)])
    return Prior(network.requires_grad_(False), vqgan, Lexicon([["apple"], ["castle"]]), drawings, 1.0, 8)


@pytest.fixture(scope="session")
def models(vqgan: VQGAN, make_clip: Callable[..., CLIP], prior: Prior) -> Models:
    """One ViT perceptor and a prior."""
    perceptor = Perceptor(make_clip("vit"), "tiny-vit")
    return Models("tiny", vqgan, (perceptor,), prior, torch.device("cpu"), {})


@pytest.fixture(scope="session")
def starter() -> Models:
    """The starter on the CPU."""
    return load_models("starter", "cpu")


@pytest.fixture(scope="session")
def ensemble(vqgan: VQGAN, make_clip: Callable[..., CLIP]) -> Models:
    """Two perceptors that see different sizes, and no prior."""
    small = Perceptor(make_clip("vit"), "tiny-vit")
    large = Perceptor.from_state("tiny-resnet", make_clip("resnet", 64).state_dict())
    return Models("tiny", vqgan, (small, large), None, torch.device("cpu"), {})


@pytest.fixture(scope="session")
def make_request() -> Callable[..., GenerationRequest]:
    """A small request; settings and parts of the request by name."""

    def make(prompt: str = "a red apple", **values: object) -> GenerationRequest:
        parts = {name: values.pop(name) for name in ("image_prompts", "init_image", "parent", "stopped_at")
                 if name in values}  # fmt: skip
        settings = {"size": "32x32", "steps": 6, "cutouts": 4, "start": "random", **values}
        return GenerationRequest(prompt=prompt, models="tiny", settings=Settings().merged(settings), **parts)

    return make


@pytest.fixture(scope="session")
def png() -> Callable[..., bytes]:
    """A normalised picture file with some structure."""

    def make(width: int = 64, height: int = 64, colour: tuple[int, int, int] = (200, 30, 40)) -> bytes:
        image = Image.new("RGB", (width, height), "white")
        image.paste(colour, (width // 4, height // 4, width // 2, height * 3 // 4))
        out = BytesIO()
        image.save(out, "PNG")
        return out.getvalue()

    return make


@pytest.fixture(scope="session")
def dreamt() -> Callable[..., Dream]:
    """A dream stepped to its end, or for a number of steps."""

    def run(dream: Dream, steps: int | None = None) -> Dream:
        while not dream.finished and (steps is None or dream.progress.step < steps):
            dream.step()
        return dream

    return run
