"""Refused places and times, and the immediate notices on accepted requests."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import discord
import pytest
from discord import app_commands

from bot.config import Config, Limits
from bot.errors import InvalidJobSpec
from bot.frontend import answering
from bot.frontend.errors import sentence_for
from bot.jobs import JobState
from bot.service import ImageInput, JobSpec
from tests.bot.frontend.client_in_simcord import ClientInSimcord, reply_of, said
from tests.bot.frontend.commands.test_imagine import png, refusal


async def test_an_archived_or_locked_thread_is_refused_and_an_open_one_is_not(stage: ClientInSimcord) -> None:
    channel = stage.client.get_channel(stage.channel.id)
    assert isinstance(channel, discord.TextChannel)
    thread = await channel.create_thread(name="apples", type=discord.ChannelType.public_thread)
    stage.channel = next(item for item in stage.channel.threads if item.id == thread.id)
    await thread.edit(archived=True)
    assert await refusal(stage) == (
        "This thread is archived or locked, so the bot cannot post here. Reopen the thread or use another channel."
    )
    await thread.edit(archived=False)
    await stage.finished_job()


async def test_there_are_no_pictures_in_direct_messages(stage: ClientInSimcord) -> None:
    user = stage.env.create_user("eve")
    assert "help" in user.available_commands()
    assert "imagine" not in user.available_commands()
    # If Discord lets it pass anyway, the command itself says so.
    sentence, unexpected = sentence_for(app_commands.NoPrivateMessage(), "")
    assert sentence.said() == "This works only in servers, not in direct messages."
    assert not unexpected


class TestPause:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        return replace(config, limits=Limits(cooldown_s=600))

    async def test_the_cooldown_message_has_a_countdown(self, stage: ClientInSimcord) -> None:
        await stage.finished_job()
        text = await refusal(stage)
        assert text.startswith("This server requires a pause between two pictures. You can request the next one <t:")
        assert text.endswith(":R>.")


class TestDay:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        return replace(config, limits=Limits(daily=3))

    async def test_a_days_quota_counts_pictures_and_says_how_many_are_left(self, stage: ClientInSimcord) -> None:
        await stage.finished_job(count=2)
        text = await refusal(stage, count=2)
        assert text.startswith("This server allows each person 3 pictures a day; you have 1 left. The count resets <t:")
        await stage.finished_job()
        await stage.bob.slash(stage.channel, "imagine", prompt="another person's")

    async def test_a_job_cleared_before_its_turn_does_not_count(self, stage: ClientInSimcord) -> None:
        await stage.admin.slash(stage.channel, "pause")
        await stage.ann.slash(stage.channel, "imagine", prompt="a red apple", count=3)
        refused = await stage.ann.slash(stage.channel, "imagine", prompt="one more")
        assert "you have 0 left" in reply_of(refused).content
        asked = reply_of(await stage.admin.slash(stage.channel, "clear"))
        modal = await stage.admin.click(asked, label="Cancel one job")
        await stage.admin.submit_modal(modal, {"reason": ""})
        await stage.ended(1, JobState.CANCELLED)
        assert "you have 3 left" in await refusal(stage, count=4)

    async def test_a_job_cancelled_while_running_counts(self, stage: ClientInSimcord) -> None:
        stage.engine.open.clear()
        await stage.ann.slash(stage.channel, "imagine", prompt="a red apple", count=3)

        async def begun() -> bool:
            return bool(stage.engine.begun)

        await stage.until(begun)
        await stage.ann.slash(stage.channel, "cancel")
        assert "you have 0 left" in await refusal(stage)

    async def test_deleting_all_data_does_not_reset_the_daily_count(self, stage: ClientInSimcord) -> None:
        await stage.finished_job(count=3)
        asked = reply_of(await stage.ann.slash(stage.channel, "privacy"))
        assert "A count of your pictures, for the daily limit, is deleted after two days" in asked.content
        sure = reply_of(await stage.ann.click(asked, label="Delete my data"))
        await stage.ann.click(sure, label="Delete all my data permanently")
        assert "you have 0 left" in await refusal(stage)


async def test_unread_words_are_shown_at_once_while_running_and_afterwards(stage: ClientInSimcord) -> None:
    stage.engine.step_s = 0.05
    stage.engine.hold(12)
    answer = await stage.ann.slash(stage.channel, "imagine", prompt="a castle...with ships", steps=200)
    assert answer.response is not None
    note = "this end of yours is not read: “with ships”"
    assert note in said(answer.response)

    async def half_done() -> discord.Message | None:
        message = stage.message()
        return message if message.attachments else None

    running = said(await stage.until(half_done))
    assert running.count(note) == 1
    assert "This is a fake." in running  # Only the dream itself can know this.
    stage.engine.open.set()
    await stage.ended()
    assert stage.said().count(note) == 1


async def test_a_job_with_a_slow_answer_gets_no_other_message_meanwhile(stage: ClientInSimcord) -> None:
    with stage.client.updater.answering(stage.ann.id):
        await stage.service.submissions.submit(stage.requester(stage.ann), JobSpec(prompt="a red apple"))
        await stage.until(lambda: finished_job(stage))
        await stage.env.advance_time(30.0)
        assert not stage.channel.history()
    await stage.ended()
    assert len(stage.channel.history()) == 1


async def finished_job(stage: ClientInSimcord) -> bool:
    return (await stage.job()).painted_at is not None


async def test_a_picture_to_come_near_to_has_a_weight(stage: ClientInSimcord) -> None:
    await stage.finished_job(image_prompt=("like.png", png()), image_weight=-0.25)
    assert stage.engine.begun[0].image_prompts[0].weight == -0.25
    await stage.finished_job(image_prompt=("like.png", png()))
    assert stage.engine.begun[1].image_prompts[0].weight == 1.0


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (JobSpec(prompt="x" * 2_001), "Der Prompt hat 2001 Zeichen; höchstens 2000 sind erlaubt."),
        (JobSpec(prompt="day ^ night |"), "Ein Prompt in Szene 2 ist leer; schreibe Text vor und hinter jedes |."),
        (JobSpec(prompt="a:999"), "Das Gewicht von 'a' muss eine Zahl von -100 bis 100 sein, nicht 999.0."),
        (
            JobSpec(prompt="a", init_image=b"hello"),
            "Das angehängte Bild lässt sich nicht verwenden. Diese Datei ist kein",
        ),
        (JobSpec(prompt="a", image_prompts=(ImageInput(data=png()[:60]),)), "Dieses PNG-Bild ist beschädigt"),
    ],
)
async def test_a_german_person_is_refused_in_german(stage: ClientInSimcord, spec: JobSpec, sentence: str) -> None:
    with pytest.raises(InvalidJobSpec) as caught:
        await stage.service.submissions.submit(replace(stage.requester(stage.ann), locale="de"), spec)
    assert sentence in caught.value.sentence.said("de")


@pytest.mark.usefixtures("defers_soon")
@pytest.mark.parametrize("option", ["init_image", "image_prompt"])
async def test_a_refusal_after_a_deferral_reaches_the_person_and_leaves_nothing_behind(
    stage: ClientInSimcord, option: str
) -> None:
    fetch = stage.client.fetch

    async def slowly(address: str) -> bytes:
        await asyncio.sleep(answering.DEFER_AFTER_S + 0.5)
        return await fetch(address)

    stage.client.fetch = slowly
    asked = await stage.ann.slash(stage.channel, "imagine", prompt="a red apple", **{option: ("half.png", png()[:60])})
    (said,) = asked.followups
    assert said.ephemeral and "broken or incomplete" in said.content
    assert [message.id for message in stage.channel.history()] in ([], [said.id])
