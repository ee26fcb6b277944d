"""Shared by all tests: the profile of hypothesis, one processor for each test process, and slow tests first."""

import gc
import importlib
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings

from bot.worker.cluster.environment import TOKEN, prepare_environment
from tests.dealing import dealt

TESTS = Path(__file__).parent
WORKER, WORKERS = os.environ.get("PYTEST_XDIST_WORKER", ""), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
"""Name of this process if several run the tests, such as `gw0`, and their number."""
HANGS_S = 1_500
"""Seconds after which a slow test counts as hanging, on a machine that is busy with other work."""

# Test machines are busy now and then, so a slow example says nothing about the code.
settings.register_profile("reverie", deadline=None)
settings.load_profile("reverie")

if WORKER:
    # Threads of two processes that wait for each other on two cores take several times as long. It is set before
    # anything imports torch, and applies to the programs that tests start as well.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Ray reads it when a test module imports it, which may be before the conftest beside that module is read.
os.environ.setdefault(TOKEN, "0123456789abcdef" * 4)
prepare_environment(os.environ, "127.0.0.1:0", Path.home())


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Let each of several processes import its share of the test modules first.

    In a fresh clone pytest rewrites the assertions of every module, and keeps the result beside it for the others.
    """
    if WORKER and session.config.args == session.config.getini("testpaths"):
        files = sorted(TESTS.rglob("test_*.py"))
        for file in files[int(WORKER.removeprefix("gw")) :: WORKERS]:
            with suppress(Exception, pytest.skip.Exception):  # Collecting it says what is wrong.
                importlib.import_module(".".join(file.relative_to(TESTS.parent).with_suffix("").parts))


def pytest_collection_finish() -> None:
    """Leave modules and tests out of garbage collections from now on: the bot collects after each failed dream."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give slow tests more time; where several processes run the tests, let each begin with its share of them."""
    for item in filter(_slow, items):
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(HANGS_S))
    if WORKERS > 1:
        items[:] = dealt(items, WORKERS, _waits, _slow, lambda item: item.path)


def _slow(item: pytest.Item) -> bool:
    return item.get_closest_marker("slow") is not None


def _waits(item: pytest.Item) -> bool:
    return item.get_closest_marker("waits") is not None
