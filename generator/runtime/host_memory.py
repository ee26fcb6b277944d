"""Host memory available to this process: Linux's own numbers, within control group limits. No torch; any thread.

Containers and systemd limit memory by control groups, in two versions: one tree for everything (v2), or one for each
resource (v1). A process that exceeds a limit is killed, however much memory the machine has left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

_V2 = ("memory.max", "memory.current", "inactive_file")
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


class HostMemory(NamedTuple):
    """Bytes available to this process in total, and the free part of them."""

    total_bytes: int
    free_bytes: int


def look_at_memory(root: Path = Path("/")) -> HostMemory | None:
    """Memory available to this process; None on systems without /proc/meminfo. `root` contains proc and sys."""
    facts = _read(root / "proc" / "meminfo") or ""
    values = {name: int(text) * 1024 for name, text in re.findall(r"^(\w+):\s*(\d+) kB$", facts, re.MULTILINE)}
    if "MemTotal" not in values or "MemAvailable" not in values:
        return None
    total, free = values["MemTotal"], values["MemAvailable"]
    for limit, used in _bounds(root):
        total, free = min(total, limit), min(free, max(0, limit - used))
    return HostMemory(total, free)


def _bounds(root: Path) -> Iterator[tuple[int, int]]:
    """Limit and use, in bytes, of each control group of this process."""
    trees = root / "sys" / "fs" / "cgroup"
    for line in (_read(root / "proc" / "self" / "cgroup") or "").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if "memory" in controllers.split(","):
            folder, names = trees / "memory", _V1
        elif not controllers:
            folder, names = trees, _V2
        else:
            continue
        # A group's parents limit it too. In a container the path may be the host's, and only the top is visible.
        parts = [part for part in PurePosixPath(path).parts if part not in ("/", "..")]
        for depth in range(len(parts) + 1):
            bound = _bound(folder.joinpath(*parts[:depth]), names)
            if bound is not None:
                yield bound


def _bound(folder: Path, names: tuple[str, str, str]) -> tuple[int, int] | None:
    """Limit and use of one group; file pages that can be dropped at once do not count as used."""
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
