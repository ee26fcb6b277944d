"""Checks of every submission: queue lengths, quota, cooldown."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from bot.config import Caps, Limits
from bot.errors import QueueFull, Refused, TooSoon
from bot.service import JobSpec
from bot.service.submission.single import gate
from bot.store import Load
from tests.bot.real_service import RealService, requester

LIMITS = Limits(queue_server=10, queue_user=3, daily=20, cooldown_s=60)
CAPS = Caps(queue_bot=100)
NOW = 1_800_000_000.0


def load(**values: float | None) -> Load:
    given = {"queued_bot": 0, "queued_guild": 0, "queued_user": 0, "pictures_today": 0, "last_at": None}
    return Load(**{**given, **values})


@pytest.mark.parametrize(
    "seen",
    [
        load(),
        load(queued_bot=99, queued_guild=9, queued_user=2, pictures_today=16, last_at=NOW - 60),
        load(last_at=NOW + 10_000),
    ],
)
def test_up_to_the_limits_everything_is_admitted(seen: Load) -> None:
    gate(LIMITS, CAPS, 4, NOW)(seen)


@pytest.mark.parametrize(
    ("seen", "kind", "key"),
    [
        (load(queued_bot=100), QueueFull, "queue_full_bot"),
        (load(queued_guild=10), QueueFull, "queue_full_server"),
        (load(queued_user=3), QueueFull, "queue_full_user"),
        (load(pictures_today=17), TooSoon, "quota_spent"),
        (load(last_at=NOW - 1), TooSoon, "cooldown"),
    ],
)
def test_beyond_them_there_is_a_sentence(seen: Load, kind: type[Refused], key: str) -> None:
    with pytest.raises(kind) as caught:
        gate(LIMITS, CAPS, 4, NOW)(seen)
    assert caught.value.sentence.key == key


def test_a_quota_of_zero_is_without_end() -> None:
    gate(Limits(daily=0), CAPS, 4, NOW)(load(pictures_today=10**6))


def test_the_sentence_says_when_to_come_back() -> None:
    with pytest.raises(TooSoon, match=f"<t:{int(NOW) + 50}:R>"):
        gate(LIMITS, CAPS, 1, NOW)(load(last_at=NOW - 10))


async def test_the_prompts_of_a_crowd_are_checked_one_after_the_other(
    bench: RealService, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, checked = threading.Lock(), list[bool]()

    def check(*_: object) -> tuple[str, ...]:
        checked.append(alone.acquire(blocking=False))
        time.sleep(0.02)
        alone.release()
        return ()

    bench.engine.hold()
    submissions = bench.service.submissions
    monkeypatch.setattr(submissions, "_request_warnings", check)
    people = [requester(number) for number in range(1, 6)]
    await asyncio.gather(*(submissions.submit(person, JobSpec(prompt=f"a cat, {person.user_id}")) for person in people))
    assert checked == [True] * len(people)
