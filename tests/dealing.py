"""Order of the tests for several processes: each begins with slow ones, so that none is left to one process at the end.

xdist gives every process an equal part of the list, which it runs from front to back; a process that has finished takes
over tests from the end of another's part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def dealt(tests: Sequence[T], workers: int, slow: Callable[[T], bool]) -> list[T]:
    """Return the tests with the slow ones dealt in turn to the fronts of the workers' parts.

    The others stay next to their neighbours, with which they share fixtures.
    """
    first = [test for test in tests if slow(test)]
    rest = iter([test for test in tests if not slow(test)])
    found: list[T] = []
    for number in range(workers):
        share = first[number::workers]
        size = (len(tests) - len(found)) // (workers - number)
        found += share
        found += islice(rest, max(0, size - len(share)))
    return found
