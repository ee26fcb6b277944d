"""Discord's rate limits, enforced by the fake on request. The fake's event loop.

The numbers are the documented 50 calls a second, and for channels and webhooks commonly observed ones.
"""

from __future__ import annotations

import math
import re
import time
from collections import deque

from aiohttp import web

from tests.discord_fake.calls import Call, json_answer

EVERYWHERE = (50, 1.0)
RULES = (
    ("channel", re.compile(r"/channels/(\d+)/messages(?:/\d+)?"), (5, 5.0)),
    ("webhook", re.compile(r"/webhooks/\d+/([^/]+)(?:/.*)?"), (5, 2.0)),
)


class Buckets:
    """Recent calls in each bucket. `refused` counts the 429s."""

    def __init__(self) -> None:
        self._taken: dict[str, deque[float]] = {}
        self.refused = 0

    def take(self, call: Call) -> tuple[dict[str, str], web.Response | None]:
        """Return the answer's headers, and a refusal if the bucket is empty."""
        now = time.monotonic()
        if call.path.startswith("/interactions/"):
            return {}, None
        wait_s = 0.0 if call.path.startswith("/webhooks/") else self._wait_s("everywhere", EVERYWHERE, now)
        if wait_s:
            return {}, self._refusal(wait_s, everywhere=True)
        for name, pattern, rule in RULES:
            if (found := pattern.fullmatch(call.path)) is not None:
                return self._take(f"{name} {call.method} {found[1]}", rule, now)
        return {}, None

    def _take(self, key: str, rule: tuple[int, float], now: float) -> tuple[dict[str, str], web.Response | None]:
        wait_s = self._wait_s(key, rule, now)
        if wait_s:
            return {}, self._refusal(wait_s, everywhere=False)
        taken, (most, window_s) = self._taken[key], rule
        after_s = taken[0] + window_s - now
        return {
            "X-RateLimit-Limit": str(most),
            "X-RateLimit-Remaining": str(most - len(taken)),
            "X-RateLimit-Reset": f"{time.time() + after_s:.3f}",
            "X-RateLimit-Reset-After": f"{after_s:.3f}",
            "X-RateLimit-Bucket": " ".join(key.split()[:2]).replace(" ", "-"),
        }, None

    def _wait_s(self, key: str, rule: tuple[int, float], now: float) -> float:
        """Count a call; or return the seconds until there is room for it."""
        taken, (most, window_s) = self._taken.setdefault(key, deque()), rule
        while taken and taken[0] <= now - window_s:
            taken.popleft()
        if len(taken) >= most:
            return taken[0] + window_s - now
        taken.append(now)
        return 0.0

    def _refusal(self, wait_s: float, *, everywhere: bool) -> web.Response:
        self.refused += 1
        body = {"message": "You are being rate limited.", "retry_after": round(wait_s, 3), "global": everywhere}
        headers = {"Retry-After": str(math.ceil(wait_s)), "Via": "1.1 fake"}
        return json_answer(body, status=429, headers=headers)
