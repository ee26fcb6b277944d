"""Drawings packed for a training on a GPU come back as they were, and bad files are answered by a sentence."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu.training import CONCEPTS
from training import carry
from training.carry import GROUNDS, BrokenFile, pack, unpack
from training.drawings.store import Drawings
from training.judges import named_concepts
from training.scenes import SCENES


@pytest.fixture(scope="module")
def packed(work: Path) -> Path:
    file = work / "carried.zip"
    assert pack(work, file, grounds=2) == file.stat().st_size
    return file


def on_white(sprite: np.ndarray) -> np.ndarray:
    alpha = sprite[..., 3:] / 255
    return sprite[..., :3] * alpha + 255 * (1 - alpha)


def test_drawings_come_back_within_the_loss_of_their_format(work: Path, packed: Path, tmp_path: Path) -> None:
    unpack(packed, tmp_path / "new")
    there, back = Drawings(work), Drawings(tmp_path / "new")
    assert [row["name"] for row in back.table] == list(CONCEPTS)
    for concept, row in enumerate(back.table):
        assert row["aliases"] == there.table[concept]["aliases"]
        for style in ("fluent", "noto"):
            one, other = there.sprite(concept, style), back.sprite(concept, style)
            assert np.abs(on_white(one) - on_white(other)).mean() < 2
            assert np.abs(one[..., 3].astype(int) - other[..., 3]).mean() < 1
    with np.load(tmp_path / "new" / GROUNDS) as grounds:
        assert {scene: grounds[scene].shape for scene in grounds} == dict.fromkeys(SCENES, (2, 256, 256, 3))
        assert grounds["night"].mean() < 80 < grounds["snow"].mean()


def test_of_the_style_that_only_judges_see_it_holds_what_they_are_asked_about(packed: Path, tmp_path: Path) -> None:
    unpack(packed, tmp_path / "new")
    table = Drawings(tmp_path / "new").table
    judged = {row["name"] for row in table if "twitter" in row["rows"]}
    assert "cat" in judged
    assert judged == {table[number]["name"] for number in named_concepts(table)} != set(CONCEPTS)


def test_a_second_start_leaves_the_unpacked_folder_as_it_is(packed: Path, tmp_path: Path) -> None:
    unpack(packed, tmp_path / "new")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "new").iterdir()}
    unpack(packed, tmp_path / "new")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "new").iterdir()} == before


def test_drawings_of_another_source_are_never_overwritten(work: Path, packed: Path) -> None:
    with pytest.raises(BrokenFile, match=r"holds other drawings already.*--work"):
        unpack(packed, work)


def test_bad_files_are_answered_by_what_to_do(packed: Path, tmp_path: Path) -> None:
    with pytest.raises(BrokenFile, match=r"no file .*training\.carry"):
        unpack(tmp_path / "missing.zip", tmp_path / "new")
    content = packed.read_bytes()
    spoilt = bytearray(content)
    spoilt[len(spoilt) // 2] ^= 255
    for number, damaged in enumerate((b"", content[: len(content) // 2], bytes(spoilt), b"PK" + b"x" * 900)):
        file = tmp_path / "damaged.zip"
        file.write_bytes(damaged)
        with pytest.raises(BrokenFile, match=r"is damaged .*copy it again"):
            unpack(file, tmp_path / f"new{number}")
        assert not (tmp_path / f"new{number}/concepts.json").exists()
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("manifest.json", json.dumps({"version": 99}))
    with pytest.raises(BrokenFile, match=r"version 99.*pack it anew"):
        unpack(other, tmp_path / "new")


def test_a_file_past_the_bound_says_how_it_becomes_smaller(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carry, "MOST_BYTES", 1000)
    monkeypatch.setattr(carry, "SCENES", {"plain": SCENES["plain"]})
    monkeypatch.setattr(sys, "argv", ["carry", "--work", str(work), "--out", str(tmp_path / "new/carried.zip")])
    with pytest.raises(SystemExit, match=r"more than 0 MB: choose a --quality below 70"):
        carry.main()
    monkeypatch.setattr(sys, "argv", ["carry", "--work", str(tmp_path / "empty")])
    with pytest.raises(SystemExit, match=r"holds no drawings: run python -m training\.fetch"):
        carry.main()
