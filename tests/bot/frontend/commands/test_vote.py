"""/vote: rounds opened and closed by time, ballots counted and changed, who may vote, and restarts in the middle."""

from __future__ import annotations

import re

import discord
import pytest

from bot.errors import ShuttingDown
from bot.jobs import JobState, Origin
from bot.service.submission.votes import with_words
from tests.bot.frontend.client_in_simcord import ClientInSimcord, reply_of


async def open_round(stage: ClientInSimcord, number: int = 1) -> discord.Message:
    """Return the message of a round, once it takes votes."""

    async def look() -> discord.Message | None:
        votes = await stage.service.votes.under_way()
        if not votes or votes[0].round != number or votes[0].ends_at is None:
            return None
        return next(message for message in stage.channel.history() if message.id == votes[0].message_id)

    return await stage.until(look)


async def over(stage: ClientInSimcord) -> bool:
    return not await stage.service.votes.under_way()


def labels(message: discord.Message) -> list[str]:
    rows = [row.children for row in message.components]  # type: ignore[union-attr]
    return [item.label or "" for row in rows for item in row]  # type: ignore[union-attr]


async def test_the_crowd_chooses_pictures_and_words_until_the_winner_is_painted_alone(stage: ClientInSimcord) -> None:
    await stage.ann.slash(stage.channel, "vote", prompt="a cat", rounds=2, minutes=1, words="at night; in snow")
    message = await open_round(stage)
    assert message.content.startswith("**Round 1 of 2** · which picture goes on? · ends <t:")
    assert re.search(r"<t:\d+:R>", message.content)
    assert labels(message) == ["1", "2", "3", "4", "As it is", "at night", "in snow", "End the round", "Stop the vote"]
    await stage.ann.click(message, label="1")
    await stage.bob.click(message, label="2")
    await stage.admin.click(message, label="2 · 1")
    await stage.bob.click(message, label="in snow")
    message = next(item for item in stage.channel.history() if item.id == message.id)
    assert labels(message)[:2] == ["1 · 1", "2 · 2"] and "in snow · 1" in labels(message)
    await stage.ann.click(message, label="2 · 2")
    await stage.ann.click(message, label="End the round")
    second = await open_round(stage, 2)
    first = next(item for item in stage.channel.history() if item.id == message.id)
    assert first.content == "**Round 1 of 2** · picture 2 goes on, with 3 votes.\nAdded: in snow"
    job = await stage.job(2)
    assert (job.origin, job.prompt, job.count, job.parent_id, job.parent_number) == (
        Origin.REMIX, "a cat in snow", 4, 1, 2,
    )  # fmt: skip
    assert "a cat in snow" in second.content and labels(second)[0] == "1"
    await stage.bob.click(second, label="4")
    await stage.admin.click(second, label="End the round")
    await stage.until(lambda: over(stage))
    final = await stage.ended(3)
    assert (final.origin, final.count, final.parent_id, final.parent_number) == (Origin.CONTINUE, 1, 2, 4)
    assert {(await stage.job(number)).user_id for number in (1, 2, 3)} == {stage.ann.id}


async def test_a_vote_goes_on_after_restarts_while_painting_and_while_voting(stage: ClientInSimcord) -> None:
    await stage.service.personal_settings.change(stage.ann.id, "private", "private")
    stage.engine.step_s = 0.01
    await stage.ann.slash(stage.channel, "vote", prompt="a cat", rounds=1, steps=20)
    await stage.restart()
    message = await open_round(stage)
    await stage.bob.click(message, label="3")
    await stage.restart()
    message = next(item for item in stage.channel.history() if item.id == message.id)
    assert labels(message)[2] == "3 · 1"
    await stage.ann.click(message, label="End the round")
    await stage.until(lambda: over(stage))
    job = await stage.ended(2)
    assert (job.parent_number, job.private) == (3, False)


async def test_a_round_closed_twice_because_the_process_ended_makes_one_job(stage: ClientInSimcord) -> None:
    await stage.ann.slash(stage.channel, "vote", prompt="a cat", rounds=2, minutes=60)
    await open_round(stage)
    (vote,) = await stage.service.votes.under_way()
    stage.engine.open.clear()
    await stage.client.votes.close()
    await stage.service.store.votes.change(vote.id, ends_at=1.0)
    first = await stage.service.votes.close_round(vote)
    await stage.service.store.votes.change(vote.id, round=1, job_id=vote.job_id, ends_at=1.0)
    again = await stage.service.votes.get(vote.id)
    assert again is not None and first.job is not None
    second = await stage.service.votes.close_round(again)
    assert second.job is not None and second.job.id == first.job.id


async def test_nobody_votes_and_the_picture_nearest_to_the_prompt_goes_on(stage: ClientInSimcord) -> None:
    await stage.ann.slash(stage.channel, "vote", prompt="a cat", rounds=1, minutes=60)
    message = await open_round(stage)
    refused = await stage.bob.click(message, label="End the round")
    assert "Only the person who requested it" in reply_of(refused).content
    await stage.ann.click(message, label="End the round")
    await stage.until(lambda: over(stage))
    message = next(item for item in stage.channel.history() if item.id == message.id)
    assert "nobody voted; picture 1" in message.content and not message.components


async def test_only_a_role_votes_and_one_vote_runs_in_a_channel(stage: ClientInSimcord) -> None:
    role = stage.manager
    await stage.ann.slash(stage.channel, "vote", prompt="a cat", minutes=60, voters=role)
    message = await open_round(stage)
    assert f"<@&{role.id}> votes." in message.content
    refused = await stage.bob.click(message, label="1")
    assert "Only people with the role" in reply_of(refused).content
    await stage.admin.click(message, label="1")
    refused = await stage.bob.slash(stage.channel, "vote", prompt="a dog")
    assert "under way in this channel" in reply_of(refused).content
    await stage.admin.click(message, label="Stop the vote")
    assert await over(stage)
    message = next(item for item in stage.channel.history() if item.id == message.id)
    assert "stopped" in message.content and not message.components


async def test_a_vote_ends_with_its_cancelled_variants_and_with_a_spent_quota(stage: ClientInSimcord) -> None:
    stage.engine.open.clear()
    await stage.ann.slash(stage.channel, "vote", prompt="a cat")
    await stage.ann.slash(stage.channel, "cancel")
    stage.engine.open.set()
    await stage.until(lambda: over(stage))
    assert (await stage.job(1)).state is JobState.CANCELLED
    await stage.admin.slash(stage.channel, "limits set", name="daily", value=9)
    await stage.ann.slash(stage.channel, "vote", prompt="a cat", rounds=4)
    await stage.ann.click(await open_round(stage), label="End the round")
    await stage.until(lambda: over(stage))
    texts = [message.content for message in stage.channel.history() if "Round 1 of 4" in message.content]
    assert texts and "The vote ends here." in texts[0]
    assert not await stage.service.store.votes.under_way()


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("a cat", "a cat in snow"),
        ("a cat | fog:-0.5", "a cat | fog:-0.5 | in snow"),
        ("a ^ b", "a | in snow ^ b | in snow"),
    ],
)
def test_words_are_added_to_every_scene_and_to_no_weight(prompt: str, prompts: str) -> None:
    assert with_words(prompt, "in snow") == prompts


async def test_a_stop_in_the_middle_of_a_round_keeps_the_vote(stage: ClientInSimcord) -> None:
    await stage.ann.slash(stage.channel, "vote", prompt="a cat", rounds=1)
    await open_round(stage)
    (vote,) = await stage.service.votes.under_way()
    await stage.service.drain()
    with pytest.raises(ShuttingDown):
        await stage.service.votes.close_round(vote)
    assert await stage.service.votes.under_way() == [vote]
