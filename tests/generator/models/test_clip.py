"""The perceptor compared with clip itself: embeddings, vocabulary, and state dicts that do not fit."""

from __future__ import annotations

import importlib
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor

from generator.errors import CheckpointError
from generator.models.clip import CLIP, DEVIATION, MEAN, VOCABULARY_SIZE, Perceptor, cut_off, package_unread
from tests.generator.tiny import clip_tokens

KINDS = ["vit", "resnet"]


def pruned(state: dict[str, Tensor], *texts: str) -> dict[str, Tensor]:
    """The state dict with only the vocabulary rows that the texts need, like the starter's."""
    ids = torch.unique(clip_tokens(*texts))
    return {**state, "token_embedding.weight": state["token_embedding.weight"][ids], "vocabulary": ids}


@pytest.mark.parametrize("kind", KINDS)
def test_images_are_embedded_as_clip_embeds_them(make_clip: Callable[..., CLIP], kind: str) -> None:
    model, perceptor = make_clip(kind), Perceptor.from_state("x", make_clip(kind).state_dict())
    images = torch.rand(3, 3, perceptor.resolution, perceptor.resolution)
    normalised = (images - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]
    expected = functional.normalize(model.encode_image(normalised), dim=-1)
    assert (perceptor.embed_images(images) - expected).abs().max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_embedded_as_clip_embeds_them(make_clip: Callable[..., CLIP], kind: str) -> None:
    model, perceptor = make_clip(kind), Perceptor.from_state("x", make_clip(kind).state_dict())
    texts = ["a red apple", "Ünïcode 🍎, and more!"]
    expected = functional.normalize(model.encode_text(clip_tokens(*texts)), dim=-1)
    assert (perceptor.embed_texts(texts) - expected).abs().max() < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_the_images_and_nothing_else(make_clip: Callable[..., CLIP], kind: str) -> None:
    perceptor = Perceptor.from_state("x", make_clip(kind).state_dict())
    images = torch.rand(2, 3, 32, 32, requires_grad=True)
    perceptor.embed_images(images)[:, 0].sum().backward()
    assert images.grad.abs().max() > 0
    assert not any(parameter.requires_grad for parameter in perceptor.model.parameters())


@pytest.mark.parametrize(("kind", "resolution"), [("vit", 32), ("vit", 64), ("resnet", 32), ("resnet", 64)])
def test_the_shape_is_read_from_the_weights(make_clip: Callable[..., CLIP], kind: str, resolution: int) -> None:
    perceptor = Perceptor.from_state("x", make_clip(kind, resolution).state_dict())
    assert (perceptor.name, perceptor.resolution, perceptor.dimension) == ("x", resolution, 32)


def test_fp16_weights_become_fp32(make_clip: Callable[..., CLIP]) -> None:
    half = {name: tensor.half() for name, tensor in make_clip("resnet").state_dict().items()}
    perceptor = Perceptor.from_state("x", half)
    assert {parameter.dtype for parameter in perceptor.model.parameters()} == {torch.float32}
    assert perceptor.embed_texts(["a red apple"]).dtype == torch.float32


def test_the_buffers_of_openais_archives_are_no_obstacle(make_clip: Callable[..., CLIP]) -> None:
    extra = {name: torch.tensor(0) for name in ("input_resolution", "context_length", "vocab_size")}
    assert Perceptor.from_state("x", {**make_clip().state_dict(), **extra}).resolution == 32


def test_loading_leaves_the_global_random_state_alone(make_clip: Callable[..., CLIP]) -> None:
    state, before = make_clip().state_dict(), torch.get_rng_state()
    Perceptor.from_state("x", state)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_pruned_vocabulary_expands_again(make_clip: Callable[..., CLIP]) -> None:
    state = make_clip().state_dict()
    whole, small = Perceptor.from_state("x", state), Perceptor.from_state("x", pruned(state, "a red apple", "cat"))
    assert torch.equal(whole.embed_texts(["red cat"]), small.embed_texts(["red cat"]))
    assert len(small.model.token_embedding.weight) == VOCABULARY_SIZE


def test_unknown_words_are_named_once_and_in_order(make_clip: Callable[..., CLIP]) -> None:
    perceptor = Perceptor.from_state("x", pruned(make_clip().state_dict(), "a red apple", "cat 🍎"))
    assert perceptor.unknown_words("A zeppelin, a red Zeppelin... & a cat's 🍎 on 🛸 !") == ("zeppelin", "on", "🛸")
    assert perceptor.unknown_words("!!!") == ()


def test_a_list_of_words_says_more_than_tokens(make_clip: Callable[..., CLIP]) -> None:
    state = pruned(make_clip().state_dict(), "a red apple", "cats")
    perceptor = Perceptor.from_state("x", state, words={"red", "apple", "cat"})
    assert perceptor.unknown_words("a RED apple, two cats & a le") == ("a", "two", "le")


def test_a_whole_vocabulary_knows_all_words(make_clip: Callable[..., CLIP]) -> None:
    perceptor = Perceptor(make_clip(), "x")
    assert perceptor.unknown_words("xqzzt 🛸") == ()


def test_text_over_77_tokens_is_truncated_and_can_be_shown(make_clip: Callable[..., CLIP]) -> None:
    perceptor, text = Perceptor(make_clip(), "x"), "apple " * 75
    assert cut_off(text) == ""
    assert cut_off(text + "and a Castle behind") == "and a Castle behind"
    vectors = perceptor.embed_texts([text, text + "and a castle behind"])
    assert torch.equal(vectors[0], vectors[1])


@pytest.mark.parametrize(
    "rest",
    [
        "don't stop at 1920, café & 3.14",
        "猫 and DOGS",
        "MiXeD  spaces\tand &amp; entities",
        "“quotes” — dashes",
        "👩‍🚀 in space",
        "supercalifragilisticexpialidocious",
    ],
)
def test_truncated_text_is_shown_as_typed_from_the_cut_word(rest: str) -> None:
    assert cut_off("apple " * 75 + rest) == rest
    assert cut_off("Apple,\n" * 37 + "a " + rest + "  ") == rest
    assert cut_off("a " * 74 + "猫") == "猫"  # of three tokens, one of which is read
    assert cut_off("a " * 74 + "cafés supercalifragilistic " + rest).endswith(rest)


@pytest.mark.parametrize("letters", ["猫が庭で眠っている", "नमस्तेदुनिया", "e\u0301" * 9])
def test_a_text_without_spaces_is_cut_between_characters(letters: str) -> None:
    text = letters * 30
    rest = cut_off(text)
    assert text.endswith(rest) and 0 < len(rest) < len(text)
    assert unicodedata.category(rest[0])[0] != "M"
    assert cut_off(text[: -len(rest)]) == ""


def test_marks_that_a_person_types_do_not_end_the_text(make_clip: Callable[..., CLIP]) -> None:
    perceptor = Perceptor(make_clip(), "x")
    vectors = perceptor.embed_texts(["a red <|endoftext|> apple", "a red apple", "a red"])
    assert torch.equal(vectors[0], vectors[1])
    assert not torch.allclose(vectors[0], vectors[2])


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_dict_that_does_not_fit_is_refused(make_clip: Callable[..., CLIP], kind: str) -> None:
    state = make_clip(kind).state_dict()
    broken: list[dict[str, Tensor]] = [
        {},
        {"encoder.conv_in.weight": torch.zeros(3)},
        {name: tensor for name, tensor in state.items() if name != "text_projection"},
        {name: tensor for name, tensor in state.items() if name != "visual.conv1.weight"},
        {name: tensor for name, tensor in state.items() if not name.startswith("transformer.")},
        {**state, "ln_final.weight": torch.zeros(7)},
        {**state, "positional_embedding": torch.zeros(77, 3)},
        {**state, "surplus": torch.zeros(1)},
        {**state, "vocabulary": torch.tensor([3, 5])},
        {**pruned(state, "apple"), "vocabulary": torch.tensor([5, 3, 49407])},
        {**pruned(state, "apple"), "vocabulary": torch.tensor([5, 49406, 99999])},
    ]
    for wrong in broken:
        with pytest.raises(CheckpointError, match="my-clip is not the state dict of a CLIP"):
            Perceptor.from_state("my-clip", wrong)


def test_a_packages_module_is_imported_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Import of all of `clip` would double the time that a start takes."""
    (tmp_path / "heavy").mkdir()
    (tmp_path / "heavy" / "__init__.py").write_text("from heavy.part import NUMBER\n")
    (tmp_path / "heavy" / "part.py").write_text("NUMBER = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    with package_unread("heavy"):
        part = importlib.import_module("heavy.part")
    assert "heavy" not in sys.modules
    whole = importlib.import_module("heavy")
    with package_unread("heavy"):
        assert importlib.import_module("heavy.part") is part
    assert sys.modules["heavy"] is whole
    with package_unread("no_such_package"), pytest.raises(ModuleNotFoundError, match="no_such_package"):
        importlib.import_module("no_such_package.part")
