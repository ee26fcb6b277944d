"""Mailbox for one value: a newer value is merged with one that was not taken yet. Any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Hold at most one value. Neither side waits for the other."""

    def __init__(self, merge: Callable[[T, T], T]) -> None:
        """`merge(new, old)` returns the one value that replaces both."""
        self._merge = merge
        self._value: T | None = None
        self._lock = threading.Lock()

    def put(self, value: T) -> bool:
        """Leave a value; return True if the mailbox was empty, so that its reader must be notified."""
        with self._lock:
            old = self._value
            self._value = value if old is None else self._merge(value, old)
            return old is None

    def take(self) -> T | None:
        """Remove and return the value; None if there is none."""
        with self._lock:
            value, self._value = self._value, None
            return value
