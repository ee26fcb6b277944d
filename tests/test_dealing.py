"""The order in which several processes run the tests."""

from __future__ import annotations

import pytest

from tests.dealing import dealt

TESTS = [*range(20), 200, 201, *range(20, 41), 202, 203, 204]


def slow(test: int) -> bool:
    return test >= 200


@pytest.mark.parametrize("workers", range(1, 6))
def test_each_process_begins_with_its_share_of_the_slow_ones(workers: int) -> None:
    left = dealt(TESTS, workers, slow)
    assert sorted(left) == sorted(TESTS)
    for number in range(workers):
        size = len(left) // (workers - number)  # as xdist cuts the list
        part, left = left[:size], left[size:]
        count = len(range(number, 5, workers))
        assert [slow(test) for test in part] == [place < count for place in range(size)]


def test_the_others_stay_beside_their_neighbours() -> None:
    assert [test for test in dealt(TESTS, 3, slow) if not slow(test)] == list(range(41))


def test_slow_ones_alone_are_dealt_too() -> None:
    assert sorted(dealt([200, 201, 202], 2, slow)) == [200, 201, 202]
    assert dealt([], 3, slow) == []
