"""Ids in Discord's format, which contain their creation time. Any thread."""

from __future__ import annotations

import itertools
import time

DISCORD_EPOCH_S = 1_420_070_400
_counter = itertools.count()


def new_id(age_s: float = 0.0) -> int:
    """Create an id of something that is `age_s` seconds old."""
    made_ms = int((time.time() - age_s - DISCORD_EPOCH_S) * 1_000)
    return (made_ms << 22) | (next(_counter) & 0x3FFFFF)
