"""Shared by all tests: the profile of hypothesis, one processor for each test process, and slow tests first."""

import os

import pytest
from hypothesis import settings

from tests.dealing import dealt

HANGS_S = 1_500
"""Seconds after which a slow test counts as hanging, on a machine that is busy with other work."""

# Test machines are busy now and then, so a slow example says nothing about the code.
settings.register_profile("reverie", deadline=None)
settings.load_profile("reverie")

if "PYTEST_XDIST_WORKER" in os.environ:
    # Threads of two processes that wait for each other on two cores take several times as long. It is set before
    # anything imports torch, and applies to the programs that tests start as well.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give slow tests more time; where several processes run the tests, let each begin with its share of them."""
    for item in filter(_slow, items):
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(HANGS_S))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        items[:] = dealt(items, workers, _waits, _slow, lambda item: item.path)


def _slow(item: pytest.Item) -> bool:
    return item.get_closest_marker("slow") is not None


def _waits(item: pytest.Item) -> bool:
    return item.get_closest_marker("waits") is not None
