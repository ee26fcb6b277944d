"""Earlier versions of this repository, and prompts that all versions get, for comparisons side by side."""

from __future__ import annotations

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parent.parent
_COLOURS = ("red", "green", "blue", "yellow", "pink", "brown", "black", "white", "grey", "golden")
_THINGS = ("apple", "house", "tree", "cat", "dog", "fish", "boat", "car", "flower", "bird")
_TIMES = ("", " at night", " in spring", " in the snow", " by the sea", " at dawn", " in autumn", " in the rain")


def unpacked(commit: str, folder: Path) -> Path:
    """The source tree of a commit, in a folder.

    Raises:
        CalledProcessError: if git knows no such commit.
    """
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout  # noqa: S603, S607
    with tarfile.open(fileobj=BytesIO(packed)) as tree:
        tree.extractall(folder, filter="data")
    return folder


def prompt_of_a_crowd(number: int) -> str:
    """Another prompt for each number, which the starter does not know: what is kept of one serves no other."""
    rest, colour = divmod(number, len(_COLOURS))
    rest, thing = divmod(rest, len(_THINGS))
    return f"a {_COLOURS[colour]} {_THINGS[thing]}{_TIMES[rest % len(_TIMES)]}, number {number}"
