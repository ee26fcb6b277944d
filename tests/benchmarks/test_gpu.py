"""The run on a GPU, tried on the CPU with tiny models; and that a part that breaks leaves the others alone."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.gpu.__main__ import main
from benchmarks.gpu.figures import Broken, Figure, hold
from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.processes import Job, Result, run_all


@pytest.mark.slow
def test_every_part_that_needs_no_gpu_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "gpu.json"
    status = main(["--try", "--folder", str(tmp_path / "run"), "--json", str(out)])
    printed = capsys.readouterr().out
    assert status == 0, printed
    results = {item["name"]: item for item in json.loads(out.read_text("utf-8"))["figures"]}
    assert list(results) == [name for name, part in PARTS.items() if part.on_a_cpu]
    assert [figure["name"] for figure in results["service"]["figures"]] == [
        "pictures an hour",
        "first preview after the order",
        "idle while jobs wait",
    ]
    shares = {figure["name"]: figure["value"] for figure in results["memory-share"]["figures"]}
    assert shares["all at once: crops at a time"] == 8 > shares["in groups: crops at a time"]
    repeated = [figure for name in ("painting-thread", "repeating-real") for figure in results[name]["figures"]]
    assert len(repeated) == 5 and all(figure["value"] is True for figure in repeated)
    assert f"{len(results)} of {len(results)} parts ran" in printed
    assert "| speed-512-real | times as fast |" in printed


def test_a_part_that_fails_is_named_and_does_not_hide_the_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(_: object) -> list[Figure]:
        hold(False, "it is broken")
        return []

    monkeypatch.setitem(PARTS, "notebook", replace(PARTS["notebook"], work=breaks))
    wanted = ["notebook", "doctor", "--try", "--folder", str(tmp_path / "run"), "--json", str(tmp_path / "gpu.json")]
    assert main(wanted) == 1
    printed = capsys.readouterr().out
    assert "notebook FAILED: Broken: it is broken" in printed
    assert "| doctor | ran |" in printed and "1 of 2 parts ran" in printed
    assert "Broken: it is broken" in (tmp_path / "run" / "notebook.log").read_text("utf-8")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "needs a GPU" in capsys.readouterr().out


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sunshine", "--try"]) == 1
    assert "There is no part sunshine" in capsys.readouterr().err


def job(folder: Path, name: str, code: str, *, alone: bool = False, limit_s: float = 60.0) -> Job:
    out = folder / f"{name}.json"
    write = f'open({str(out)!r}, \'w\').write(\'[{{"name": "x", "value": 1}}]\')'
    command = [sys.executable, "-c", f"import os, sys, time\n{code.replace('WRITE', write)}"]
    return Job(name=name, command=command, out=out, log=folder / f"{name}.log", alone=alone, limit_s=limit_s)


def test_processes_that_die_hang_or_lose_their_figures_leave_the_others_alone(tmp_path: Path) -> None:
    shown: list[Result] = []
    jobs = [
        job(tmp_path, "killed", "os.kill(os.getpid(), 9)", alone=True),
        job(tmp_path, "stuck", "time.sleep(600)", alone=True, limit_s=0.5),
        job(tmp_path, "raises", "raise RuntimeError('CUDA error: lost')"),
        job(tmp_path, "silent", "pass"),
        job(tmp_path, "good", "WRITE"),
    ]
    results = {each.name: each for each in run_all(jobs, at_once=2, deadline=time.monotonic() + 60, show=shown.append)}
    assert len(shown) == len(results) == 5
    assert results["killed"].failure.startswith("it ended with -9")
    assert "stuck" in results["stuck"].failure
    assert results["raises"].failure == "it ended with 1: RuntimeError: CUDA error: lost"
    assert results["silent"].failure == "it ended with 0: it said nothing"
    assert results["good"].failure == "" and results["good"].figures == [{"name": "x", "value": 1}]


def test_parts_that_find_no_time_are_failures_too(tmp_path: Path) -> None:
    jobs = [job(tmp_path, "first", "WRITE"), job(tmp_path, "second", "WRITE", alone=True)]
    results = run_all(jobs, at_once=2, deadline=time.monotonic() - 1, show=lambda _: None)
    assert [(each.name, each.failure) for each in results] == [
        ("second", "there was no time left for it"),
        ("first", "there was no time left for it"),
    ]


@pytest.mark.parametrize(
    ("figure", "row"),
    [
        (Figure(name="a", value=8.5, least=8.0), ["p", "a", "8.5", "at least 8", "reached"]),
        (Figure(name="a", value=7.0, unit="ms", least=8.0), ["p", "a", "7 ms", "at least 8", "MISSED"]),
        (Figure(name="a", value=0.5, unit="s", most=0.4), ["p", "a", "0.5 s", "at most 0.4", "MISSED"]),
        (Figure(name="a", value=float("nan"), most=0.4), ["p", "a", "nan", "at most 0.4", "MISSED"]),
        (Figure(name="a", value=True), ["p", "a", "yes", "", ""]),
        (Figure(name="a", value=None, most=1.0), ["p", "a", "–", "at most 1", ""]),
    ],
)
def test_a_figure_stands_beside_its_bar(figure: Figure, row: list[str]) -> None:
    assert figure.row("p") == row


def test_a_violated_invariant_is_reported() -> None:
    hold(True, "never said")
    with pytest.raises(Broken, match="said"):
        hold(False, "said")
