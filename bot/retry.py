"""Retry of operations that disk or database refuse for the moment. Event loop."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bot.errors import FilesError, StoreError
from bot.log import Fact, about
from bot.waiting import FOR_A_TIME, ExternalWait

FIRST_S, MOST_S = 0.5, 5.0
"""Delay between two tries: starts at the first value and doubles up to the second."""
T = TypeVar("T")
_log = logging.getLogger(__name__)


async def retry_io(
    operation: Callable[[], Awaitable[T]], wait: ExternalWait, *, within_s: float = math.inf, **facts: Fact
) -> T:
    """Run an operation, retrying until disk and database accept it; `facts` are for the log.

    A full disk, a database that another program holds, a folder that is missing for a moment: none of it is a reason
    to lose a picture. The log says it once, and once that it is over.

    Raises:
        StoreError, FilesError: if that takes longer than `within_s`, or the database is closed.
    """
    began, pause_s, waits = time.monotonic(), FIRST_S, False
    while True:
        try:
            result = await operation()
        except (FilesError, StoreError) as exc:
            if exc.sentence.key == "store_closed" or time.monotonic() - began > within_s:
                raise
            if not waits:
                _log.error("it has to wait: %s", exc, extra=about(**facts))
            waits = True
            await wait(asyncio.sleep(pause_s), FOR_A_TIME)
            pause_s = min(MOST_S, 2 * pause_s)
        else:
            if waits:
                _log.info("it goes on", extra=about(waited_s=round(time.monotonic() - began, 1), **facts))
            return result
