"""CLIPs in the layout of transformers, and models that are no such CLIP."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from generator.checkpoints.clip.config import config_beside, read_folder_config
from generator.checkpoints.clip.source import PerceptorSource
from generator.checkpoints.library import _opened_perceptor
from generator.errors import CheckpointError
from generator.models.clip import CLIP, MEAN, Perceptor, ResidualAttentionBlock

State = dict[str, Tensor]


def as_transformers(state: State) -> State:
    """The state dict of clip.model.CLIP by the names of transformers' CLIPModel."""
    names = {
        "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
        "positional_embedding": "text_model.embeddings.position_embedding.weight",
        "ln_final": "text_model.final_layer_norm",
        "visual.class_embedding": "vision_model.embeddings.class_embedding",
        "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
        "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
        "visual.ln_pre": "vision_model.pre_layrnorm",
        "visual.ln_post": "vision_model.post_layernorm",
    }
    parts = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2",
             "attn.out_proj": "self_attn.out_proj"}  # fmt: skip
    found: State = {"text_model.embeddings.position_ids": torch.arange(77)[None], "logit_scale": state["logit_scale"]}
    found["text_projection.weight"] = state["text_projection"].t().contiguous()
    found["visual_projection.weight"] = state["visual.proj"].t().contiguous()
    for name, tensor in state.items():
        if ".resblocks." in name:
            before, after = name.split("transformer.resblocks.")
            number, _, rest = after.partition(".")
            side = "vision" if before else "text"
            layer = f"{side}_model.encoder.layers.{number}."
            if "in_proj" in rest:
                for part, value in zip("qkv", tensor.chunk(3), strict=True):
                    found[f"{layer}self_attn.{part}_proj.{rest.rpartition('_')[2]}"] = value.contiguous()
            else:
                stem, _, leaf = rest.rpartition(".")
                found[f"{layer}{parts[stem]}.{leaf}"] = tensor
        elif (place := next((key for key in names if name == key or name.startswith(f"{key}.")), None)) is not None:
            found[names[place] + name.removeprefix(place)] = tensor
    return found


def saved(
    folder: Path, state: State, config: dict[str, object] | None, colours: dict[str, object] | None = None
) -> Path:
    folder.mkdir()
    safetensors.torch.save_file(state, folder / "model.safetensors")
    for name, content in (("config.json", config), ("preprocessor_config.json", colours)):
        if content is not None:
            (folder / name).write_text(json.dumps(content))
    return folder / "model.safetensors"


def opened(path: Path, folder: Path) -> Perceptor:
    found = _opened_perceptor(PerceptorSource.of(path), folder, None)
    state = {name: tensor.clone() for name, tensor in found.tensors.items()}
    return Perceptor.from_state(found.name, state, config=found.config)


TOWERS = {"vision_config": {"num_attention_heads": 1}, "text_config": {"num_attention_heads": 1}}


@pytest.mark.parametrize("act", ["gelu", "quick_gelu", None])
def test_a_clip_of_transformers_embeds_as_the_original(
    act: str | None, tmp_path: Path, make_clip: Callable[..., CLIP]
) -> None:
    model = make_clip()
    towers = {name: tower | ({} if act is None else {"hidden_act": act}) for name, tower in TOWERS.items()}
    path = saved(tmp_path / "clip", as_transformers(model.state_dict()), {"model_type": "clip", **towers})
    perceptor = opened(path, tmp_path)
    if act == "gelu":
        for block in model.modules():
            if isinstance(block, ResidualAttentionBlock):
                block.mlp.gelu = nn.GELU()
    plain = Perceptor(model, "plain")
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(8))
    if act == "gelu":  # the fast path reads the activation of its own blocks
        assert isinstance(perceptor.model.visual.transformer.resblocks[0].mlp.gelu, nn.GELU)
    assert (perceptor.embed_images(images) - plain.embed_images(images)).abs().max() < 1e-6
    assert (perceptor.embed_texts(["a red apple"]) - plain.embed_texts(["a red apple"])).abs().max() < 1e-6


def test_colours_are_scaled_as_the_folder_says(tmp_path: Path, make_clip: Callable[..., CLIP]) -> None:
    state, config = as_transformers(make_clip().state_dict()), {"model_type": "clip", **TOWERS}
    half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    perceptor, plain = (
        opened(saved(tmp_path / name, state, config, colours), tmp_path / "models")
        for name, colours in (("half", half), ("plain", None))
    )
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(8))
    rescaled = ((images - 0.5) / 0.5) * plain._deviation + plain._mean
    assert torch.allclose(perceptor.embed_images(images), plain.embed_images(rescaled), atol=1e-5)
    assert plain._mean.flatten().tolist() == pytest.approx(MEAN)


def test_the_activation_of_a_file_of_transformers_must_be_stated(
    tmp_path: Path, make_clip: Callable[..., CLIP]
) -> None:
    path = saved(tmp_path / "clip", as_transformers(make_clip().state_dict()), None)
    with pytest.raises(CheckpointError, match=r"put the config\.json that belongs to it beside it"):
        opened(path, tmp_path)
    config_beside(path).write_text("activation: gelu\nvision_heads: 1\ntext_heads: 1\n")
    assert isinstance(opened(path, tmp_path).model.transformer.resblocks[0].mlp.gelu, nn.GELU)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"vision_config": {"hidden_act": "gelu"}}, "both towers need gelu, or both quick_gelu"),
        ({"vision_config": {"hidden_act": "relu"}, "text_config": {"hidden_act": "relu"}}, "both towers need gelu"),
        ({"vision_config": []}, "is no list of names with values"),
        ({"vision_config": {"num_attention_heads": 999}}, "which has to be a number from 1 to 128"),
    ],
)
def test_a_folder_that_contradicts_itself_is_refused(config: dict[str, object], sentence: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip", **config}))
    with pytest.raises(CheckpointError, match=sentence):
        read_folder_config(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("visual.trunk.blocks.0.norm1.weight", "has a picture tower of timm"),
        ("visual.trunk.attn_pool.latent", "is a SigLIP of OpenCLIP; put the open_clip_config.json and tokenizer.json"),
        (
            "vision_model.head.probe",
            "is a SigLIP in the layout of transformers; put the config.json and tokenizer.json",
        ),
        ("text.transformer.embeddings.word_embeddings.weight", "reads text by a network of the BERT family; put the"),
        ("text.transformer.encoder.block.0.layer.weight", "reads text by a network that Reverie cannot run"),
    ],
)
def test_other_kinds_of_perceptors_are_refused_with_a_sentence(
    name: str, sentence: str, tmp_path: Path, make_clip: Callable[..., CLIP]
) -> None:
    path = saved(tmp_path / "clip", {**make_clip().state_dict(), name: torch.ones(1)}, None)
    with pytest.raises(CheckpointError, match=sentence):
        opened(path, tmp_path)


def test_a_part_that_is_missing_is_named(tmp_path: Path, make_clip: Callable[..., CLIP]) -> None:
    state = as_transformers(make_clip().state_dict())
    del state["vision_model.encoder.layers.0.self_attn.k_proj.weight"]
    path = saved(tmp_path / "clip", state, {"model_type": "clip", **TOWERS})
    with pytest.raises(
        CheckpointError, match=r"lacks a part of visual\.transformer\.resblocks\.0\.attn\.in_proj_weight"
    ):
        opened(path, tmp_path)
