"""Work of the event loop's thread in one step: while steps are short, the bot can answer everyone.

It is counted and not timed, so that it is the same on every machine: lines of our own code that run between two turns
of the loop, and whether anything runs on its thread that reads foreign bytes or compares hundreds of rules. Work
on other threads is not counted.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")
MOST_LINES = 40_000
"""Lines of Python between two turns of the loop: about 10 ms of an ordinary core."""
OURS = ("bot", "generator", "discord", "PIL")
ELSEWHERE = ("PIL.ImageFile", "generator.images", "generator.recipe", "bot.service.blocklist")
"""Modules with calls that take long, so that they belong on another thread."""
_STEP = asyncio.Handle._run.__code__  # type: ignore[attr-defined]


class LoopSteps:
    """Counts inside its context, on the thread that entered it.

    Attributes:
        most_lines: of our code in one step.
        misplaced: functions of ELSEWHERE that ran here.
    """

    def __init__(self) -> None:
        self.most_lines, self.misplaced = 0, set[str]()
        self._lines = 0

    def __enter__(self) -> LoopSteps:
        self._before = sys.gettrace()
        sys.settrace(self._enter_frame)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def check(self) -> None:
        """Check that no step blocked the loop.

        Raises:
            AssertionError: if it was.
        """
        assert not self.misplaced, f"on the loop's thread ran: {', '.join(sorted(self.misplaced))}"
        assert self.most_lines <= MOST_LINES, f"one step of the loop took {self.most_lines} lines of code"

    def _enter_frame(self, frame: FrameType, event: str, arg: object) -> Any:  # noqa: ANN401 - a trace function
        if frame.f_code is _STEP:
            self._lines = 0
            return None
        module = frame.f_globals.get("__name__", "")
        if not _within(module, OURS):
            return None
        if _within(module, ELSEWHERE):
            self.misplaced.add(f"{module}.{frame.f_code.co_qualname}")
        return self._count_line

    def _count_line(self, frame: FrameType, event: str, arg: object) -> Any:  # noqa: ANN401 - a trace function
        if event == "line":
            self._lines += 1
            self.most_lines = max(self.most_lines, self._lines)
        return self._count_line


async def in_short_steps(work: Awaitable[T]) -> T:
    """Return the result of the work.

    Raises:
        AssertionError: if a step blocked the loop.
    """
    with LoopSteps() as steps:
        result = await work
    steps.check()
    return result


def _within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in packages)
