"""Files that are not a CLIP, or a damaged one: each is rejected with a readable error."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor

from generator.checkpoints.clip.weights import CLIPWeights
from generator.checkpoints.vqgan_weights import VQGANWeights
from generator.models.clip import CLIP, ClipConfig
from tests.generator.checkpoints.hostile import refused

State = dict[str, Tensor]
TINY = ClipConfig(vision_heads=1, text_heads=1)

PERCEPTORS: dict[str, tuple[Callable[[State], object], str]] = {
    "a layer missing": (
        lambda s: {k: v for k, v in s.items() if "ln_final" not in k},
        "is no CLIP that Reverie can run",
    ),
    "a layer too many": (lambda s: s | {"visual.bias": torch.ones(3)}, "is no CLIP that Reverie can run"),
    "an impossible width": (lambda s: s | {"ln_final.weight": torch.ones(3)}, "is no CLIP that Reverie can run"),
    "no dimensions": (lambda s: s | {"visual.conv1.weight": torch.tensor(1.0)}, "is no CLIP that Reverie can run"),
    "an endless context": (
        lambda s: s | {"positional_embedding": torch.ones(300_000, 64, dtype=torch.float16)},
        "does not read text as OpenAI's CLIP does",
    ),
    "other tokens": (lambda s: s | {"token_embedding.weight": torch.ones(100, 64)}, "does not read text"),
    "whole numbers": (lambda s: s | {"text_projection": torch.ones(64, 32, dtype=torch.int32)}, "holds whole numbers"),
    "not a number": (lambda s: s | {"logit_scale": torch.tensor(float("nan"))}, "in logit_scale that are infinite"),
    "one block many times": (
        lambda s: (
            {k: v for k, v in s.items() if "token" not in k}
            | {f"transformer.resblocks.{n}.a.weight": s["token_embedding.weight"] for n in range(20)}
        ),
        "uses the same numbers for many tensors",
    ),
    "transformers' form": (
        lambda s: {"text_model.embeddings.token_embedding.weight": torch.ones(2), "logit_scale": torch.ones(())},
        "in the layout of transformers",
    ),
    "a VQGAN": (lambda s: {"decoder.conv_in.weight": torch.ones(2)}, "is a VQGAN, not a CLIP"),
    "something else": (lambda s: {"weight": torch.ones(2)}, "holds no CLIP"),
}


@pytest.mark.parametrize("name", PERCEPTORS)
def test_a_bad_perceptor_is_refused_with_a_sentence(name: str, tmp_path: Path, make_clip: Callable[..., CLIP]) -> None:
    change, words = PERCEPTORS[name]
    torch.save(change(dict(make_clip().state_dict())), tmp_path / "bad.pt")
    refused(tmp_path / "bad.pt", words, CLIPWeights(TINY))


def test_a_perceptor_given_as_vqgan_is_recognised(
    tmp_path: Path, archive: tuple[Path, State], vqgan_config: DictConfig
) -> None:
    (tmp_path / "bad.ckpt").write_bytes(archive[0].read_bytes())
    refused(tmp_path / "bad.ckpt", "is a CLIP model, not a VQGAN; give it as a perceptor", VQGANWeights(vqgan_config))


def test_a_tampered_archive_is_refused_by_its_checksum(tmp_path: Path, archive: tuple[Path, State]) -> None:
    content = bytearray(archive[0].read_bytes())
    content[content.find(archive[1]["text_projection"].numpy().tobytes()) + 1] ^= 4
    (tmp_path / "bad.pt").write_bytes(content)
    refused(tmp_path / "bad.pt", "checksum of a part does not match", CLIPWeights())


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_an_archive_of_another_module_is_refused(tmp_path: Path) -> None:
    torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)).save(str(tmp_path / "bad.pt"))
    refused(tmp_path / "bad.pt", "holds no CLIP", CLIPWeights())
