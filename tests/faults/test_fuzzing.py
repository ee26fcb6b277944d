"""Each target has only permitted outcomes for all seeds, and the fuzzer finds the planted defects."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks._fuzzed import MOST_S, TooLong, bounded
from benchmarks.fuzz import MISSING, fuzz, main
from tests.faults.fuzzing import TARGETS

fuzzes = pytest.mark.skipif(find_spec("atheris") is None, reason="there is no atheris for this system")


@pytest.mark.parametrize("name", TARGETS)
def test_every_seed_comes_to_what_its_target_allows(name: str) -> None:
    seeds = TARGETS[name].corpus()
    assert len(seeds) > 5
    for data in seeds:
        TARGETS[name].read(data)


@fuzzes
def test_a_planted_defect_is_found_and_its_input_kept(tmp_path: Path) -> None:
    run = fuzz("careless", 0, tmp_path, module="tests.faults.planted")
    assert "the planted defect" in run.finding, (tmp_path / "log").read_text("utf-8", "replace")[-2_000:]
    assert run.tried > 1
    (kept,) = (tmp_path / "found").iterdir()
    assert kept.name in run.finding


@fuzzes
def test_a_run_without_a_finding_says_what_was_reached(tmp_path: Path) -> None:
    run = fuzz("sound", 0, tmp_path, tries=5_000, module="tests.faults.planted")
    assert run.finding == "", (tmp_path / "log").read_text("utf-8", "replace")[-2_000:]
    assert run.edges >= run.edges_first > 1 and run.tried == 5_000 and run.memory_mib > 1
    assert len(list((tmp_path / "corpus").iterdir())) >= run.corpus_first


def test_an_input_that_keeps_its_reader_busy_is_a_finding() -> None:
    passed_s = 0.0

    def read(data: bytes) -> None:
        nonlocal passed_s
        passed_s += len(data)

    watched = bounded(read, clock=lambda: passed_s)
    watched(bytes(int(MOST_S)))
    with pytest.raises(TooLong, match=r"it took 3\.0 s"):
        watched(bytes(3))


def test_without_atheris_there_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "atheris", None)
    monkeypatch.setattr(sys, "argv", ["benchmarks.fuzz"])
    assert (main(), capsys.readouterr().err.strip()) == (1, MISSING)
