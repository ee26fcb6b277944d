"""Composed starts lie on the device of the models: torch's device without numbers shows whatever mixes devices."""

from __future__ import annotations

import copy
from dataclasses import replace
from unittest.mock import MagicMock

import pytest
import torch

from generator.models.model_set import Models
from generator.optimisation.starts.composer import StartComposer
from generator.request import GenerationRequest
from generator.settings import Settings, Size

NOWHERE = torch.device("meta")


@pytest.mark.parametrize(
    "prompt",
    ["a cat", "a cat in a forest", "a city at night", "a robot in a city at sunset", "line art of a dog on a beach"],
)
def test_a_composed_start_lies_on_the_device_of_the_models(starter: Models, prompt: str) -> None:
    assert starter.prior is not None
    models = replace(starter, vqgan=copy.deepcopy(starter.vqgan).to(NOWHERE), device=NOWHERE)
    request = GenerationRequest(prompt=prompt, settings=Settings().merged({**starter.defaults, "seed": 2}))
    composer = StartComposer(request, models, starter.prior, torch.Generator().manual_seed(2))
    latent = composer.first(Size(96, 64), MagicMock())
    assert (latent.device, latent.shape) == (NOWHERE, (1, 16, 16, 24))
