"""The time of a training within a bound, kept on disk, so that a killed run goes on with the time that is left.

Every part has a share of the time. A part ends before a step that would pass its end, judged by the slowest of its
steps, so that the bound holds without knowing beforehand how long anything takes; what one part leaves over or takes
too much, those behind it get or lose.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

RESERVE = 0.04
"""Share of all time that is kept for the last checkpoint and what is slower than ever before."""
FORGOTTEN = 0.9
"""By this factor the slowest step so far counts less at each later one: the first one also prepares the device."""
WARM_UP = 0.03
"""Share of a part in which its learning rate rises."""
Clock = Callable[[], float]


def process_s() -> float:
    """Seconds since this process began, the imports included; on other systems than Linux since this was imported."""
    try:
        fields = Path("/proc/self/stat").read_text("ascii").rpartition(")")[2].split()
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        return time.monotonic() - _IMPORTED_S


_IMPORTED_S = time.monotonic()


@dataclass
class Entry:
    """Time of one part.

    Attributes:
        steps: optimiser steps.
        seconds: that it took, building it included.
        built_s: those before its first step.
        allotted_s: seconds that it may take.
        slowest_s: seconds of its slowest steps of late.
        done: its time is over.
        figures: the last ones.
        note: why there are none.
    """

    steps: int = 0
    seconds: float = 0.0
    built_s: float = 0.0
    allotted_s: float = 0.0
    slowest_s: float = 0.0
    done: bool = False
    figures: dict[str, float] = field(default_factory=dict)
    note: str = "no time was left"


class TimeBudget:
    """Time of all parts.

    Args:
        path: file that keeps them.
        total_s: bound of all time, of this process and of those before it.
        shares: of the parts' time, by name, in their order.
        steps: instead of its time, every part takes so many steps.
        clock: seconds since the process began.
    """

    def __init__(
        self,
        path: Path,
        total_s: float,
        shares: Mapping[str, float],
        steps: int | None = None,
        clock: Clock = process_s,
    ) -> None:
        self._path, self._total_s, self._shares, self._steps, self._clock = path, total_s, shares, steps, clock
        kept = json.loads(path.read_text("utf-8")) if path.exists() else {"used_s": 0.0, "parts": {}}
        self._before_s = float(kept["used_s"])
        self.entries = {name: Entry(**kept["parts"].get(name, {})) for name in shares}
        self._last_s = 0.0

    @property
    def used_s(self) -> float:
        """Seconds of this process and of those before it."""
        return self._before_s + self._clock()

    @property
    def left_s(self) -> float:
        """Seconds that are left, without the reserve."""
        return self._total_s * (1 - RESERVE) - self.used_s

    def begin(self, name: str) -> Entry:
        """Begin to build a part, or to go on with it; one that has no time yet gets its share of what is left."""
        entry = self.entries[name]
        if not entry.allotted_s:
            behind = sum(share for other, share in self._shares.items() if not self.entries[other].done)
            entry.allotted_s = max(0.0, self.left_s) * self._shares[name] / behind
        self._last_s = self.used_s
        return entry

    def goes_on(self, entry: Entry) -> bool:
        """True if another step fits."""
        if self._steps is not None:
            return entry.steps < self._steps
        return entry.seconds + entry.slowest_s <= min(entry.allotted_s, entry.seconds + self.left_s)

    def window(self, steps: int) -> int:
        """How many steps may be counted together, of so many."""
        return steps if self._steps is None else 1

    def share(self, entry: Entry) -> float:
        """Share of the part that is done."""
        if self._steps is not None:
            return entry.steps / self._steps
        return min(1.0, (entry.seconds - entry.built_s) / max(1e-9, entry.allotted_s - entry.built_s))

    def learning_rate(self, entry: Entry, peak: float, after: Callable[[float], float]) -> float:
        """Short warm-up from a twentieth of the peak, then as `after` says for 0 to 1."""
        share = self.share(entry)
        if share < WARM_UP:
            return peak * (0.05 + 0.95 * share / WARM_UP)
        return peak * after((share - WARM_UP) / (1 - WARM_UP))

    def count(self, entry: Entry, steps: int) -> None:
        """Account the time since `begin` or the last call for so many steps."""
        now = self.used_s
        took, self._last_s = now - self._last_s, now
        entry.seconds += took
        entry.steps += steps
        if steps:
            entry.slowest_s = max(took, FORGOTTEN * entry.slowest_s)
        self.save()

    def save(self) -> None:
        """Write the file."""
        parts = {name: asdict(entry) for name, entry in self.entries.items()}
        beside = self._path.with_suffix(".part")
        beside.write_text(json.dumps({"used_s": self.used_s, "parts": parts}), "utf-8")
        beside.replace(self._path)

    def table(self) -> str:
        """Steps, seconds and last figures of each part, as text."""
        lines = [f"{'part':18} {'steps':>6} {'seconds':>8}  last figures"]
        for name, entry in self.entries.items():
            figures = ", ".join(f"{figure} {value:.3f}" for figure, value in entry.figures.items())
            lines.append(f"{name:18} {entry.steps:6} {entry.seconds:8.1f}  {figures or entry.note}")
        beside = self.used_s - sum(entry.seconds for entry in self.entries.values())
        lines.append(f"{'loading':18} {'':6} {beside:8.1f}  before the first part")
        return "\n".join([*lines, f"{'all':18} {'':6} {self.used_s:8.1f}  of {self._total_s:.0f} s"])
