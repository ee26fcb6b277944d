"""Settings that a CLIP's weights lack: heads and activation come from a yaml next to it, or from the user."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as functional
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from generator.checkpoints.clip.config import config_beside, read_clip_config
from generator.checkpoints.clip.weights import CLIPWeights
from generator.checkpoints.library import open_files, open_perceptor
from generator.errors import CheckpointError
from generator.loading import load_opened
from generator.models.clip import (
    CLIP,
    DEFAULT_CONFIG,
    DEVIATION,
    MEAN,
    ClipConfig,
    Perceptor,
    ResidualAttentionBlock,
    VisionTransformer,
)
from generator.models.vqgan import VQGAN
from tests.generator.tiny import clip_tokens


def wide_clip(width: int = 320, heads: int = 4, text_heads: int = 2) -> CLIP:
    """A CLIP with a vision tower of a width that OpenAI's do not have."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = CLIP(32, 32, 1, 64, 16, 77, 49408, 64, text_heads, 1)
        model.visual = VisionTransformer(32, 16, width, 2, heads, 32)
    return model.eval()


def seen(images: Tensor) -> Tensor:
    return (images - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]


@torch.no_grad()
def compare(model: CLIP, perceptor: Perceptor) -> float:
    """The largest difference of an embedding."""
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(8))
    pictures = functional.normalize(model.encode_image(seen(images)), dim=-1) - perceptor.embed_images(images)
    words = ["a red apple", "a castle in the fog"]
    texts = functional.normalize(model.encode_text(clip_tokens(*words)), dim=-1) - perceptor.embed_texts(words)
    return float(torch.cat([pictures, texts]).abs().max())


@pytest.mark.parametrize(("width", "heads"), [(320, 4), (100, 2), (1280, 16)])
def test_heads_are_those_of_the_config(width: int, heads: int) -> None:
    model = wide_clip(width, heads)
    config = ClipConfig(vision_heads=heads, text_heads=2)
    CLIPWeights(config).check(model.state_dict())
    assert compare(model, Perceptor.from_state("x", model.state_dict(), config=config)) < 1e-5


def test_a_resnet_has_the_heads_of_its_config(make_clip: Callable[..., CLIP]) -> None:
    model = make_clip("resnet")
    before = model.visual.attnpool.num_heads
    try:
        model.visual.attnpool.num_heads = 8
        assert compare(model, Perceptor.from_state("x", model.state_dict(), config=ClipConfig(vision_heads=8))) < 1e-5
    finally:
        model.visual.attnpool.num_heads = before


def test_gelu_is_used_if_the_config_says_so() -> None:
    model = wide_clip(64, 1, 1)
    with torch.no_grad():
        for block in model.modules():
            if isinstance(block, ResidualAttentionBlock):
                block.mlp.c_fc.weight *= 5  # so that the two differ
    quick = Perceptor.from_state("x", model.state_dict())
    assert compare(model, quick) < 1e-5
    for block in model.modules():
        if isinstance(block, ResidualAttentionBlock):
            block.mlp.gelu = nn.GELU()
    assert compare(model, quick) > 1e-4
    gelu = Perceptor.from_state("x", model.state_dict(), config=ClipConfig(gelu=True))
    assert compare(model, gelu) < 1e-5


def test_gradients_of_gelu_are_those_of_the_plain_model() -> None:
    model = wide_clip(64, 1, 1)
    for block in model.modules():
        if isinstance(block, ResidualAttentionBlock):
            block.mlp.gelu = nn.GELU()
    perceptor = Perceptor.from_state("x", model.state_dict(), config=ClipConfig(gelu=True))
    ours, plain = (torch.full((1, 3, 32, 32), 0.4, requires_grad=True) for _ in range(2))
    perceptor.embed_images(ours)[0, 0].backward()
    functional.normalize(model.encode_image(seen(plain)), dim=-1)[0, 0].backward()
    assert (ours.grad - plain.grad).norm() / plain.grad.norm() < 1e-4


def test_a_width_that_openai_has_not_is_asked_about(tmp_path: Path) -> None:
    path = tmp_path / "my-clip.pt"
    torch.save(wide_clip().state_dict(), path)
    with pytest.raises(CheckpointError, match=r"^my-clip\.pt has a vision width of 320, .*write vision_heads into"):
        open_perceptor(path, tmp_path)
    config_beside(path).write_text("vision_heads: 4\n")
    with pytest.raises(CheckpointError, match=r"^my-clip\.pt has a text width of 64, .*write text_heads into"):
        open_perceptor(path, tmp_path)
    config_beside(path).write_text("vision_heads: 4\ntext_heads: 2\n")
    assert open_perceptor(path, tmp_path)[0] == "my-clip"


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(Exception, match="is no CLIP that Reverie can run"):
        CLIPWeights(ClipConfig(vision_heads=3, text_heads=1)).check(wide_clip().state_dict())


def test_the_config_next_to_a_file_reaches_the_model_and_the_recipe(tmp_path: Path, vqgan_config: DictConfig) -> None:
    OmegaConf.save(vqgan_config, tmp_path / "tiny.yaml")
    torch.save(VQGAN(vqgan_config).state_dict(), tmp_path / "tiny.ckpt")
    path, model = tmp_path / "my-clip.pt", wide_clip()
    torch.save(model.state_dict(), path)
    config_beside(path).write_text("vision_heads: 4\ntext_heads: 2\nactivation: gelu\n")
    opened = open_files(tmp_path / "tiny.ckpt", tmp_path / "tiny.yaml", [path], tmp_path / "models")
    assert set(opened.files) == {"tiny.ckpt", "my-clip.pt", "my-clip.pt.yaml"}
    for block in model.modules():
        if isinstance(block, ResidualAttentionBlock):
            block.mlp.gelu = nn.GELU()
    (perceptor,) = load_opened(opened, torch.device("cpu")).perceptors
    assert compare(model, perceptor) < 1e-5


def test_a_foreign_file_with_openais_shapes_runs_by_its_config(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with torch.device("meta"):
        shapes = CLIP(32, 32, 1, 768, 16, 77, 49408, 512, 8, 1).state_dict()
    path = tmp_path / "my-clip.pt"
    torch.save({name: torch.zeros(tensor.shape, dtype=torch.float16) for name, tensor in shapes.items()}, path)
    with caplog.at_level(logging.WARNING):
        open_perceptor(path, tmp_path)
    assert "taken for QuickGELU. If it is GELU, say so in my-clip.pt.yaml" in caplog.text
    caplog.clear()
    config_beside(path).write_text("activation: quick_gelu\n")
    open_perceptor(path, tmp_path)
    assert not caplog.text


def test_an_empty_choice_is_openais(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("activation: quick_gelu\n")
    assert read_clip_config(tmp_path / "a.yaml") == DEFAULT_CONFIG


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1", "is no yaml"),
        ("- 1", "is no list of names with values"),
        ("", "is no list of names with values"),
        ("heads: 4", "has the key 'heads'; known are"),
        ("vision_heads: many", "has vision_heads: 'many', which has to be a number from 1 to 128"),
        ("vision_heads: 0", "has vision_heads: '0'"),
        ("text_heads: true", "has text_heads: 'True'"),
        ("activation: relu", "has activation: 'relu', which has to be gelu or quick_gelu"),
        ("activation: [gelu]", "which has to be gelu or quick_gelu"),
    ],
)
def test_a_bad_config_is_refused_with_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "bad.pt.yaml").write_text(text)
    with pytest.raises(CheckpointError, match=words) as caught:
        read_clip_config(tmp_path / "bad.pt.yaml")
    assert str(caught.value).startswith("bad.pt.yaml ")
