"""A mailbox for one value: a newer one is merged with what nobody has taken yet. Any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Holds at most one value. Neither side ever waits for the other."""

    def __init__(self, merge: Callable[[T, T], T]) -> None:
        """`merge(new, old)` gives the one value that stands for both."""
        self._merge = merge
        self._value: T | None = None
        self._lock = threading.Lock()

    def put(self, value: T) -> bool:
        """Leave a value; whether the mailbox was empty, so that its reader must be told."""
        with self._lock:
            old = self._value
            self._value = value if old is None else self._merge(value, old)
            return old is None

    def take(self) -> T | None:
        """The value, which is gone from here then; None if there is none."""
        with self._lock:
            value, self._value = self._value, None
            return value
