"""A step on a GPU, as far as it can be held to torch's rules without one."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from tests.docs.conftest import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(torch.version.cuda is None, reason="the CPU build of torch may end a process over such tensors"),
]


def ran(case: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.generator.optimisation.fake_gpu_step", case]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250, check=False)


@pytest.mark.parametrize("case", ["256-real", "starter", "training"])
def test_nothing_is_left_on_the_cpu(case: str) -> None:
    done = ran(case)
    assert done.returncode == 0, done.stderr[-2000:]


def test_tensors_left_on_the_cpu_are_found() -> None:
    done = ran("mixed")
    assert done.returncode == 1
    assert "two different devices" in done.stderr, done.stderr[-2000:]
