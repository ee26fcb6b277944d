"""The count of the loop's steps finds blocking work on any machine, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from bot.frontend.words import as_typed
from generator import normalise
from tests.faults.hostile_pictures import flat_png
from tests.faults.steps import MOST_LINES, LoopSteps, in_short_steps

PICTURE = flat_png(40, 40)


def long() -> None:
    """Many lines of our code in one step."""
    for _ in range(MOST_LINES):
        as_typed("a red apple", 50)


async def test_a_picture_that_is_read_on_the_loop_is_found() -> None:
    async def read() -> bytes:
        return normalise(PICTURE)

    with pytest.raises(AssertionError, match=r"on the loop's thread ran: .*normalise"):
        await in_short_steps(read())


async def test_a_step_of_many_lines_is_found() -> None:
    async def work() -> None:
        long()

    with pytest.raises(AssertionError, match=r"one step of the loop took \d+ lines of code"):
        await in_short_steps(work())


async def test_the_same_on_other_threads_or_in_many_steps_blocks_no_one() -> None:
    assert await in_short_steps(asyncio.to_thread(normalise, PICTURE))
    await in_short_steps(asyncio.to_thread(long))

    async def work() -> None:
        for number in range(MOST_LINES // 10):
            as_typed("a red apple", 50)
            if number % 100 == 0:
                await asyncio.sleep(0)

    with LoopSteps() as steps:
        await work()
    assert 0 < steps.most_lines < MOST_LINES
    steps.check()
