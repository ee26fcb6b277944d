"""Files of a film on their way between the bot and a worker elsewhere. Any thread, blocking.

The folder on the bot's machine counts: a worker has a copy for one generation, and sends what is new in it. So a film
goes on from its last frame on any worker.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bot.files import write_whole

SentFile = tuple[str, bytes]
"""Name and bytes of a file."""
MOST_BYTES = 8 * 2**20
"""Bytes of files after which a message has no further one."""
_COPIES = "reverie-film"
_ENDINGS = (".png", ".json")


@dataclass(eq=False)
class FilmCopy:
    """The files of one film on the machine of a worker, in the order in which they came or were made."""

    attempt: int
    _names: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Folder of this process for this generation."""
        return Path(tempfile.gettempdir()) / f"{_COPIES}-{os.getpid()}-{self.attempt}"

    def put(self, name: str, data: bytes) -> None:
        """Take a file from the bot.

        Raises:
            FilesError: if the disk does not take it.
        """
        write_whole(self.folder / Path(name).name, data)
        self._names.append(name)

    def since(self, have: int) -> tuple[tuple[SentFile, ...], bool]:
        """The files after the first `have` ones, as many as a message holds; True if these are all."""
        known = set(self._names)
        self._names.extend(path.name for path in film_files(self.folder) if path.name not in known)
        found, size = list[SentFile](), 0
        for name in self._names[have:]:
            if size >= MOST_BYTES:
                return tuple(found), False
            data = (self.folder / name).read_bytes()
            found.append((name, data))
            size += len(data)
        return tuple(found), True

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


class FilmHere:
    """The folder of a film on the bot's machine; `have` is the number of files that bot and worker have in common."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.have = folder, 0

    def keep(self, first: int, files: Sequence[SentFile]) -> None:
        """Write files of the worker, of which the first has this number; those that are known are written again.

        Raises:
            FilesError: if the disk does not take them; they can be asked for again.
        """
        for name, data in files:
            write_whole(self.folder / Path(name).name, data)
        self.have = max(self.have, first + len(files))


def film_files(folder: Path) -> list[Path]:
    """Files that a film goes on from, in the order in which they were made."""
    made = [(path.stat().st_mtime_ns, path) for path in folder.glob("[!.]*") if path.suffix in _ENDINGS]
    return [path for _, path in sorted(made)]


def remove_abandoned() -> None:
    """Remove copies of processes of this machine that are gone."""
    for path in Path(tempfile.gettempdir()).glob(f"{_COPIES}-*-*"):
        with suppress(ValueError, PermissionError):
            try:
                os.kill(int(path.name.split("-")[-2]), 0)
            except ProcessLookupError:
                shutil.rmtree(path, ignore_errors=True)
