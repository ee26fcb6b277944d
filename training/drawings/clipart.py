"""Clip art of Debian's package openclipart-svg (public domain): drawings chosen by eye, with the things they show."""

from __future__ import annotations

from pathlib import Path

from training.drawings.nouns import lines


def chosen(folder: Path) -> dict[str, Path]:
    """The file of each thing, as `clipart.tsv` lists them."""
    rows = (row.split("\t") for row in lines("clipart.tsv"))
    return {thing: folder / "usr/share/openclipart/svg" / file for file, thing in rows}
