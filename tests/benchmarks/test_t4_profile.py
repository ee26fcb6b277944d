"""The T4 profile, tried on the CPU with tiny models in float16."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.t4_profile import Figures, main


def test_it_measures_every_size_and_says_whether_it_is_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures.json"
    tiny = ["--device", "cpu", "--tiny", "--sizes", "32", "40", "--cutouts", "2", "--steps", "1", "--json", str(out)]
    assert main(tiny) == 0
    printed = capsys.readouterr().out
    assert "| 32² |" in printed
    assert "| yes |" in printed
    figures = json.loads(out.read_text())["figures"]
    assert [item["size"] for item in figures] == [32, 40]
    assert all(0 < item["image_error"] < 0.02 and item["step_s"] > 0 for item in figures)
    assert figures[1]["estimated_mib"] > figures[0]["estimated_mib"]
    assert torch.backends.cudnn.allow_tf32


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert capsys.readouterr().out.count("\n") == 1
    assert main(["--device", "cpu"]) == 2


def test_a_picture_that_is_off_or_smaller_is_not_right() -> None:
    good = {"size": 256, "image_error": 0.001, "loss_error": 0.001, "estimated_mib": 1.0, "peak_mib": None,
            "step_s": 1.0, "cutouts_at_once": 32, "as_asked": True}  # fmt: skip
    assert Figures(**good).right
    for change in ({"image_error": 0.5}, {"loss_error": 0.5}, {"as_asked": False}, {"image_error": float("nan")}):
        assert not Figures(**{**good, **change}).right
