"""A folder of drawings, which trainings read."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.gpu.training import drawings


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as training.sprites leaves it: round drawings of one colour each, in three styles."""
    folder = tmp_path_factory.mktemp("drawings")
    drawings(folder)
    return folder
