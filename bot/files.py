"""The data folder: pictures, latents, snapshots. Paths are built from ids only. Any thread, blocking.

On the event loop, call these through `asyncio.to_thread`. Every file is written under a temporary name and renamed, so
it is complete or absent.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from bot.errors import FilesError

PER_FOLDER = 1_000
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Kind(Enum):
    """A kind of file: its folder and file extension."""

    PICTURE = ("pictures", "png")
    LATENT = ("latents", "safetensors")
    TIMELAPSE = ("timelapses", "webp")
    SNAPSHOT = ("snapshots", "safetensors")
    FILM = ("films", "mp4")
    FILM_WEBP = ("films", "webp")
    """A film of a machine without PyAV."""
    VIDEO = ("videos", "bin")
    """A person's video that a film restyles, as it was attached."""
    MUSIC = ("music", "bin")
    """A person's music that a film follows."""


_FRAMES = "film-frames"


def write_whole(path: Path, data: bytes) -> None:
    """Write or replace a file, safe against power loss.

    Raises:
        FilesError: if the disk is full or the folder is not writable; no partial file remains.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with beside.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as exc:
        raise _error(exc, path) from exc


class DataFolder:
    """Files by job id and picture number, below one root."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def database(self) -> Path:
        """Path of the database."""
        return self.root / "reverie.db"

    def has_database(self) -> bool:
        """Return true if there is a database.

        Raises:
            FilesError: if the folder cannot be searched.
        """
        with as_files_error(self.database):
            return self.database.is_file()

    def prepare(self) -> None:
        """Create the folder, check that it is writable, and remove unfinished files of earlier runs.

        Raises:
            FilesError: if it is not writable.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe = self.root / f".{secrets.token_hex(8)}.part"
            probe.write_bytes(b"reverie")
            probe.unlink()
            for part in list(self.root.rglob(".*.part")):
                if part.is_dir():
                    shutil.rmtree(part)
                else:
                    part.unlink(missing_ok=True)
            shutil.rmtree(self.root / "exports", ignore_errors=True)
        except OSError as exc:
            raise _error(exc, self.root) from exc

    def write(self, kind: Kind, job_id: int, number: int, data: bytes) -> None:
        """Write or replace a file, safe against power loss.

        Raises:
            FilesError: if the disk is full or the folder is not writable; no partial file remains.
        """
        write_whole(self.path(kind, job_id, number), data)

    def read(self, kind: Kind, job_id: int, number: int) -> bytes | None:
        """The bytes of a file; None if it does not exist.

        Raises:
            FilesError: if it exists and cannot be read.
        """
        path = self.path(kind, job_id, number)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise _error(exc, path) from exc

    def mark(self, kind: Kind, job_id: int, number: int) -> tuple[int, int, int] | None:
        """Numbers that change whenever a file is written; None if it does not exist.

        Raises:
            FilesError: if it cannot be looked at.
        """
        path = self.path(kind, job_id, number)
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise _error(exc, path) from exc
        return found.st_ino, found.st_size, found.st_mtime_ns

    def remove(self, kind: Kind, job_id: int, number: int) -> None:
        """Remove a file if it exists."""
        path = self.path(kind, job_id, number)
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            raise _error(exc, path) from exc

    def stage(self, content: bytes | Path) -> Path:
        """Write bytes, or a file of ours again, under a temporary name; `adopt` gives it its place.

        Raises:
            FilesError: if they cannot be written.
        """
        beside = self.root / f".{secrets.token_hex(8)}.part"
        try:
            if isinstance(content, Path):
                _linked(str(content), str(beside))
            else:
                beside.write_bytes(content)
        except OSError as exc:
            beside.unlink(missing_ok=True)
            raise _error(exc, beside) from exc
        return beside

    def adopt(self, staged: Path, kind: Kind, job_id: int, number: int) -> None:
        """Give a file that `stage` wrote its place.

        Raises:
            FilesError: if its folder cannot be used.
        """
        path = self.path(kind, job_id, number)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            staged.replace(path)
        except OSError as exc:
            raise _error(exc, path) from exc

    def frames(self, job_id: int) -> Path:
        """Folder for the frames of a film in the making."""
        return self.root / _FRAMES / _job(job_id)

    def take_frames(self, job_id: int, other_id: int) -> None:
        """Give the film of a job the frames of another film, which keeps them too, unless it has some already.

        Raises:
            FilesError: if they cannot be copied.
        """
        ours, theirs = self.frames(job_id), self.frames(other_id)
        beside = ours.with_name(f".{ours.name}.{secrets.token_hex(4)}.part")
        if ours.exists() or not theirs.exists():
            return
        try:
            shutil.copytree(theirs, beside, copy_function=_linked)
            beside.rename(ours)
        except OSError as exc:
            shutil.rmtree(beside, ignore_errors=True)
            raise _error(exc, ours) from exc

    def remove_frames(self, job_id: int) -> None:
        """Remove the frames of a film.

        Raises:
            FilesError: if one of them cannot be removed.
        """
        folder = self.frames(job_id)
        try:
            if folder.exists():
                shutil.rmtree(folder)
        except OSError as exc:
            raise _error(exc, folder) from exc

    def remove_job(self, job_id: int) -> None:
        """Remove all files of a job.

        Raises:
            FilesError: if one of them cannot be removed.
        """
        self.remove_frames(job_id)
        for kind in Kind:
            folder = self.path(kind, job_id, 0).parent
            for path in folder.glob(f"{_job(job_id)}-*"):
                try:
                    path.unlink(missing_ok=True)
                except OSError as exc:
                    raise _error(exc, path) from exc

    def job_ids(self) -> set[int]:
        """Ids of all jobs with files here."""
        frames = {int(path.name) for path in (self.root / _FRAMES).glob("[0-9]*")}
        return frames | {int(path.name.partition("-")[0]) for kind in Kind for path in self._files(kind)}

    def kept(self) -> Iterator[Path]:
        """All files of jobs: pictures, latents, timelapses, snapshots."""
        return (path for kind in Kind for path in self._files(kind))

    def export_path(self) -> Path:
        """A new path for an export, with an unguessable name.

        Raises:
            FilesError: if its folder cannot be created.
        """
        folder = self.root / "exports"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as exc:
            raise _error(exc, folder) from exc
        return folder / f"reverie-{secrets.token_urlsafe(12)}.zip"

    def used_bytes(self) -> int:
        """Total size of all files here."""
        total = 0
        for path in self.root.rglob("*"):
            try:
                total += path.stat().st_size if path.is_file() else 0
            except OSError:
                continue  # Deleted meanwhile.
        return total

    def free_bytes(self) -> int:
        """Free space on the disk."""
        return shutil.disk_usage(self.root).free

    def _files(self, kind: Kind) -> Iterator[Path]:
        folder, ending = kind.value
        return (path for path in (self.root / folder).glob(f"*/*-?.{ending}") if path.name[0] != ".")

    def path(self, kind: Kind, job_id: int, number: int) -> Path:
        """Path of a file, which need not exist."""
        folder, ending = kind.value
        if number not in range(10):
            raise ValueError(f"{number} is no number of a picture")
        return self.root / folder / str(int(job_id) // PER_FOLDER) / f"{_job(job_id)}-{number}.{ending}"


def _linked(source: str, target: str) -> None:
    """A second name for a file, which is only ever replaced, never changed; a copy on disks without such names."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _job(job_id: int) -> str:
    """The job id in a file's name: always digits only."""
    return f"{int(job_id):09d}"


@contextmanager
def as_files_error(path: Path) -> Iterator[None]:
    """Raise OS errors inside as FilesError.

    Raises:
        FilesError: naming `path`.
    """
    try:
        yield
    except OSError as exc:
        raise _error(exc, path) from exc


def _error(exc: OSError, path: Path) -> FilesError:
    key = "disk_full" if exc.errno in _FULL else "files_unusable"
    return FilesError(key, file=str(path), why=exc.strerror or "?")
