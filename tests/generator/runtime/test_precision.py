"""The number formats of the networks: the format for each device, and the parts that stay in float32."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from generator.errors import InvalidRequest
from generator.models.clip import CLIP, Perceptor
from generator.models.vqgan import VQGAN
from generator.runtime.precision import Precision, choose_precision, of_capability
from generator.runtime.processor import multiplies_bfloat16

CPU = torch.device("cpu")
HALVES = [Precision.BF16, Precision.FP16]
SERVER = "processor : 0\nflags : fpu avx512f avx512_bf16 amx_bf16 amx_tile\n"


def cosine(first: Tensor, second: Tensor) -> float:
    return functional.cosine_similarity(first.flatten(), second.flatten(), dim=0).item()


@pytest.mark.parametrize(
    ("capability", "expected"),
    [((6, 1), "fp32"), ((7, 0), "fp16"), ((7, 5), "fp16"), ((8, 0), "bf16"), ((9, 0), "bf16"), ((12, 0), "bf16")],
)
def test_a_t4_gets_float16_and_later_gpus_bfloat16(capability: tuple[int, int], expected: str) -> None:
    assert of_capability(*capability).value == expected


@pytest.mark.parametrize(
    ("facts", "machine", "expected"),
    [
        (SERVER, "x86_64", True),
        (SERVER.replace("amx_bf16 ", ""), "x86_64", False),
        (SERVER.replace("avx512_bf16 amx_bf16", "avx2"), "x86_64", False),
        ("flags : fpu amx_bf16", "AMD64", True),
        (SERVER, "aarch64", False),
        ("", "x86_64", False),
    ],
)
def test_only_a_cpu_that_multiplies_bfloat16_is_known_to(facts: str, machine: str, expected: bool) -> None:
    assert multiplies_bfloat16(facts, machine) is expected


def test_a_cpu_that_multiplies_bfloat16_gets_it() -> None:
    expected = Precision.BF16 if multiplies_bfloat16() else Precision.FP32
    assert choose_precision("auto", CPU) is expected


def test_a_person_may_choose_the_format_and_not_a_strange_one() -> None:
    assert choose_precision("bf16", CPU) is Precision.BF16
    assert choose_precision("fp16", torch.device("cuda", 0)) is Precision.FP16
    with pytest.raises(InvalidRequest, match="choose one of auto, fp32, bf16, fp16") as caught:
        choose_precision("fp8", CPU)
    assert caught.value.field == "precision"


def test_fp16_on_a_cpu_is_taken_as_fp32_with_a_line(caplog: pytest.LogCaptureFixture) -> None:
    assert choose_precision("fp16", CPU) is Precision.FP32
    assert [record.getMessage() for record in caplog.records] == [
        "A CPU takes hundreds of times longer in fp16, so it computes in fp32."
    ]


@pytest.mark.parametrize("precision", HALVES)
def test_a_half_precision_vqgan_gives_nearly_the_same_picture_and_gradient(vqgan: VQGAN, precision: Precision) -> None:
    half = copy.deepcopy(vqgan)
    half.compute_in(precision)
    start = vqgan.lookup(torch.arange(16).view(1, 4, 4))
    images, gradients = [], []
    for model in (vqgan, half):
        latent = start.clone().requires_grad_()
        image = model.decode(latent)
        (image.square().mean() * precision.loss_scale).backward()
        images.append(image.detach())
        gradients.append(latent.grad)
    assert images[1].dtype == gradients[1].dtype == torch.float32
    assert 0 < (images[0] - images[1]).abs().mean() < 0.01
    assert cosine(*gradients) > 0.99


@pytest.mark.parametrize("precision", HALVES)
def test_the_codebook_is_searched_in_float32(vqgan: VQGAN, precision: Precision) -> None:
    half = copy.deepcopy(vqgan)
    half.compute_in(precision)
    latent = torch.randn(1, 4, 6, 6, generator=torch.Generator().manual_seed(3))
    assert torch.equal(half.codebook, vqgan.codebook)
    assert torch.equal(half.nearest(latent), vqgan.nearest(latent))
    encoded = half.encode(torch.full((1, 3, 32, 32), 0.3))
    assert encoded.dtype == half.quant_conv.weight.dtype == torch.float32


@pytest.mark.parametrize("kind", ["vit", "resnet"])
@pytest.mark.parametrize("precision", HALVES)
def test_a_half_perceptor_sees_nearly_the_same(make_clip: Callable[..., CLIP], kind: str, precision: Precision) -> None:
    state = make_clip(kind, 64).state_dict()
    whole, half = (Perceptor.from_state(kind, state) for _ in range(2))
    half.compute_in(precision)
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    assert cosine(whole.embed_images(images), half.embed_images(images)) > 0.995
    words = ["a red apple", "a castle at night"]
    assert cosine(whole.embed_texts(words), half.embed_texts(words)) > 0.995
    assert half.embed_images(images).dtype == half.embed_texts(words).dtype == torch.float32


def test_norms_keep_their_precision_and_the_rest_takes_half_the_memory(vqgan: VQGAN) -> None:
    half = copy.deepcopy(vqgan)
    half.compute_in(Precision.FP16)
    by_kind = {
        (isinstance(part, nn.GroupNorm), parameter.dtype)
        for part in half.decoder.modules()
        for parameter in part.parameters(recurse=False)
    }
    assert by_kind == {(False, torch.float16), (True, torch.float32)}
    half.compute_in(Precision.FP32)
    assert {parameter.dtype for parameter in half.parameters()} == {torch.float32}
