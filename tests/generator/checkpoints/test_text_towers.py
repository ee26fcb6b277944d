"""Text towers for many languages: tiny ones of transformers and open_clip, random, against those packages."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from generator.checkpoints.clip.config import config_beside
from generator.errors import CheckpointError
from generator.models.clip import CLIP, Perceptor
from generator.runtime.precision import Precision
from tests.generator.checkpoints.foreign_towers import (
    SIDE,
    TEXTS,
    berts,
    distilbert,
    opened,
    random_weights,
    same,
    save,
    size_of,
    xlm_roberta,
    xlm_roberta_clip,
    xlm_robertas,
)

LANGUAGES = (*TEXTS[:3], "une pomme rouge sur la table", "красное яблоко на столе")


@pytest.mark.parametrize("projection", ["mlp", "linear", None])
def test_an_xlm_roberta_of_open_clip_embeds_as_open_clip_does(projection: str | None, tmp_path: Path) -> None:
    from open_clip.tokenizer import HFTokenizer
    from transformers import PreTrainedTokenizerFast

    tokenizer = xlm_robertas()
    model = xlm_roberta_clip(size_of(tokenizer), projection)
    folder = tmp_path / "xlm-roberta-tiny"
    shape = {
        "vision_cfg": {"width": 64, "head_width": 32, "image_size": SIDE},
        "text_cfg": {"hf_model_name": "FacebookAI/xlm-roberta-base", "hf_pooler_type": "mean_pooler", "heads": 4},
    }
    path = save(folder, model.state_dict(), tokenizer, open_clip_config={"model_cfg": shape})
    perceptor = opened(path, tmp_path)
    assert (perceptor.name, perceptor.resolution, perceptor.dimension) == ("xlm-roberta-tiny", SIDE, 48)
    images = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(8), requires_grad=True)
    theirs, ours = model.encode_image((images - perceptor._mean) / perceptor._deviation), perceptor.embed_images(images)
    assert same(ours, theirs)
    unit = nn.functional.normalize(theirs, dim=-1)
    gradients = [torch.autograd.grad(found[0, 0], images)[0] for found in (ours, unit)]
    assert torch.allclose(*gradients, rtol=1e-3, atol=1e-6) and gradients[0].abs().max() > 0.01
    marks = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, padding_side="right", **marks).save_pretrained(folder)
    theirs_tokens = HFTokenizer(str(folder), context_length=77)
    with torch.no_grad():
        words = model.encode_text(theirs_tokens(list(LANGUAGES)))
    assert same(perceptor.embed_texts(LANGUAGES), words)
    assert same(perceptor.embed_texts(["夜の城"]), words[2:3].clone()) is (LANGUAGES[2] == "夜の城")
    perceptor.compute_in(Precision.BF16)
    assert nn.functional.cosine_similarity(perceptor.embed_images(images), unit).min() > 0.99
    with torch.no_grad():
        assert nn.functional.cosine_similarity(perceptor.embed_texts(LANGUAGES), words).min() > 0.99


def test_how_long_the_other_texts_are_changes_nothing(tmp_path: Path) -> None:
    tokenizer = xlm_robertas()
    path = save(tmp_path / "clip", xlm_roberta_clip(size_of(tokenizer), "mlp").state_dict(), tokenizer)
    config_beside(path).write_text("text: roberta\ntext_heads: 4\nvision_heads: 2\nactivation: gelu\n")
    perceptor = opened(path, tmp_path)
    alone = torch.cat([perceptor.embed_texts([text]) for text in LANGUAGES])
    assert (perceptor.embed_texts(LANGUAGES) - alone).abs().max() < 1e-6
    assert len({tuple(row.tolist()) for row in alone}) == len(LANGUAGES)


def pictures_of(path: Path, model: CLIP) -> Perceptor:
    """Save a CLIP whose picture tower is to see for a text tower."""
    torch.save(model.state_dict(), path)
    config_beside(path).write_text("vision_heads: 1\ntext_heads: 1\n")
    return opened(path, path.parent)


def tokens(tokenizer: object, padding: int) -> tuple[Tensor, Tensor]:
    """Token ids of LANGUAGES and the mask of those that are looked at, by the package itself."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    rows = [tokenizer.encode(text).ids for text in LANGUAGES]
    ids = torch.full((len(rows), max(map(len, rows))), padding)
    for row, numbers in zip(ids, rows, strict=True):
        row[: len(numbers)] = torch.tensor(numbers)
    return ids, (ids != padding).long()


def test_a_multilingual_clip_reads_for_the_pictures_of_another(tmp_path: Path, make_clip: Callable[..., CLIP]) -> None:
    tokenizer, clip = xlm_robertas(), make_clip("vit")
    sees = pictures_of(tmp_path / "ViT.pt", clip)
    reads, linear = xlm_roberta(size_of(tokenizer)), random_weights(nn.Linear(64, clip.text_projection.shape[1]))
    state = {f"transformer.{name}": tensor for name, tensor in reads.state_dict().items()}
    state |= {f"LinearTransformation.{name}": tensor for name, tensor in linear.state_dict().items()}
    path = save(tmp_path / "M-CLIP", state, tokenizer, config={"model_type": "M-CLIP"})
    config_beside(path).write_text(f"text: roberta\ntext_heads: 4\npictures: {tmp_path / 'ViT.pt'}\n")
    perceptor = opened(path, tmp_path)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(8))
    assert torch.equal(perceptor.embed_images(images), sees.embed_images(images))
    assert (perceptor.name, perceptor.sharpness) == ("M-CLIP", sees.sharpness)
    ids, mask = tokens(tokenizer, 1)
    with torch.no_grad():
        seen = reads(ids, attention_mask=mask).last_hidden_state
        words = linear((seen * mask[..., None]).sum(dim=1) / mask.sum(dim=1)[:, None])
    assert same(perceptor.embed_texts(LANGUAGES), words)


@pytest.mark.parametrize("bias", [True, False])
def test_a_distilbert_of_sentence_transformers_reads_for_the_pictures_of_another(
    bias: bool, tmp_path: Path, make_clip: Callable[..., CLIP]
) -> None:
    tokenizer, clip = berts(), make_clip("resnet")
    torch.save(clip.state_dict(), tmp_path / "RN.pt")
    config_beside(tmp_path / "RN.pt").write_text("vision_heads: 4\ntext_heads: 1\n")
    reads = distilbert(size_of(tokenizer))
    linear = random_weights(nn.Linear(64, clip.text_projection.shape[1], bias=bias))
    path = save(tmp_path / "multilingual", reads.state_dict(), tokenizer, config={"model_type": "distilbert"})
    dense = {f"linear.{name}": tensor for name, tensor in linear.state_dict().items()}
    identity = {"activation_function": "torch.nn.modules.linear.Identity"}
    save(path.parent / "2_Dense", dense, None, config=identity)
    config_beside(path).write_text(f"text: bert\ntext_heads: 4\npictures: {tmp_path / 'RN.pt'}\n")
    perceptor = opened(path, tmp_path)
    ids, mask = tokens(tokenizer, 0)
    with torch.no_grad():
        seen = reads(ids, attention_mask=mask).last_hidden_state
        words = linear((seen * mask[..., None]).sum(dim=1) / mask.sum(dim=1)[:, None])
    assert same(perceptor.embed_texts(LANGUAGES), words)
    save(path.parent / "2_Dense", dense, None, config={"activation_function": "torch.nn.modules.activation.Tanh"})
    with pytest.raises(CheckpointError, match=r"has the activation 'torch\.nn\.modules\.activation\.Tanh'"):
        opened(path, tmp_path)


FAULTS = {
    "no yaml": (None, "reads texts only; write pictures: ViT-B/32"),
    "no kind": ("pictures: ViT-B/32", "has pictures, as only a text tower alone needs it; write text: roberta or bert"),
    "a strange kind": ("text: t5", "has text: 't5', which has to be clip, siglip, roberta or bert"),
    "no perceptor": ("text: roberta\npictures: 7", "has pictures: '7', which has to be a perceptor"),
    "a missing one": ("text: roberta\ntext_heads: 4\npictures: ViT-B/32", "is missing; fetch it with"),
    "no heads": ("text: roberta\npictures: ViT-B/32", "has a text width of 64, which no usual text tower has"),
    "itself": ("text: roberta\npictures: SELF", "which reads text by a tokenizer of its own; name a CLIP"),
    "as a whole": ("text: roberta\ntext_heads: 4", "holds no perceptor with a text tower of the kind roberta"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_text_tower_that_cannot_be_used_is_refused_with_a_sentence(name: str, tmp_path: Path) -> None:
    content, sentence = FAULTS[name]
    tokenizer = xlm_robertas()
    path = save(tmp_path / "reads", xlm_roberta(size_of(tokenizer)).state_dict(), tokenizer)
    if content is not None:
        other = path.with_name("other.safetensors")
        other.write_bytes(path.read_bytes())
        config_beside(other).write_text("text: roberta\ntext_heads: 4\n")
        config_beside(path).write_text(content.replace("SELF", str(other)))
    with pytest.raises(CheckpointError, match=sentence):
        opened(path, tmp_path)


def test_towers_whose_vectors_differ_in_length_are_refused(tmp_path: Path, make_clip: Callable[..., CLIP]) -> None:
    tokenizer = xlm_robertas()
    pictures_of(tmp_path / "ViT.pt", make_clip("vit"))
    path = save(tmp_path / "reads", xlm_roberta(size_of(tokenizer)).state_dict(), tokenizer)
    config_beside(path).write_text(f"text: roberta\ntext_heads: 4\npictures: {tmp_path / 'ViT.pt'}\n")
    with pytest.raises(CheckpointError, match="its pictures become vectors of 32 numbers, its texts of 64"):
        opened(path, tmp_path)


def test_a_tokenizer_of_another_family_is_refused(tmp_path: Path) -> None:
    tokenizer = xlm_robertas()
    path = save(tmp_path / "clip", xlm_roberta_clip(size_of(tokenizer), "mlp").state_dict(), tokenizer)
    config_beside(path).write_text("text: bert\ntext_heads: 4\nvision_heads: 2\n")
    with pytest.raises(CheckpointError, match=r"lacks the pieces \[SEP\] and \[PAD\]: it belongs to another model"):
        opened(path, tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ({"hf_model_name": "google/mt5-base"}, "has the text tower 'mt5-base', which Reverie cannot run"),
        ({"hf_model_name": "roberta-base", "hf_pooler_type": "cls_pooler"}, "has 'cls_pooler', and Reverie can only"),
    ],
)
def test_text_towers_of_other_families_are_refused(text: dict[str, str], sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "open_clip_pytorch_model.bin"
    torch.save({}, path)
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"text_cfg": text}}))
    with pytest.raises(CheckpointError, match=sentence):
        opened(path, tmp_path)


def test_a_tokenizer_is_asked_for_before_any_weights_are_read(tmp_path: Path) -> None:
    path = tmp_path / "clip.bin"
    path.write_bytes(b"no weights at all")
    config_beside(path).write_text("text: roberta\n")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is missing: this perceptor reads text by a tokenizer"):
        opened(path, tmp_path)


def test_safetensors_are_told_from_other_formats_by_more_than_their_first_bytes(tmp_path: Path) -> None:
    tokenizer = xlm_robertas()
    state = xlm_roberta_clip(size_of(tokenizer), "mlp").state_dict()
    for number in range(32):  # headers grow by eight bytes; the length of one begins as a pickle does
        tensors = {name: tensor.clone().contiguous() for name, tensor in state.items()}
        path = save(tmp_path / f"clip{number}", {**tensors, "x" * (8 * number + 1): torch.ones(1)}, tokenizer)
        if path.read_bytes()[:1] == b"\x80":
            break
    else:
        pytest.fail("no header has that length")
    config_beside(path).write_text("text: roberta\ntext_heads: 4\nvision_heads: 2\n")
    assert opened(path, tmp_path).dimension == 48
    assert safetensors.torch.load_file(path)
