"""Pace of calls with the bot's own token: Discord takes 50 a second of them, all together. Pure; any one thread."""

from __future__ import annotations


class Pace:
    """Turns at equal distances, the next of them at once after a rest."""

    def __init__(self, per_s: float) -> None:
        self._pause_s, self._last_at = 1.0 / per_s, float("-inf")

    def turn(self, now: float) -> float:
        """Take the next free turn; return its time, on the clock of `now`."""
        self._last_at = max(now, self._last_at + self._pause_s)
        return self._last_at
