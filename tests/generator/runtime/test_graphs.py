"""Recordings on a GPU as torch's Python and a stand-in for its allocator see them; see tests/stand_in_gpu.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from generator.runtime.graphs import CudaRecorder
from tests.stand_in_gpu import Driver, gpus

DEVICE = torch.device("cuda", 0)


@pytest.fixture
def driver() -> Iterator[Driver]:
    with gpus() as driver:
        yield driver


def test_recordings_share_a_pool_and_are_replayed(driver: Driver) -> None:
    recorder = CudaRecorder(DEVICE)
    first, second = recorder.record(lambda: "first"), recorder.record(lambda: "second")
    assert (first(), second(), first()) == ("first", "second", "first")
    assert driver.pools.shares.total() == 2 and not driver.pools.recording


def test_a_capture_that_cuda_refuses_leaves_nothing_behind_and_the_next_succeeds(driver: Driver) -> None:
    recorder, stream = CudaRecorder(DEVICE), driver.stream
    kept = recorder.record(lambda: "kept")
    driver.pools.refuses = True
    with pytest.raises(RuntimeError, match="previous error during capture"):
        recorder.record(lambda: "refused")
    assert driver.stream is stream
    assert driver.pools.shares.total() == 1 and not driver.pools.recording
    driver.pools.refuses = False
    assert recorder.record(lambda: "next")() == "next"
    assert kept() == "kept"


def test_the_first_capture_may_be_refused(driver: Driver) -> None:
    recorder = CudaRecorder(DEVICE)
    driver.pools.refuses = True
    with pytest.raises(RuntimeError, match="previous error during capture"):
        recorder.record(lambda: "refused")
    driver.pools.refuses = False
    assert recorder.record(lambda: "next")() == "next"
    assert driver.pools.shares.total() == 0 and not driver.pools.recording


def test_work_that_breaks_in_a_valid_capture_is_released_once(driver: Driver) -> None:
    runs = 0

    def breaks_in_the_capture() -> None:
        nonlocal runs
        runs += 1
        if driver.pools.recording:
            raise ValueError("it broke")

    recorder, stream = CudaRecorder(DEVICE), driver.stream
    with pytest.raises(ValueError, match="it broke"):
        recorder.record(breaks_in_the_capture)
    assert runs > 1 and driver.stream is stream
    assert driver.pools.shares.total() == 0 and not driver.pools.recording
    assert recorder.record(lambda: "next")() == "next"
