"""Provenance: reported where it differs, and followed by `again` where possible."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from generator import Models, load_models
from generator.cli import main as cli
from generator.provenance import Provenance, differences
from generator.recipe import Recipe, read_recipe, recipe_to_json

HERE = Provenance(torch="2.10.0", device="cpu", precision="fp32", threads=2, files={"a.safetensors": "1" * 64})
QUICK = ("--size", "64x64", "--steps", "2", "--cutouts", "4", "--candidates", "1", "--seed", "7")


@pytest.fixture(scope="module")
def starter() -> Models:
    return load_models("starter", "cpu")


def test_no_difference_gives_no_message() -> None:
    assert differences(HERE, HERE) == []
    assert differences(None, HERE) == []


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"threads": 1}, "The number of CPU threads was 1, here it is 2; the picture may differ a little."),
        ({"torch": "2.9.1"}, "This picture was made with torch 2.9.1, here it is 2.10.0; it may differ a little."),
        ({"device": "cuda", "threads": 0}, "made with device cuda, here it is cpu"),
        ({"precision": "fp16"}, "made with precision fp16, here it is fp32"),
        ({"generator": "0.0.9"}, "made with generator 0.0.9"),
        (
            {"files": {"other.ckpt": "2" * 64}},
            "files that are not here (other.ckpt); it will come out differently.",
        ),
        (
            {"generator": "0.0.9", "files": {"a.safetensors": "2" * 64}},
            "Reverie 0.0.9 painted this picture with other models (a.safetensors), which this version does not have;",
        ),
    ],
)
def test_each_difference_gets_one_message(changes: dict[str, object], word: str) -> None:
    (said,) = differences(replace(HERE, **changes), HERE)
    assert word in said


def test_again_repeats_a_starter_picture_byte_for_byte_with_another_number_of_threads(
    starter: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert cli.main(("a red apple", *QUICK, "-o", "one.png"), load=lambda name, device: starter) == 0
        torch.set_num_threads(2)
        capsys.readouterr()
        assert cli.main(("again", "one.png", "-o", "again.png"), load=lambda name, device: starter) == 0
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert "Warning" not in capsys.readouterr().err
    assert Path("again.png").read_bytes() == Path("one.png").read_bytes()
    made = read_recipe(Path("again.png").read_bytes()).made_with
    assert made is not None and made.threads == 1


def test_again_warns_before_it_starts_if_it_cannot_repeat_a_picture(
    starter: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With more threads than any machine has, the picture is generated with those available."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(("a red apple", *QUICK, "-o", "a.png"), load=lambda name, device: starter) == 0
    recipe = read_recipe(Path("a.png").read_bytes())
    assert recipe.made_with is not None
    elsewhere = Recipe(request=recipe.request, made_with=replace(recipe.made_with, threads=1_000))
    Path("elsewhere.json").write_text(recipe_to_json(elsewhere), "utf-8")
    capsys.readouterr()
    assert cli.main(("again", "elsewhere.json", "-o", "b.png"), load=lambda name, device: starter) == 0
    calls_of = capsys.readouterr().err
    assert f"The number of CPU threads was 1000, here it is {torch.get_num_threads()}" in calls_of
