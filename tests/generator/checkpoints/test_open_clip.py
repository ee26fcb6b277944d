"""Perceptors of OpenCLIP: tiny ones made by open_clip and timm, with random weights, against those packages."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from generator.checkpoints.catalogue import CLIP_CONFIGS, PERCEPTORS
from generator.checkpoints.clip.config import config_beside, folder_config, read_folder_config
from generator.checkpoints.clip.source import PerceptorSource
from generator.checkpoints.library import _opened_perceptor
from generator.errors import CheckpointError
from generator.models.clip import ClipConfig, Perceptor
from generator.runtime.precision import Precision

SIZE = 64


@pytest.fixture(scope="module")
def make_convnext() -> Callable[[str], nn.Module]:
    """open_clip's CLIP around a tiny ConvNeXt of timm."""
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
    from timm.models import convnext, register_model

    def tiny_convnext(pretrained: bool = False, **given: object) -> nn.Module:
        # timm begins with the scales of its blocks at a millionth, which would hide them.
        shape = {"depths": (1, 1, 2, 1), "dims": (8, 16, 24, 32), "ls_init_value": 0.5}
        return convnext._create_convnext("test_convnext", pretrained=pretrained, **shape, **given)

    tiny_convnext.__module__ = convnext.__name__
    register_model(tiny_convnext)

    def make(projection: str) -> nn.Module:
        vision = CLIPVisionCfg(
            timm_model_name="tiny_convnext", timm_proj=projection, timm_pool="", image_size=SIZE, timm_drop_path=0.1
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            model = CLIP(48, vision, CLIPTextCfg(width=64, heads=1, layers=1))
            for name, parameter in model.visual.named_parameters():
                if parameter.dim() == 1:
                    nn.init.normal_(parameter, 1.0 if name.endswith("weight") else 0.0, 0.1)
        return model.eval()

    return make


def opened(path: Path, folder: Path) -> Perceptor:
    found = _opened_perceptor(PerceptorSource.of(path), folder, None)
    state = {name: tensor.clone() for name, tensor in found.tensors.items()}
    return Perceptor.from_state(found.name, state, config=found.config)


@pytest.mark.parametrize("projection", ["linear", "mlp"])
def test_a_convnext_embeds_as_open_clip_does(
    projection: str, tmp_path: Path, make_convnext: Callable[[str], nn.Module]
) -> None:
    from open_clip import SimpleTokenizer

    model, path = make_convnext(projection), tmp_path / "convnext.bin"
    torch.save(model.state_dict(), path)
    with pytest.raises(CheckpointError, match=r"write size: 256 \(or 320, if its name says so\) and activation: gelu"):
        opened(path, tmp_path)
    if projection == "linear":
        config_beside(path).write_text(f"size: {SIZE}\nactivation: gelu\ntext_heads: 1\n")
    else:
        vision = {"timm_model_name": "tiny_convnext", "image_size": SIZE}
        shape = {"model_cfg": {"vision_cfg": vision, "text_cfg": {"heads": 1}}}
        (tmp_path / "open_clip_config.json").write_text(json.dumps(shape))
    perceptor = opened(path, tmp_path)
    assert perceptor.resolution == SIZE
    images = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(8), requires_grad=True)
    texts = ["a red apple", "a castle at night"]
    normal = (images - perceptor._mean) / perceptor._deviation
    theirs, ours = model.encode_image(normal, normalize=True), perceptor.embed_images(images)
    assert (ours - theirs).abs().max() < 1e-6
    gradients = [torch.autograd.grad(found[0, 0], images)[0] for found in (ours, theirs)]
    assert torch.allclose(*gradients, rtol=1e-3, atol=1e-7) and gradients[0].abs().max() > 0
    with torch.no_grad():
        words = model.encode_text(SimpleTokenizer()(texts), normalize=True)
    assert (perceptor.embed_texts(texts) - words).abs().max() < 1e-6
    perceptor.compute_in(Precision.BF16)
    assert torch.nn.functional.cosine_similarity(perceptor.embed_images(images), theirs).min() > 0.99


def test_a_folder_of_open_clip_says_activation_heads_and_colours(tmp_path: Path) -> None:
    path, half = tmp_path / "open_clip_config.json", [0.5] * 3
    model = {"quick_gelu": True, "vision_cfg": {"width": 1024, "image_size": 224}, "text_cfg": {"heads": 12}}
    path.write_text(json.dumps({"model_cfg": model, "preprocess_cfg": {"mean": half, "std": half}}))
    found = read_folder_config(folder_config(tmp_path / "open_clip_pytorch_model.bin") or path)
    wanted = {"vision_heads": 16, "text_heads": 12, "gelu": False, "mean": tuple(half), "deviation": tuple(half)}
    assert found == ClipConfig(**wanted)
    path.write_text('{"model_cfg": {"vision_cfg": {"timm_model_name": "x", "image_size": 250}}}')
    with pytest.raises(CheckpointError, match="has size: '250', which has to be a multiple of 32"):
        read_folder_config(path)


def test_the_catalogue_has_the_sizes_and_colours_of_open_clips_own_table() -> None:
    import open_clip

    for name, config in CLIP_CONFIGS.items():
        model, _, tag = name.partition("/")
        theirs = open_clip.get_pretrained_cfg(model, tag)
        assert config.get("mean", theirs["mean"]) == pytest.approx(theirs["mean"])
        shape = open_clip.get_model_config(model)
        if "timm_model_name" in shape["vision_cfg"]:
            assert config["size"] == shape["vision_cfg"]["image_size"]
        assert config["gelu"] is not shape.get("quick_gelu", False)
        assert f"{theirs['hf_hub'].strip('/')}/" in PERCEPTORS[name].urls[0]


def test_other_towers_of_timm_are_refused(tmp_path: Path, make_convnext: Callable[[str], nn.Module]) -> None:
    path = tmp_path / "vit.bin"
    torch.save({**make_convnext("linear").state_dict(), "visual.trunk.blocks.0.norm1.weight": torch.ones(8)}, path)
    with pytest.raises(CheckpointError, match="has a picture tower of timm that Reverie cannot run"):
        opened(path, tmp_path)
