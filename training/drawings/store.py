"""The drawings on disk: an array of RGBA sprites for each style, and the table of things."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from training.drawings.raster import Array

TRAINED = ("fluent", "noto", "flat", "line", "stencil", "clipart", "doodle")
"""Styles that the models learn, in the order in which they are stored."""
COLOURED = ("fluent", "noto", "clipart", "flat")
"""Styles of the drawings that take turns where words name no style."""
STYLES = (*TRAINED, "twitter")
"""All styles; `twitter` is held out: only the judges see it, to measure a model on an unseen style."""


def is_held_out(name: str) -> bool:
    """True for every fiftieth thing: the VQGAN never sees its drawings, so that they can measure it."""
    return zlib.crc32(name.encode()) % 50 == 0


class Drawings:
    """Read access to what `training.sprites` wrote.

    Attributes:
        table: for each thing `name`, `emoji`, `group`, `aliases`, and `rows`, its row in the array of each style.
    """

    def __init__(self, work: Path) -> None:
        self.table: list[dict[str, Any]] = json.loads((work / "concepts.json").read_text("utf-8"))
        self._arrays = {style: np.load(path, mmap_mode="r") for style in STYLES if (path := file(work, style)).exists()}

    def styles(self, concept: int) -> list[str]:
        """Styles that have a drawing of the thing, in the order of STYLES."""
        return [style for style in STYLES if style in self.table[concept]["rows"]]

    def sprite(self, concept: int, style: str) -> Array:
        """The drawing `[256, 256, 4]`.

        Raises:
            KeyError: if the thing has no drawing in the style.
        """
        return np.asarray(self._arrays[style][self.table[concept]["rows"][style]])


def file(work: Path, style: str) -> Path:
    """The array `[drawings, 256, 256, 4] uint8` of a style."""
    return work / f"sprites_{style}.npy"
