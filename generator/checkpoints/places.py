"""Paths of model files. No torch; any thread.

The models folder holds the published files, under the names of the catalogue, each with its pinned digest; files put
there by hand are as good as downloaded ones. The folder `converted` in it holds the files that are read.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from generator.checkpoints.catalogue import SourceFile

SUFFIXES = (".ckpt", ".pt", ".pth", ".bin", ".safetensors")
"""Endings of model files: a name that ends so is a file, even if the file is missing."""


def default_folder() -> Path:
    """Return `models` in the data folder: that of REVERIE_DATA, else `data` in the current folder."""
    return Path(os.environ.get("REVERIE_DATA") or "data") / "models"


def place_of(file: SourceFile, folder: Path) -> Path:
    """Return the path of a catalogue file, under any of its names; under its own name if it is missing."""
    places = [folder / name for name in (file.name, *file.others)]
    return next((place for place in places if place.is_file()), places[0])


def is_present(file: SourceFile, folder: Path) -> bool:
    """True if a file of the catalogue, or its converted form, can be opened without the network."""
    return place_of(file, folder).is_file() or manifest_of(target_in(folder, file.name)).is_file()


def target_in(folder: Path, name: str) -> Path:
    """Return the path, below the models folder, of the converted form of a file of that name."""
    return folder / "converted" / f"{re.sub(r'[^A-Za-z0-9._-]', '_', name)}.safetensors"


def manifest_of(target: Path) -> Path:
    """Return the path of a converted file's manifest."""
    return target.with_suffix(".json")


def own_name(path: Path) -> str:
    """Return a name for the converted form of a custom file; it differs for files of one name in two folders."""
    return f"{path.stem}-{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
