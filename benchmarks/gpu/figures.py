"""Figures with their targets, and the parts of the run that produce them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the table.

    Attributes:
        name: the measured quantity.
        value: a number, or a truth value; None if this version lacks the feature.
        unit: of the number.
        least: the lower target.
        most: the upper target.
    """

    name: str
    value: float | bool | None
    unit: str = ""
    least: float | None = None
    most: float | None = None

    @property
    def met(self) -> bool | None:
        """True if the target is met; None if there is none or nothing was measured."""
        if self.value is None or (self.least is None and self.most is None):
            return None
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)

    def row(self, part: str) -> list[str]:
        """Format the line for output."""
        if isinstance(self.value, bool):
            value = "yes" if self.value else "no"
        else:
            value = "–" if self.value is None else f"{self.value:.4g} {self.unit}".strip()
        bars = [f"at least {self.least:g}"] if self.least is not None else []
        bars += [f"at most {self.most:g}"] if self.most is not None else []
        said = {True: "reached", False: "MISSED", None: ""}[self.met]
        return [part, self.name, value, " and ".join(bars), said]


@dataclass(frozen=True, kw_only=True)
class Here:
    """Environment of a part.

    Attributes:
        device: its name with its number, such as `cuda:0`.
        tiny: tiny models, to try the script on a CPU.
        folder: for the part's own files.
    """

    device: str
    tiny: bool
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Part:
    """Part of the run; ends in figures or in an error.

    Attributes:
        name: for the table, and to request it alone.
        work: its function.
        alone: True if nothing else may run at the same time, since time or memory is measured.
        limit_s: seconds after which it counts as stuck.
        on_a_cpu: True if it can be tried without a GPU.
    """

    name: str
    work: Callable[[Here], list[Figure]]
    alone: bool = False
    limit_s: float = 100.0
    on_a_cpu: bool = True


class Broken(Exception):
    """A required condition does not hold."""


def hold(so: bool, otherwise: str) -> None:
    """Require a condition.

    Raises:
        Broken: with the sentence `otherwise`.
    """
    if not so:
        raise Broken(otherwise)
