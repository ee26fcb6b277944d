"""What all tests share: the profile of hypothesis, and a processor for each process that tests run in."""

import os

from hypothesis import settings

# The machines that run the tests are busy now and then, so a slow example says nothing about the code.
settings.register_profile("reverie", deadline=None)
settings.load_profile("reverie")

if "PYTEST_XDIST_WORKER" in os.environ:
    # Threads of two processes that wait for each other on two cores take several times as long. It is set before
    # anything imports torch, and holds for the programs that tests start as well.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
