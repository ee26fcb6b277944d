"""torch's own CUDA code, run on libraries whose kernels compute nothing; see tests/cuda_stub."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cuda_stub.libraries import HERE, environment, missing
from tests.docs.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]
ON_TWO_GPUS = [
    "a_step_is_captured_once_for_each_shape",
    "nothing_waits_or_allocates_in_a_capture",
    "only_the_gpu_asked_for_is_used",
    "captures_after_dropped_ones_take_no_more_memory",
    "memory_grows_in_place",
    "frames_of_films_are_warped_on_the_gpu",
    "a_driver_that_refuses_captures_makes_steps_slower",
    "a_full_gpu_is_a_sentence",
    "a_gpu_that_fails_is_left_for_the_cpu",
]


def errors_of(folder: Path, checks: list[str], **settings: int) -> dict[str, str]:
    command = [sys.executable, "-m", "tests.cuda_stub.checks", *checks]
    variables = environment(report=folder / "report", **settings)
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return errors_of(tmp_path_factory.mktemp("stub"), ON_TWO_GPUS, gpus=2)


@pytest.mark.parametrize("check", ON_TWO_GPUS)
def test_on_two_gpus(check: str, errors: dict[str, str]) -> None:
    assert errors[check] == ""


def test_a_virtual_gpu_keeps_fixed_segments_and_a_decoder_in_half_precision_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE / "site"))  # the trial of the norm kernels passes, so they are used
    checks = [
        "memory_that_cannot_be_mapped_is_allocated",
        "pictures_are_reordered_only_on_their_way_in_and_out_of_the_decoder",
    ]
    errors = errors_of(tmp_path, checks, no_mapping=1, capability=90)
    assert "cannot grow in place" in errors["loading"]
    assert [errors[check] for check in checks] == ["", ""]
