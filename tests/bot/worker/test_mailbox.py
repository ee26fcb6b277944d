"""The mailbox between the worker thread, the event loop and the task that follows a job."""

from __future__ import annotations

import operator
import threading

from bot.worker.mailbox import Mailbox


def test_untaken_values_are_merged_newer_before_older() -> None:
    box: Mailbox[str] = Mailbox(operator.add)
    assert box.take() is None
    assert box.put("a")
    assert not box.put("b")
    assert not box.put("c")
    assert box.take() == "cba"
    assert box.take() is None
    assert box.put("d")
    assert box.take() == "d"


def test_no_update_is_lost_or_delivered_twice_between_threads() -> None:
    box: Mailbox[int] = Mailbox(operator.add)
    writers, each = 4, 2_000
    told = threading.Semaphore(0)
    times_told = [0] * writers

    def write(number: int) -> None:
        for _ in range(each):
            if box.put(1):
                times_told[number] += 1
                told.release()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    total = takes = 0
    while total < writers * each:
        assert told.acquire(timeout=30)
        value = box.take()
        assert value is not None
        total, takes = total + value, takes + 1
    for thread in threads:
        thread.join()
    assert (total, takes) == (writers * each, sum(times_told))
    assert box.take() is None
