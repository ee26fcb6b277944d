"""The order in which several processes run the tests."""

from __future__ import annotations

import pytest

from tests.dealing import dealt

TESTS = [f"{module} {'slow' if number % 5 == 4 else number}" for module in range(9) for number in range(11)]


def slow(test: str) -> bool:
    return test.endswith("slow")


def module(test: str) -> str:
    return test[0]


def parts(tests: list[str], workers: int) -> list[list[str]]:
    """The parts that xdist gives to its workers."""
    found, left = [], tests
    for number in range(workers):
        size = len(left) // (workers - number)
        found.append(left[:size])
        left = left[size:]
    return found


@pytest.mark.parametrize("workers", range(1, 6))
def test_each_process_begins_with_its_share_of_the_slow_modules(workers: int) -> None:
    order = dealt(TESTS, workers, slow, module)
    assert sorted(order) == sorted(TESTS)
    modules = set()
    for number, part in enumerate(parts(order, workers)):
        share = [test for test in part if slow(test)]
        assert part[: len(share)] == share and len(share) == 2 * len(range(number, 9, workers))
        modules |= {(number, module(test)) for test in share}
    assert len(modules) == 9, "a module is in one part"


def test_the_others_stay_in_their_order() -> None:
    quick = [test for test in TESTS if not slow(test)]
    assert [test for test in dealt(TESTS, 3, slow, module) if not slow(test)] == quick


def test_few_tests_and_none_are_dealt_too() -> None:
    few = ["0 slow", "1 slow", "1 slow", "2 slow"]
    assert sorted(dealt(few, 3, slow, module)) == few
    assert dealt([], 3, slow, module) == []
