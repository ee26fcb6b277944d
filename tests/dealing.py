"""Order of the tests for several processes: each begins with slow ones, so that none is left to one process at the end.

xdist gives every process an equal part of the list, which it runs from front to back; a process that has finished takes
over tests from the end of another's part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby, islice
from typing import TypeVar

T = TypeVar("T")


def dealt(tests: Sequence[T], workers: int, slow: Callable[[T], bool], module: Callable[[T], object]) -> list[T]:
    """Return the tests with the slow ones, module by module, dealt to the fronts of the workers' parts in turn.

    Tests of a module stay together, for they share fixtures.
    """
    first = [list(group) for _, group in groupby(filter(slow, tests), module)]
    rest = iter([test for test in tests if not slow(test)])
    found: list[T] = []
    for number in range(workers):
        share = [test for group in first[number::workers] for test in group]
        size = (len(tests) - len(found)) // (workers - number)
        found += share
        found += islice(rest, max(0, size - len(share)))
    return found
