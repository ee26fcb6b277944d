"""The one seam through which the application's tasks wait for something from outside themselves. Event loop.

In production it changes nothing. A test bench that must know which tasks are idle on purpose puts its own in place and
tells the waits apart by their reason.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol, TypeVar

FOR_A_JOB = "the dispatcher waits for a job"
FOR_THE_PAINTER = "a job waits for the painter"
FOR_NEWS = "a job waits for news from the painter"
FOR_A_TIME = "a task waits for its next time"

T = TypeVar("T")


class ExternalWait(Protocol):
    """Awaits something on behalf of the calling task."""

    async def __call__(self, awaitable: Awaitable[T], reason: str, /) -> T:
        """The result of `awaitable`; `reason` is one of this module's."""


async def identity(awaitable: Awaitable[T], reason: str, /) -> T:
    """The wait in production."""
    return await awaitable
