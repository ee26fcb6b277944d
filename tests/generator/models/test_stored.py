"""Stored drawings: what was written is read again; damage and other formats are said in a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from generator.errors import CheckpointError
from generator.models.drawings.stored import STYLES, StoredDrawings, packed, write
from tests.generator.drawn import ink_sprite, pixels, sprite, stored_ink, stored_sprite

CAT, SHIP = 0, 1
SHADED, NOTO, LINE, STENCIL = (STYLES.index(style) for style in ("3d", "noto", "line", "stencil"))
INK = ("line", "stencil")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A cat, shaded and in outline, a ship of which there is a stencil only, and two pictures of the sea."""
    rows = torch.full((2, len(STYLES)), -1)
    rows[CAT, SHADED], rows[CAT, LINE], rows[SHIP, STENCIL] = 0, 1, 2
    seas = [packed(sprite(number).convert("RGB")) for number in (8, 9)]
    write(
        tmp_path / "drawings.safetensors",
        rows,
        [stored_sprite(1), stored_ink(48), stored_ink(64)],
        INK,
        {"sea": seas},
    )
    return tmp_path / "drawings.safetensors"


def test_a_drawing_in_colour_is_read_cut_out_at_its_edges(path: Path) -> None:
    cut, drawn = StoredDrawings.read(path).cut(CAT, SHADED), pixels(sprite(1))
    rows, columns = (np.flatnonzero(drawn[..., 3].sum(axis=axis)) for axis in (1, 0))
    drawn = drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert cut.image.shape[1:] == cut.mask.shape[1:] == drawn.shape[:2]
    assert np.abs(cut.mask[0].numpy() - drawn[..., 3]).mean() < 0.02
    inside = drawn[..., 3] > 0.99
    assert np.abs(cut.image.permute(1, 2, 0).numpy() - drawn[..., :3])[inside].mean() < 0.06


def test_a_drawing_in_ink_is_black_and_white_on_nothing(path: Path) -> None:
    stored = StoredDrawings.read(path)
    cut, drawn = stored.cut(CAT, LINE), pixels(ink_sprite(48))[2:-2, 2:-2]
    assert set(cut.mask.unique().tolist()) == {0.0, 1.0}
    assert np.array_equal(cut.mask[0].numpy() > 0.5, drawn[..., 3] > 0.5)
    inside = drawn[..., 3] > 0.5
    assert np.array_equal(cut.image.numpy()[:, inside] > 0.5, (drawn[..., :3] > 0.5)[inside].T)
    assert stored.cut(SHIP, STENCIL).mask.shape[1:] == (60, 60)


def test_the_pictures_of_a_scene_take_turns(path: Path) -> None:
    stored = StoredDrawings.read(path)
    first, second, third = (stored.ground("sea", number) for number in range(3))
    assert first is not None and second is not None and third is not None
    assert first.shape == (1, 3, 48, 48)
    assert torch.equal(first, third)
    assert not torch.equal(first, second)
    assert stored.ground("moon", 0) is None


def test_a_thing_without_the_wanted_style_is_drawn_in_another(path: Path) -> None:
    stored = StoredDrawings.read(path)
    assert len(stored) == 2
    assert stored.style(CAT, LINE) == LINE
    assert stored.style(CAT, STENCIL) == stored.style(CAT, NOTO) == SHADED
    assert stored.style(SHIP, SHADED) == STENCIL
    assert stored.usual(CAT) == (SHADED,)  # ink counts only where there is nothing else
    assert stored.usual(SHIP) == (STENCIL,)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("cut", "get it again"), ("gone", "get it again"), ("missing", "get it again"), ("no rows", "get it again"),
        ("later", "update Reverie"), ("earlier", "make it anew"),
    ],
)  # fmt: skip
def test_damage_is_said_in_a_sentence(path: Path, change: str, sentence: str) -> None:
    tensors, about = safetensors.torch.load_file(path), {"format": "2", "styles": "3d", "ink": ""}
    if change == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    elif change == "gone":
        path.unlink()
    elif change in ("later", "earlier"):
        safetensors.torch.save_file(tensors, path, about | {"format": "3" if change == "later" else "1"})
    elif change == "missing":
        safetensors.torch.save_file(tensors, path, {"format": "2"})
    else:
        tensors.pop("rows")
        safetensors.torch.save_file(tensors, path, about)
    with pytest.raises(CheckpointError, match=sentence):
        StoredDrawings.read(path)


@pytest.mark.parametrize("stream", [b"no picture", stored_sprite(1)[:90]])
def test_a_damaged_drawing_is_said_in_a_sentence(stream: bytes) -> None:
    stored = StoredDrawings(torch.zeros(1, len(STYLES), dtype=torch.long), [stream], (), {"sea": range(1)})
    with pytest.raises(CheckpointError, match="install Reverie again"):
        stored.cut(0, SHADED)
    with pytest.raises(CheckpointError, match="install Reverie again"):
        stored.ground("sea", 0)
