"""Stored drawings: what was written is read again, older sets included; damage is said in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from generator.errors import CheckpointError
from generator.models.drawings.stored import STYLES, Frame, StoredDrawings, write
from generator.models.vqgan import VQGAN

CAT, SHIP = 0, 1
SHADED, NOTO, LINE, STENCIL = (STYLES.index(style) for style in ("3d", "noto", "line", "stencil"))


@pytest.fixture
def grids() -> list[Tensor]:
    return list(torch.randint(4000, (3, 8, 8), generator=torch.Generator().manual_seed(1)))


@pytest.fixture
def path(tmp_path: Path, grids: list[Tensor]) -> Path:
    """A cat, shaded and in outline, and a ship of which there is a stencil only."""
    rows = torch.full((2, len(STYLES)), -1)
    rows[CAT, SHADED], rows[CAT, LINE], rows[SHIP, STENCIL] = 0, 1, 2
    write(tmp_path / "drawings.safetensors", rows, grids, Frame(0.5, 0.5, 0.75))
    return tmp_path / "drawings.safetensors"


def test_drawings_are_read_as_they_were_written(path: Path, grids: list[Tensor]) -> None:
    stored = StoredDrawings.read(path)
    assert torch.equal(stored.codes(CAT, SHADED), grids[0])
    assert torch.equal(stored.codes(CAT, LINE), grids[1])
    assert torch.equal(stored.codes(SHIP, STENCIL), grids[2])
    assert (len(stored), stored.grid, stored.frame) == (2, 8, Frame(0.5, 0.5, 0.75))


def test_a_thing_without_the_wanted_style_is_drawn_in_another(path: Path) -> None:
    stored = StoredDrawings.read(path)
    assert stored.style(CAT, LINE) == LINE
    assert stored.style(CAT, STENCIL) == stored.style(CAT, NOTO) == SHADED
    assert stored.style(SHIP, SHADED) == STENCIL
    assert stored.usual(CAT) == (SHADED,)  # ink counts only where there is nothing else
    assert stored.usual(SHIP) == (STENCIL,)


def test_an_older_set_has_two_styles_of_everything() -> None:
    grids = torch.randint(2048, (3, 2, 4, 4), dtype=torch.int16)
    stored = StoredDrawings.of_grids(grids)
    for concept in range(3):
        assert stored.usual(concept) == (SHADED, NOTO)
        assert all(torch.equal(stored.codes(concept, style), grids[concept, style].long()) for style in (0, 1))
    assert not stored.has(0, LINE)


def test_a_picture_of_a_drawing_is_its_square_with_a_margin(path: Path, vqgan: VQGAN) -> None:
    stored = StoredDrawings.read(path)
    side = 8 * vqgan.factor
    assert stored.picture(CAT, SHADED, vqgan).shape == (3, round(0.75 * side), round(0.75 * side))
    assert stored.picture(CAT, SHADED, vqgan, 2).shape == (3, round(0.75 * side) + 4, round(0.75 * side) + 4)


@pytest.mark.parametrize("change", ["cut", "format", "missing", "no rows", "gone"])
def test_damage_is_said_in_a_sentence(path: Path, change: str) -> None:
    tensors, about = (
        safetensors.torch.load_file(path),
        {"format": "1", "grid": "8", "styles": "3d", "frame": "0.5,0.5,1"},
    )
    if change == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    elif change == "gone":
        path.unlink()
    elif change == "format":
        safetensors.torch.save_file(tensors, path, about | {"format": "2"})
    elif change == "missing":
        safetensors.torch.save_file(tensors, path, {"format": "1"})
    else:
        tensors.pop("rows")
        safetensors.torch.save_file(tensors, path, about)
    with pytest.raises(CheckpointError, match="update Reverie" if change == "format" else "get it again"):
        StoredDrawings.read(path)


def test_damaged_codes_are_said_in_a_sentence() -> None:
    stored = StoredDrawings(torch.zeros(1, len(STYLES), dtype=torch.long), [b"no zlib"], 8, Frame())
    with pytest.raises(CheckpointError, match="install Reverie again"):
        stored.codes(0, 0)
