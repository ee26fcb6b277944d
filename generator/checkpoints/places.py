"""Where model files lie. No torch; any thread.

The models folder holds what was published, under the names of the catalogue, each with its pinned digest; files put
there by hand are as good as fetched ones. Below `converted` is what is really read.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from generator.checkpoints.catalogue import SourceFile


def default_folder() -> Path:
    """`models` in the data folder: that of REVERIE_DATA, else `data` where the program was started."""
    return Path(os.environ.get("REVERIE_DATA") or "data") / "models"


def place_of(file: SourceFile, folder: Path) -> Path:
    """Where a file of the catalogue is, under any of its names; its own name where it is not there."""
    places = [folder / name for name in (file.name, *file.others)]
    return next((place for place in places if place.is_file()), places[0])


def is_present(file: SourceFile, folder: Path) -> bool:
    """Whether a file of the catalogue can be opened without the network: itself, or what was converted from it."""
    return place_of(file, folder).is_file() or manifest_of(target_in(folder, file.name)).is_file()


def target_in(folder: Path, name: str) -> Path:
    """Where the converted form of a file of that name lies below the models folder."""
    return folder / "converted" / f"{re.sub(r'[^A-Za-z0-9._-]', '_', name)}.safetensors"


def manifest_of(target: Path) -> Path:
    """Where the manifest of a converted file lies."""
    return target.with_suffix(".json")


def own_name(path: Path) -> str:
    """A name for the converted form of a person's own file: two files of one name in two folders differ."""
    return f"{path.stem}-{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
