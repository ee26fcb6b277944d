"""A fuzzer's target: a function that reads bytes, with its permitted outcomes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

BOUND_S = 2.0
"""Of computing for one input, while every line is counted as well; without that it takes a fraction."""


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

    def __call__(self, data: bytes) -> None:
        """Read, and check the outcome and the time.

        Raises:
            Broken: if it did.
        """
        began = time.process_time()
        self.read(data)
        took_s = time.process_time() - began
        if took_s > BOUND_S:
            raise Broken(f"it took {took_s:.1f} s")

    def corpus(self) -> list[bytes]:
        """Distinct seeds of permitted length."""
        return sorted({data for data in self.seeds() if len(data) <= self.longest})
