"""The models of the recorded pictures: the tiny ones of the generator's own tests, and the starter."""

from pathlib import Path

import pytest
import safetensors.torch
import torch

from generator import Models, load_models
from tests.generator.conftest import ensemble, make_clip, models, one_thread, png, prior, vqgan_config  # noqa: F401 - fixtures
from tests.generator.conftest import vqgan as seeded_vqgan  # noqa: F401 - a fixture

CODEBOOK = Path(__file__).parent / "data" / "codebook.safetensors"


@pytest.fixture(scope="session")
def starter() -> Models:
    return load_models("starter", "cpu", precision="fp32")


@pytest.fixture(scope="session")
def vqgan(seeded_vqgan: torch.nn.Module) -> torch.nn.Module:  # noqa: F811 - a fixture
    """The tiny VQGAN with the recorded codebook: normal random numbers differ in their last bit among CPUs.

    A snapshot can only be resumed with exactly its own codebook.
    """
    with torch.no_grad():
        seeded_vqgan.codebook.copy_(safetensors.torch.load_file(CODEBOOK)["codebook"])
    return seeded_vqgan
