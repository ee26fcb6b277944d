"""States and their transitions."""

from __future__ import annotations

import pytest

from bot.errors import IllegalTransition
from bot.jobs import TRANSITIONS, Job, JobState, check_transition
from generator import Settings


def test_every_state_but_an_end_can_be_left_and_an_end_cannot() -> None:
    ends = {state for state in JobState if state.ended}
    assert ends == {JobState.DONE, JobState.CANCELLED, JobState.FAILED}
    assert set(TRANSITIONS) == set(JobState)


@pytest.mark.parametrize("old", JobState)
@pytest.mark.parametrize("new", JobState)
def test_a_transition_is_legal_or_refused(old: JobState, new: JobState) -> None:
    if new in TRANSITIONS[old]:
        check_transition(old, new)
    else:
        with pytest.raises(IllegalTransition, match=old.value):
            check_transition(old, new)


def test_nothing_is_posted_without_being_generated() -> None:
    before = {old for old, following in TRANSITIONS.items() if JobState.POSTING in following}
    assert before == {JobState.RUNNING}
    assert {old for old, following in TRANSITIONS.items() if JobState.DONE in following} == {JobState.POSTING}


@pytest.mark.parametrize("count", [0, 5, -1])
def test_a_job_makes_one_to_four_pictures(count: int) -> None:
    with pytest.raises(ValueError, match="count"):
        Job(guild_id=1, channel_id=1, user_id=1, prompt="x", settings=Settings(), models="tiny", count=count)
