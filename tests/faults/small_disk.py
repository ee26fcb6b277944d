"""A disk of a few MB for the data folder of a bot under test: really full, and only its own processes see it. Linux.

A process of ours mounts a tmpfs in a user and mount namespace of its own, which needs no rights; the bot's process
joins them before its first line runs. The test looks in through `/proc`. As a module it is what both of them run:

    python -m tests.faults.small_disk                  with SMALL_DISK_FOLDER and SMALL_DISK_BYTES: mount, and hold it
    python -m tests.faults.small_disk [arguments]      with SMALL_DISK_HOLDER: join it and run SMALL_DISK_RUNS
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import runpy
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

ME = "tests.faults.small_disk"
ROOT = Path(__file__).parent.parent.parent
BLOCK = 4_096
_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000


class SmallDisk:
    """A file system of `size_bytes` at `folder`, mounted inside `with`.

    Attributes:
        inside: where the test sees its files.
    """

    def __init__(self, folder: Path, size_bytes: int) -> None:
        self._folder, self._size_bytes = folder, size_bytes
        self._holder: subprocess.Popen[bytes] | None = None
        self.inside = folder

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        given = {"SMALL_DISK_FOLDER": str(self._folder), "SMALL_DISK_BYTES": str(self._size_bytes)}
        self._holder = subprocess.Popen(
            [sys.executable, "-m", ME], cwd=ROOT, env=os.environ | given, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._holder.stdout is not None
        said = self._holder.stdout.readline().decode().strip()
        if said != "mounted":
            self.__exit__()
            raise OSError(f"no disk of our own can be mounted here: {said}")
        self.inside = Path(f"/proc/{self._holder.pid}/root{self._folder}")
        return self

    def __exit__(self, *error: object) -> None:
        if self._holder is not None:
            for pipe in (self._holder.stdin, self._holder.stdout):
                assert pipe is not None
                pipe.close()
            self._holder.wait(30)

    def runs(self, module: str) -> dict[str, str]:
        """Environment for a process that runs this module: it joins the namespace, then runs that module."""
        assert self._holder is not None
        return {"SMALL_DISK_HOLDER": str(self._holder.pid), "SMALL_DISK_RUNS": module}

    def rows(self, file: str, sql: str, *values: object) -> list[Mapping[str, object]]:
        """Return the rows of a query in a database on it. The holder asks: SQLite would resolve `/proc` outside."""
        assert self._holder is not None and self._holder.stdin is not None and self._holder.stdout is not None
        asked = {"file": str(self._folder / file), "sql": sql, "values": values}
        self._holder.stdin.write(json.dumps(asked).encode() + b"\n")
        self._holder.stdin.flush()
        found: list[Mapping[str, object]] = json.loads(self._holder.stdout.readline())
        return found

    @property
    def free_bytes(self) -> int:
        """Number of free bytes."""
        told = os.statvfs(self.inside)
        return told.f_bavail * told.f_frsize

    def leave(self, free_bytes: int) -> None:
        """Fill it until about `free_bytes` are free, in whole blocks; others may fill it before."""
        self.clear()
        wanted = self.free_bytes - free_bytes // BLOCK * BLOCK
        try:
            with self._ballast.open("wb", buffering=0) as file:
                file.write(bytes(max(0, wanted)))
        except OSError as exc:
            if exc.errno != errno.ENOSPC:
                raise

    def clear(self) -> None:
        """Free the space again."""
        self._ballast.unlink(missing_ok=True)

    @property
    def _ballast(self) -> Path:
        return self.inside / "ballast"


def _call(name: str, *values: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*values) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), name)


def ask(file: Path, sql: str, values: Iterable[object]) -> list[Mapping[str, object]]:
    """Rows of a query."""
    db = sqlite3.connect(file, timeout=30)
    db.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in db.execute(sql, tuple(values))]
    finally:
        db.close()


def hold(folder: Path, size_bytes: int) -> None:
    """Mount the disk for this process only, report it, and answer queries until standard input ends."""
    user, group = os.getuid(), os.getgid()
    try:
        _call("unshare", _CLONE_NEWUSER | _CLONE_NEWNS)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
        _call("mount", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
        _call("mount", b"none", str(folder).encode(), b"tmpfs", 0, f"size={size_bytes}".encode())
    except OSError as exc:
        sys.stdout.write(f"{exc}\n")
        return
    sys.stdout.write("mounted\n")
    sys.stdout.flush()
    for line in sys.stdin:
        asked = json.loads(line)
        sys.stdout.write(json.dumps(ask(Path(asked["file"]), asked["sql"], asked["values"])) + "\n")
        sys.stdout.flush()


def join(holder: int) -> None:
    """Join the holder's mount namespace. Call it before the process has a second thread."""
    for kind in ("user", "mnt"):
        place = os.open(f"/proc/{holder}/ns/{kind}", os.O_RDONLY)
        _call("setns", place, 0)
        os.close(place)
    os.chdir(ROOT)


if __name__ == "__main__":
    if "SMALL_DISK_HOLDER" in os.environ:
        join(int(os.environ["SMALL_DISK_HOLDER"]))
        runpy.run_module(os.environ["SMALL_DISK_RUNS"], run_name="__main__", alter_sys=True)
    else:
        hold(Path(os.environ["SMALL_DISK_FOLDER"]), int(os.environ["SMALL_DISK_BYTES"]))
