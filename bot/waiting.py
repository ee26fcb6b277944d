"""Interface for all waits of the application's tasks on something external. Event loop.

In production it changes nothing. A test harness that must recognise idle tasks replaces it and distinguishes the waits
by their reason.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol, TypeVar

FOR_A_JOB = "the dispatcher waits for a job"
FOR_THE_WORKER = "a job waits for the worker"
FOR_PROGRESS = "a job waits for progress from the worker"
FOR_A_TIME = "a task waits for its next time"

T = TypeVar("T")


class ExternalWait(Protocol):
    """Awaits something on behalf of the calling task."""

    async def __call__(self, awaitable: Awaitable[T], reason: str, /) -> T:
        """The result of `awaitable`; `reason` is one of this module's."""


async def identity(awaitable: Awaitable[T], reason: str, /) -> T:
    """The wait in production."""
    return await awaitable
