"""A fuzzer's target: a function that reads bytes, with its permitted outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


class Broken(Exception):
    """A broken promise."""


@dataclass(frozen=True)
class Target:
    """A function that reads bytes.

    Attributes:
        allowed: permitted outcomes of any bytes.
        read: reads them, and raises where anything else came of them.
        seeds: first inputs of a fuzzer.
        words: texts that are worth putting into an input.
        longest: bytes of an input.
    """

    allowed: str
    read: Callable[[bytes], object]
    seeds: Callable[[], Iterable[bytes]]
    words: tuple[str, ...] = ()
    longest: int = 8192

    def corpus(self) -> list[bytes]:
        """Distinct seeds of permitted length."""
        return sorted({data for data in self.seeds() if len(data) <= self.longest})
