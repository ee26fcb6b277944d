"""How long an event loop stands still while something goes on: what people would notice as a bot that does not answer.

The machines that run the tests are busy now and then, which says nothing of the bot. So of the time that the loop was
late only that counts in which this process computed, whether on the loop or on a thread that kept it from running.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")
MOST_S = 0.1
PERIOD_S = 0.005
TRIES = 4
"""Where the machine is busy, a thread that does not keep the loop counts too: the best of some tries holds."""


async def lag_during(work: Awaitable[T]) -> tuple[float, T]:
    """The longest time, in seconds, for which the loop stood still, and what came of the work."""
    worst = 0.0

    async def watch() -> None:
        nonlocal worst
        while True:
            began, computed = time.perf_counter(), time.process_time()
            await asyncio.sleep(PERIOD_S)
            late_s = time.perf_counter() - began - PERIOD_S
            worst = max(worst, min(late_s, time.process_time() - computed))

    watcher = asyncio.create_task(watch())
    await asyncio.sleep(2 * PERIOD_S)
    try:
        result = await work
        await asyncio.sleep(0)
    finally:
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher
    return worst, result


async def without_lag(work: Callable[[], Awaitable[T]]) -> T:
    """What came of the work; it is done again where the loop was late.

    Raises:
        AssertionError: if the loop was too late each time.
    """
    lags = []
    for _ in range(TRIES):
        lag_s, result = await lag_during(work())
        if lag_s < MOST_S:
            return result
        lags.append(lag_s)
    raise AssertionError(f"the loop was late each time: {', '.join(f'{1_000 * lag:.0f} ms' for lag in lags)}")
