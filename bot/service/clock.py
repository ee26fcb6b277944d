"""Whether this machine's clock can be trusted: by a wrong one nothing is deleted or given up. Event loop.

A machine may start with the wrong date and be put right later, or the other way about. What is compared is the time
that Discord said last, or that of the start where it said none yet, and how long ago that was by a clock that cannot be
set.
"""

from __future__ import annotations

import logging
import time

from bot.log import about

DAY_S = 86_400
_log = logging.getLogger(__name__)


class Clock:
    """What time it should be.

    Attributes:
        known_at: a time (seconds since 1970) that was right.
    """

    def __init__(self) -> None:
        self.known_at, self._heard = time.time(), time.monotonic()

    def on_event(self, at: float) -> None:
        """Discord said what time it is (seconds since 1970)."""
        self.known_at, self._heard = at, time.monotonic()

    def is_right(self) -> bool:
        """Whether this machine's clock is right, give or take a day; the log says where it is not."""
        drift_s = time.time() - self.known_at - (time.monotonic() - self._heard)
        if abs(drift_s) <= DAY_S:
            return True
        _log.error("the clock is wrong; nothing is deleted or given up", extra=about(drift_s=round(drift_s)))
        return False
