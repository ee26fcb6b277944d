"""How much memory this machine has for this process: Linux's own figures, and what control groups leave of them.

Containers and systemd bound memory by control groups, of which there are two kinds: one tree for everything (v2), and
one for each resource (v1). Whoever goes beyond a bound is killed, whatever the machine still has. No torch; any thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

_V2 = ("memory.max", "memory.current", "inactive_file")
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


class HostMemory(NamedTuple):
    """Bytes that this process can have altogether, and what is free of them."""

    total_bytes: int
    free_bytes: int


def look_at_memory(root: Path = Path("/")) -> HostMemory | None:
    """What this process may have; None on systems that do not tell. `root` is where proc and sys are."""
    facts = _read(root / "proc" / "meminfo") or ""
    values = {name: int(text) * 1024 for name, text in re.findall(r"^(\w+):\s*(\d+) kB$", facts, re.MULTILINE)}
    if "MemTotal" not in values or "MemAvailable" not in values:
        return None
    total, free = values["MemTotal"], values["MemAvailable"]
    for limit, used in _bounds(root):
        total, free = min(total, limit), min(free, max(0, limit - used))
    return HostMemory(total, free)


def _bounds(root: Path) -> Iterator[tuple[int, int]]:
    """The bound of each control group that this process is in, with what is used of it, in bytes."""
    trees = root / "sys" / "fs" / "cgroup"
    for line in (_read(root / "proc" / "self" / "cgroup") or "").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if "memory" in controllers.split(","):
            folder, names = trees / "memory", _V1
        elif not controllers:
            folder, names = trees, _V2
        else:
            continue
        # A group's parents bound it too. In a container the path may be the host's, and only the top is to be seen.
        parts = [part for part in PurePosixPath(path).parts if part not in ("/", "..")]
        for depth in range(len(parts) + 1):
            bound = _bound(folder.joinpath(*parts[:depth]), names)
            if bound is not None:
                yield bound


def _bound(folder: Path, names: tuple[str, str, str]) -> tuple[int, int] | None:
    """What one group may have and uses; pages of files that can be dropped at once do not count as used."""
    limit, used = (_number(_read(folder / name)) for name in names[:2])
    if limit is None or used is None:
        return None
    match = re.search(rf"^{names[2]} (\d+)$", _read(folder / "memory.stat") or "", re.MULTILINE)
    return limit, max(0, used - (0 if match is None else int(match[1])))


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"\d{1,20}\s*", text, re.ASCII) else None


def _read(file: Path) -> str | None:
    try:
        return file.read_text("utf-8", "replace")
    except (OSError, ValueError):
        return None
