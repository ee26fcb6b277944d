"""Shared by all tests: the profile of hypothesis, and one processor for each test process."""

import os

from hypothesis import settings

# Test machines are busy now and then, so a slow example says nothing about the code.
settings.register_profile("reverie", deadline=None)
settings.load_profile("reverie")

if "PYTEST_XDIST_WORKER" in os.environ:
    # Threads of two processes that wait for each other on two cores take several times as long. It is set before
    # anything imports torch, and applies to the programs that tests start as well.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
