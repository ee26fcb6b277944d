"""A step on a GPU, as far as it can be held to torch's rules without one."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from tests.docs.conftest import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(torch.version.cuda is None, reason="the CPU build of torch may end a process over such tensors"),
]


@pytest.fixture(scope="module")
def errors() -> dict[str, str]:
    command = [sys.executable, "-m", "tests.generator.optimisation.fake_gpu_step"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("case", ["real width", "starter", "training"])
def test_nothing_is_left_on_the_cpu(case: str, errors: dict[str, str]) -> None:
    assert errors[case] == ""


def test_tensors_left_on_the_cpu_are_found(errors: dict[str, str]) -> None:
    assert "two different devices" in errors["mixed"]
