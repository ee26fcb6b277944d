"""The pace of the bot's own calls."""

from __future__ import annotations

from bot.frontend.messages.pace import Pace
from bot.frontend.messages.updater import PROGRESS_PER_S
from tests.discord_fake.limits import EVERYWHERE


def test_two_hundred_messages_at_once_stay_below_discords_limit_and_one_alone_need_not_wait() -> None:
    most, within_s = EVERYWHERE
    pace = Pace(PROGRESS_PER_S)
    turns = [pace.turn(100.0) for _ in range(200)]
    assert turns[0] == 100.0
    assert max(sum(start <= turn <= start + within_s for turn in turns) for start in turns) < most
    assert pace.turn(turns[-1] + 60.0) == turns[-1] + 60.0
