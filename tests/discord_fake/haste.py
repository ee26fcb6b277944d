"""Let time pass faster in a process, so that what it waits for takes a fraction of the time. Any thread.

Its clock of durations, the waits of its event loops and SQLite's wait for a lock all go by the same rate. Threads that
sleep, and the date, keep the time of the machine.
"""

from __future__ import annotations

import asyncio
import selectors
import sqlite3
import time
from typing import Any


class _Selector(selectors.DefaultSelector):
    """Waits a fraction of the time that a loop asks for."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self._rate = rate

    def select(self, timeout: float | None = None) -> Any:  # noqa: ANN401 - as the selector returns it
        return super().select(None if timeout is None else timeout / self._rate)


class _Policy(asyncio.DefaultEventLoopPolicy):
    """Makes loops that wait a fraction of the time."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self._rate = rate

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.SelectorEventLoop(_Selector(self._rate))


def hurry(rate: float) -> None:
    """Let time pass this number of times as fast for the rest of this process. To be called before its first loop."""
    if rate == 1:
        return
    monotonic, connect, began = time.monotonic, sqlite3.connect, time.monotonic()

    def connect_for_less(*given: Any, timeout: float = 5.0, **named: Any) -> sqlite3.Connection:  # noqa: ANN401
        return connect(*given, timeout=timeout / rate, **named)

    time.monotonic = lambda: began + rate * (monotonic() - began)
    sqlite3.connect = connect_for_less
    asyncio.set_event_loop_policy(_Policy(rate))
