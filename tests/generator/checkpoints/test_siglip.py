"""SigLIP and SigLIP 2: tiny ones by transformers, timm and open_clip, with random weights, against those packages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from omegaconf import DictConfig
from torch import nn

from generator.checkpoints.clip.config import config_beside
from generator.checkpoints.vqgan_weights import VQGANWeights
from generator.errors import CheckpointError
from generator.runtime.precision import Precision
from tests.generator.checkpoints.foreign_towers import (
    CONTEXT,
    SIDE,
    TEXTS,
    gemmas,
    opened,
    same,
    save,
    siglip,
    siglip_folder,
    siglip_of_timm,
    siglips,
    size_of,
)
from tests.generator.checkpoints.hostile import refused


def pictures() -> torch.Tensor:
    return torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(8), requires_grad=True)


@pytest.mark.parametrize("kind", ["siglip", "siglip 2"])
def test_a_siglip_of_transformers_embeds_as_transformers_does(kind: str, tmp_path: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    tokenizer = siglips() if kind == "siglip" else gemmas()
    marks = (
        {"eos_token": "</s>", "pad_token": "</s>"} if kind == "siglip" else {"eos_token": "<eos>", "pad_token": "<pad>"}
    )
    model = siglip(size_of(tokenizer))
    perceptor = opened(siglip_folder(tmp_path / "siglip-tiny", tokenizer, model), tmp_path)
    assert (perceptor.name, perceptor.resolution, perceptor.context) == ("siglip-tiny", SIDE, CONTEXT)
    images = pictures()
    theirs, ours = (
        model.get_image_features(pixel_values=(images - 0.5) / 0.5).pooler_output,
        perceptor.embed_images(images),
    )
    assert same(ours, theirs)
    unit = nn.functional.normalize(theirs, dim=-1)
    gradients = [torch.autograd.grad(found[0, 0], images)[0] for found in (ours, unit)]
    assert torch.allclose(*gradients, rtol=1e-3, atol=1e-6) and gradients[0].abs().max() > 0.01
    # Their tokenizers lower-case, SigLIP's takes punctuation out too; SentencePiece, which does it, is not installed.
    cleaned = [text.lower() for text in TEXTS]
    if kind == "siglip":
        cleaned = [text.translate(str.maketrans("_", " ", ",!")) for text in cleaned]
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, padding_side="right", **marks)
    ids = fast(cleaned, padding="max_length", max_length=CONTEXT, truncation=True, return_tensors="pt").input_ids
    assert torch.equal(perceptor._pieces.batch(list(TEXTS)), ids)
    with torch.no_grad():
        words = model.get_text_features(input_ids=ids).pooler_output
    assert same(perceptor.embed_texts(TEXTS), words)
    assert perceptor.sharpness == pytest.approx(float(model.logit_scale.detach().exp()))
    perceptor.compute_in(Precision.BF16)
    assert nn.functional.cosine_similarity(perceptor.embed_images(images), unit).min() > 0.99


def test_a_siglip_of_open_clip_embeds_as_open_clip_does(tmp_path: Path) -> None:
    from open_clip.tokenizer import HFTokenizer
    from transformers import PreTrainedTokenizerFast

    tokenizer = siglips()
    model = siglip_of_timm(size_of(tokenizer))
    shape = {
        "vision_cfg": {"timm_model_name": "tiny_siglip", "timm_pool": "map", "image_size": SIDE},
        "text_cfg": {"heads": 4, "no_causal_mask": True},
    }
    folder = tmp_path / "ViT-tiny-SigLIP"
    path = save(folder, model.state_dict(), None, open_clip_config={"model_cfg": shape, "preprocess_cfg": {}})
    with pytest.raises(
        CheckpointError, match=r"tokenizer\.json is missing: this perceptor reads text by a tokenizer of"
    ):
        opened(path, tmp_path)
    marks = {"eos_token": "</s>", "pad_token": "</s>"}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, padding_side="right", **marks)
    fast.save_pretrained(folder)
    with pytest.raises(CheckpointError, match="has a vision width of 48, which no published SigLIP has"):
        opened(path, tmp_path)
    config_beside(path).write_text("text: siglip\nvision_heads: 3\ntext_heads: 4\n")
    perceptor, images = opened(path, tmp_path), pictures()
    assert same(perceptor.embed_images(images), model.encode_image((images - 0.5) / 0.5))
    ids = HFTokenizer(str(folder), context_length=CONTEXT, clean="canonicalize")(list(TEXTS))
    assert torch.equal(perceptor._pieces.batch(list(TEXTS)), ids)
    with torch.no_grad():
        assert same(perceptor.embed_texts(TEXTS), model.encode_text(ids))


def test_the_exact_gelu_of_open_clip_differs_by_less_than_a_thousandth(tmp_path: Path) -> None:
    tokenizer = siglips()
    model = siglip_of_timm(size_of(tokenizer))
    path = save(tmp_path / "siglip", model.state_dict(), tokenizer)
    config_beside(path).write_text("text: siglip\nvision_heads: 3\ntext_heads: 4\n")
    for module in model.modules():
        for name, child in module.named_children():
            if type(child).__name__.startswith("GELU"):
                setattr(module, name, nn.GELU())
    perceptor, images = opened(path, tmp_path), pictures()
    theirs = model.encode_image((images - 0.5) / 0.5, normalize=True)
    assert 1e-6 < (perceptor.embed_images(images) - theirs).abs().max() < 1e-3


def test_the_end_of_a_prompt_that_is_not_read_is_told(tmp_path: Path) -> None:
    tokenizer = siglips()
    perceptor = opened(siglip_folder(tmp_path / "siglip", tokenizer, siglip(size_of(tokenizer))), tmp_path)
    assert perceptor.cut_off("a red apple") == ""
    text = "a red apple " * 12
    rest = perceptor.cut_off(text)
    assert rest and text.rstrip().endswith(rest)
    assert perceptor.cut_off(text.rstrip().removesuffix(rest)) == ""
    assert (perceptor.embed_texts([text]) - perceptor.embed_texts([text + " moon"])).abs().max() == 0


def test_typed_marks_are_not_read_as_marks(tmp_path: Path) -> None:
    tokenizer = siglips()
    perceptor = opened(siglip_folder(tmp_path / "siglip", tokenizer, siglip(size_of(tokenizer))), tmp_path)
    pieces = perceptor._pieces
    pieces._clean = lambda text: text  # SigLIP's own cleaning takes the brackets away
    end = tokenizer.token_to_id("</s>")
    assert end not in pieces.ids("a red </s> apple") and pieces.ids("a red </s> apple")
    assert perceptor.unknown_words("apple 🦄") == ("🦄",)


CHANGES = {
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), r"Put the tokenizer\.json that its authors"),
    "another tokenizer": (
        lambda folder: xlm_without_end(folder),
        r"tokenizer\.json lacks the pieces </s> and </s> or <eos> and <pad>: it belongs to another model",
    ),
    "no json": (lambda folder: (folder / "tokenizer.json").write_text("<html>"), "is no tokenizer of Hugging Face's"),
    "an activation": (
        lambda folder: changed(folder, "vision_config", hidden_act="gelu"),
        "a SigLIP has gelu_pytorch_tanh: get it again",
    ),
    "NaFlex": (lambda folder: changed(folder, model_type="siglip2"), r"pictures of any size \(NaFlex\)"),
    "another kind": (lambda folder: changed(folder, model_type="clip"), "is a SigLIP in the layout of transformers"),
    "heads": (lambda folder: changed(folder, "text_config", num_attention_heads=5), "5 heads do not divide 64"),
}


def changed(folder: Path, *place: str, **values: object) -> None:
    content = json.loads((folder / "config.json").read_text())
    part = content
    for name in place:
        part = part[name]
    part.update(values)
    for tower in ("vision_config", "text_config"):
        if values.get("model_type") == "clip":
            content[tower]["hidden_act"] = "gelu"
    (folder / "config.json").write_text(json.dumps(content))


def xlm_without_end(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    renamed = json.dumps(content).replace("</s>", "</x>")
    (folder / "tokenizer.json").write_text(renamed)


@pytest.mark.parametrize("name", CHANGES)
def test_a_folder_that_cannot_be_used_is_refused_with_a_sentence(name: str, tmp_path: Path) -> None:
    tokenizer = siglips()
    path = siglip_folder(tmp_path / "siglip", tokenizer, siglip(size_of(tokenizer)))
    change, sentence = CHANGES[name]
    change(path.parent)
    with pytest.raises(CheckpointError, match=sentence):
        opened(path, tmp_path)


def test_a_tokenizer_without_a_piece_for_the_unknown_is_told(tmp_path: Path) -> None:
    tokenizer = siglips()
    path = siglip_folder(tmp_path / "siglip", tokenizer, siglip(size_of(tokenizer)))
    content = json.loads((tmp_path / "siglip" / "tokenizer.json").read_text())
    content["model"]["unk_id"] = None
    (tmp_path / "siglip" / "tokenizer.json").write_text(json.dumps(content))
    perceptor = opened(path, tmp_path)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json cannot read a text \(Encountered an unknown token"):
        perceptor.embed_texts(["🦄"])


def test_a_siglip_given_as_vqgan_is_recognised(tmp_path: Path, vqgan_config: DictConfig) -> None:
    tokenizer = siglips()
    path = siglip_folder(tmp_path / "siglip", tokenizer, siglip(size_of(tokenizer)))
    refused(path, "is a CLIP model, not a VQGAN; give it as a perceptor", VQGANWeights(vqgan_config))


def test_a_tokenizer_of_another_size_is_refused(tmp_path: Path) -> None:
    tokenizer = siglips()
    path = siglip_folder(tmp_path / "siglip", tokenizer, siglip(size_of(tokenizer) + 300))
    with pytest.raises(CheckpointError, match="pieces, and the model beside it"):
        opened(path, tmp_path)


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    tokenizer = siglips()
    path = siglip_folder(tmp_path / "siglip", tokenizer, siglip(size_of(tokenizer)))
    state = safetensors.torch.load_file(path)
    del state["text_model.encoder.layers.1.self_attn.k_proj.weight"]
    safetensors.torch.save_file(state, path)
    with pytest.raises(CheckpointError, match=r"lacks a part of text\.transformer\.resblocks\.1\.attn\.in_proj_weight"):
        opened(path, tmp_path)


def test_what_was_converted_is_read_again_without_the_file(tmp_path: Path) -> None:
    tokenizer = siglips()
    path = siglip_folder(tmp_path / "siglip", tokenizer, siglip(size_of(tokenizer)))
    before = opened(path, tmp_path).embed_texts(TEXTS)
    path.unlink()
    assert torch.equal(opened(path, tmp_path).embed_texts(TEXTS), before)
