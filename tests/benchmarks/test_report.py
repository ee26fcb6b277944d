"""The table and the JSON that every benchmark leaves."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from benchmarks.gpu.__main__ import main as gpu
from benchmarks.report import conditions, options, spread, write_report


def test_a_spread_is_the_median_with_the_range() -> None:
    assert spread([3.0, 1.0, 2.5]) == "2.50 (1.00 to 3.00)"


def test_conditions_say_when_and_on_what() -> None:
    about = conditions(2, "cpu")
    assert {"date", "machine", "cores", "threads", "torch", "busy"} <= set(about)
    assert about["threads"] == 2


def test_the_table_is_printed_and_the_figures_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    about = {**conditions(1, "cpu"), "busy": True}
    write_report(tmp_path / "new" / "x.json", about, ["case", "ratio"], [["a", "2.0"]], {"a": [2.0]})
    printed = capsys.readouterr().out
    assert "busy with other things" in printed
    assert "| case | ratio |\n| --- | --- |\n| a | 2.0 |" in printed
    assert json.loads((tmp_path / "new" / "x.json").read_text("utf-8"))["figures"] == {"a": [2.0]}


def test_kernels_can_be_left_out_here_and_in_the_processes_that_it_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REVERIE_KERNELS", "on")
    options(None, "x.json").parse_args([])
    assert conditions(1, "cpu")["kernels"] == os.environ["REVERIE_KERNELS"] == "on"
    options(None, "x.json").parse_args(["--without-kernels"])
    assert conditions(1, "cpu")["kernels"] == os.environ["REVERIE_KERNELS"] == "off"
    monkeypatch.setenv("REVERIE_KERNELS", "on")
    out = tmp_path / "gpu.json"
    assert gpu(["doctor", "--try", "--without-kernels", "--folder", str(tmp_path / "run"), "--json", str(out)]) == 0
    assert json.loads(out.read_text("utf-8"))["conditions"]["kernels"] == "off"
