"""Order of the tests for several processes: each begins with slow ones, so that none is left to one process at the end.

xdist gives every process an equal part of the list, which it runs from front to back; a process that has finished takes
over tests from the end of another's part. Some processes begin with tests that wait and others with tests that compute,
so that the processors are busy from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby, islice, zip_longest
from typing import TypeVar

T = TypeVar("T")


def dealt(
    tests: Sequence[T],
    workers: int,
    waits: Callable[[T], bool],
    slow: Callable[[T], bool],
    module: Callable[[T], object],
) -> list[T]:
    """Return the tests, with modules of waiting and of slow ones by turns dealt to the fronts of the workers' parts.

    Tests of a module stay together, for they share fixtures.
    """
    waiting = [list(group) for _, group in groupby(filter(waits, tests), module)]
    computing = [
        list(group) for _, group in groupby([test for test in tests if slow(test) and not waits(test)], module)
    ]
    first = [group for pair in zip_longest(waiting, computing, fillvalue=[]) for group in pair]
    rest = iter([test for test in tests if not slow(test) and not waits(test)])
    found: list[T] = []
    for number in range(workers):
        share = [test for group in first[number::workers] for test in group]
        size = (len(tests) - len(found)) // (workers - number)
        found += share
        found += islice(rest, max(0, size - len(share)))
    return found
