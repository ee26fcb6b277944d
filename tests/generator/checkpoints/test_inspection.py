"""Inspection of model files: ready, missing or broken; inspecting changes nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from generator.checkpoints.catalogue import SETS, STARTER, SourceFile
from generator.checkpoints.conversion import open_converted
from generator.checkpoints.digests import pin_of, sha256_of
from generator.checkpoints.places import manifest_of, target_in
from generator.checkpoints.vqgan_config import read_config
from generator.checkpoints.vqgan_weights import VQGANWeights
from generator.errors import InvalidRequest
from generator.inspection import Condition, look_at, look_at_set

TINY = SourceFile("tiny.ckpt", (), 1)


@pytest.fixture
def published(tmp_path: Path, weights: dict[str, Tensor]) -> Path:
    """A catalogue file, placed in the models folder by hand."""
    path = tmp_path / TINY.name
    torch.save(weights, path)
    return path


@pytest.fixture
def used(published: Path, yaml: Path) -> Path:
    """The same file after first use: converted and pinned."""
    open_converted(published, target_in(published.parent, TINY.name), VQGANWeights(read_config(yaml)))
    return published


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_file_that_was_not_used_yet_is_new_and_is_not_converted(published: Path) -> None:
    before = contents(published.parent)
    assert look_at(TINY, published.parent).condition is Condition.NEW
    assert contents(published.parent) == before


def test_a_converted_file_is_ready_with_and_without_its_source(used: Path) -> None:
    assert look_at(TINY, used.parent).condition is Condition.READY
    used.unlink()
    before = contents(used.parent)
    assert look_at(TINY, used.parent).condition is Condition.READY
    assert contents(used.parent) == before


def test_a_custom_file_is_found_by_its_path(published: Path, tmp_path: Path) -> None:
    assert look_at(published, tmp_path / "models").condition is Condition.NEW
    assert look_at(tmp_path / "other.ckpt", tmp_path / "models").condition is Condition.MISSING


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    found = look_at(TINY, tmp_path)
    assert found.condition is Condition.MISSING and found.path == tmp_path / TINY.name


def empty(path: Path) -> None:
    path.write_bytes(b"")
    pin_of(path).unlink()


def exchange(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


def garble_the_pin(path: Path) -> None:
    pin_of(path).write_text("no digest", "utf-8")


def cut_the_converted_file(path: Path) -> None:
    target = target_in(path.parent, path.name)
    target.write_bytes(target.read_bytes()[:-10])


def garble_the_converted_file(path: Path) -> None:
    target = target_in(path.parent, path.name)
    target.write_bytes(b"\xff" * target.stat().st_size)


def lose_source_and_converted_file(path: Path) -> None:
    path.unlink()
    target_in(path.parent, path.name).unlink()


def lose_the_source_and_garble_the_manifest(path: Path) -> None:
    path.unlink()
    manifest_of(target_in(path.parent, path.name)).write_text("{", "utf-8")


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (empty, "is empty"),
        (exchange, "has changed since it was first used"),
        (garble_the_pin, "pinned digest that cannot be read"),
        (cut_the_converted_file, "not whole"),
        (garble_the_converted_file, "damaged"),
        (lose_source_and_converted_file, "get it again"),
        (lose_the_source_and_garble_the_manifest, "get it again"),
    ],
)
def test_a_harmed_file_is_broken_and_named(used: Path, harm: Callable[[Path], None], says: str) -> None:
    harm(used)
    found = look_at(TINY, used.parent)
    assert found.condition is Condition.BROKEN
    assert found.fault.startswith(TINY.name) and says in found.fault


def test_a_file_with_a_digest_that_is_known_must_have_it(published: Path) -> None:
    found = look_at(SourceFile(TINY.name, (), 1, sha256="0" * 64), published.parent)
    assert found.condition is Condition.BROKEN and "is not the file that was published" in found.fault


def test_a_digest_of_the_config_file_holds_for_ones_own_files_too(published: Path) -> None:
    wrong, right = {TINY.name: "0" * 64}, {TINY.name: sha256_of(published)}
    assert look_at(published, published.parent, wrong).condition is Condition.BROKEN
    assert look_at(published, published.parent, right).condition is Condition.NEW


def test_the_starter_takes_no_other_perceptor() -> None:
    with pytest.raises(InvalidRequest, match="perceptor of its own"):
        look_at_set(STARTER, ["ViT-B/32"])


def test_a_set_is_all_of_its_files(tmp_path: Path) -> None:
    for name, entry in SETS.items():
        found = look_at_set(name, folder=tmp_path)
        assert [file.condition for file in found] == [Condition.MISSING] * (1 + len(entry.perceptors))
    names = [file.name for file in look_at_set("imagenet-1024", ["RN50", "ViT-B/16"], folder=tmp_path)]
    assert names == ["vqgan_imagenet_f16_1024.ckpt", "RN50.pt", "ViT-B-16.pt"]


def test_a_custom_vqgan_replaces_that_of_the_set(published: Path, tmp_path: Path) -> None:
    found = look_at_set("imagenet-1024", vqgan=published, folder=tmp_path / "models")
    assert [(file.name, file.condition) for file in found] == [
        (TINY.name, Condition.NEW),
        ("ViT-B-32.pt", Condition.MISSING),
    ]


def test_the_starter_is_there_and_whole() -> None:
    assert [file.condition for file in look_at_set(STARTER)] == [Condition.READY]


def test_an_unknown_set_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="choose one of starter"):
        look_at_set("nonsense")
