"""The order in which several processes run the tests."""

from __future__ import annotations

import pytest

from tests.dealing import dealt

KINDS = {3: "waits", 4: "slow"}
TESTS = [f"{module} {KINDS.get(number % 5, number)}" for module in range(9) for number in range(11)]


def waits(test: str) -> bool:
    return test.endswith("waits")


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
def test_each_process_begins_with_its_share_of_waiting_and_of_slow_modules(workers: int) -> None:
    order = dealt(TESTS, workers, waits, slow, module)
    assert sorted(order) == sorted(TESTS)
    modules = set()
    for number, part in enumerate(parts(order, workers)):
        share = [test for test in part if waits(test) or slow(test)]
        assert part[: len(share)] == share and len(share) == 2 * len(range(number, 18, workers))
        modules |= {(number, waits(test), module(test)) for test in share}
    assert len(modules) == 18, "what a module has of a kind is in one part"


def test_half_of_the_processes_begin_with_tests_that_wait() -> None:
    fronts = [part[0] for part in parts(dealt(TESTS, 4, waits, slow, module), 4)]
    assert [waits(test) for test in fronts] == [True, False, True, False]


def test_the_others_stay_in_their_order() -> None:
    quick = [test for test in TESTS if not slow(test) and not waits(test)]
    order = dealt(TESTS, 3, waits, slow, module)
    assert [test for test in order if not slow(test) and not waits(test)] == quick


def test_few_tests_and_none_are_dealt_too() -> None:
    few = ["0 slow", "1 slow", "1 slow", "2 slow"]
    assert sorted(dealt(few, 3, waits, slow, module)) == few
    assert dealt([], 3, waits, slow, module) == []
