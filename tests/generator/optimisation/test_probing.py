"""Models are tested in float16 before use, and stay unchanged if they do not support it."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from omegaconf import DictConfig

from generator.checkpoints.library import OpenedSet
from generator.loading import load_models, load_opened
from generator.models.clip import CLIP, DEFAULT_CONFIG
from generator.models.model_set import Models
from generator.models.vqgan import VQGAN
from generator.optimisation.memory.footprint import memory_model_of
from generator.optimisation.probing import settle_precision
from generator.runtime.precision import Precision


@pytest.fixture
def own(models: Models) -> Models:
    """A copy that may be changed."""
    perceptors = tuple(map(copy.deepcopy, models.perceptors))
    return replace(models, vqgan=copy.deepcopy(models.vqgan), perceptors=perceptors)


@pytest.mark.parametrize("precision", [Precision.BF16, Precision.FP16])
def test_models_that_stay_finite_compute_in_half(own: Models, precision: Precision) -> None:
    settled = settle_precision(own, precision)
    assert settled.precision is settled.perceptors[0].precision is precision
    assert own.precision is Precision.FP32
    assert settled.vqgan.decoder.conv_in.weight.dtype == precision.dtype


def test_a_decoder_that_leaves_float16_computes_in_float32_to_the_digit(
    own: Models, caplog: pytest.LogCaptureFixture
) -> None:
    with torch.no_grad():
        own.vqgan.decoder.conv_in.weight.mul_(1e6)
    before = {name: tensor.clone() for name, tensor in own.vqgan.state_dict().items()}
    with caplog.at_level(logging.WARNING):
        settled = settle_precision(own, Precision.FP16)
    assert settled.precision is settled.perceptors[0].precision is Precision.FP32
    assert all(torch.equal(tensor, before[name]) for name, tensor in settled.vqgan.state_dict().items())
    assert "leave the range of float16" in caplog.text
    assert settle_precision(own, Precision.BF16).precision is Precision.BF16


def test_a_perceptor_that_leaves_float16_counts_too(own: Models) -> None:
    with torch.no_grad():
        own.perceptors[0].model.visual.conv1.weight.mul_(1e7)
    assert settle_precision(own, Precision.FP16).precision is Precision.FP32


def test_the_footprint_is_measured_again_in_another_format(own: Models) -> None:
    half = own.in_precision(Precision.BF16)
    assert memory_model_of(half).per_pixel < memory_model_of(own).per_pixel


def test_opened_models_are_float32_until_they_are_settled(
    vqgan: VQGAN, vqgan_config: DictConfig, make_clip: Callable[..., CLIP]
) -> None:
    state = {name: tensor.half() for name, tensor in make_clip().state_dict().items()}
    opened = OpenedSet("mine", vqgan_config, vqgan.state_dict(), (("tiny", state, DEFAULT_CONFIG),))
    assert load_opened(opened, torch.device("cpu")).precision is Precision.FP32


def test_the_starter_is_loaded_in_the_precision_asked_for() -> None:
    models = load_models("starter", "cpu", precision="bf16")
    assert models.precision is Precision.BF16
    assert models.budget.free_bytes() is None or models.budget.free_bytes() > 0
