"""Answers over a real network: in time, once, and no job is lost because of a failed answer."""

from __future__ import annotations

import asyncio
import io

import pytest
from PIL import Image

from bot.jobs import Job
from tests.bot.discord.client_on_loopback import ClientOnLoopback
from tests.discord_fake import Cut, Interaction, Upload
from tests.discord_fake.markdown import read

CALLBACK = "/interactions/*"


def png(side_px: int = 64) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (side_px, side_px), (200, 20, 20)).save(data, "PNG")
    return data.getvalue()


async def test_an_imagine_is_answered_with_a_public_message(live: ClientOnLoopback) -> None:
    live.engine.open.clear()
    answer = await live.imagine()
    (message,) = live.channel.visible()
    assert message is answer.message
    assert "a red apple" in message.said()

    async def noted() -> bool | None:
        return (await live.job()).message_id == message.id or None

    await live.until(noted)


@pytest.mark.parametrize("where", list(Cut))
async def test_an_answer_whose_connection_is_cut_leaves_one_message_and_the_picture(
    live: ClientOnLoopback, where: Cut
) -> None:
    live.fake.faults.cut("POST", CALLBACK, where)
    await live.fake.type_command(live.channel, live.ann, "imagine", prompt="a red apple")
    await live.ended()
    (message,) = live.channel.visible()
    assert [file.filename for file in message.attachments] == ["reverie-1-1.png"]


async def test_a_late_answer_becomes_a_separate_message(live: ClientOnLoopback) -> None:
    live.fake.rest.answer_within_s = 0.0
    await live.fake.type_command(live.channel, live.ann, "imagine", prompt="a red apple")
    await live.ended()
    (message,) = live.channel.visible()
    assert [file.filename for file in message.attachments] == ["reverie-1-1.png"]


async def test_an_answer_to_a_job_that_is_deleted_meanwhile_is_taken_back_although_a_connection_is_cut(
    live: ClientOnLoopback,
) -> None:
    live.engine.open.clear()
    live.fake.faults.slow("POST", CALLBACK, 1.0)
    cut = live.fake.faults.cut("DELETE", "/webhooks/*", Cut.BEFORE, times=2)  # aiohttp tries a second time itself
    asked = asyncio.create_task(live.fake.type_command(live.channel, live.ann, "imagine", prompt="a red apple"))
    jobs = live.client.service.store.jobs

    async def queued() -> list[Job] | None:
        return await jobs.under_way() or None

    await jobs.delete([job.id for job in await live.until(queued)])
    await asked
    await live.fake.until(lambda: cut.hits == 2 and not live.channel.visible())


async def test_a_refusal_is_shown_only_to_the_person_and_nothing_is_queued(live: ClientOnLoopback) -> None:
    answer = await live.imagine("a red apple", size="9999x9999")
    assert answer.ephemeral and answer.text
    assert not await live.client.service.store.jobs.under_way()
    assert live.channel.visible() == []


async def test_buttons_answer_and_go_on(live: ClientOnLoopback) -> None:
    answer = await live.imagine()
    await live.ended()
    assert answer.message is not None
    again = await live.fake.click(answer.message, "reverie:again", live.ann)
    assert again.message is not None and not again.ephemeral
    await live.ended(2)
    recipe = await live.fake.click(answer.message, "reverie:recipe", live.ann)
    assert recipe.ephemeral and recipe.message is not None
    assert recipe.message.attachments[0].filename == "reverie-1-1.json"
    form = await live.fake.click(answer.message, "reverie:remix", live.ann)
    await live.fake.fill_in(form, prompt="a green pear")
    await live.ended(3)
    assert live.engine.begun[-1].prompt == "a green pear"


async def test_delete_takes_the_message_away(live: ClientOnLoopback) -> None:
    answer = await live.imagine()
    await live.ended()
    assert answer.message is not None
    asked = await live.fake.click_more(answer.message, "reverie:delete", live.ann)
    assert asked.message is not None
    await live.fake.click(asked.message, "reverie:erase", live.ann)
    await live.fake.until(lambda: live.channel.visible() == [])


async def test_autocomplete_offers_choices_while_typing(live: ClientOnLoopback) -> None:
    answer = await (await live.fake.complete(live.channel, live.ann, "imagine", "size", "16:9")).answered()
    assert answer.callback is not None
    assert all("16:9" in choice["name"] for choice in answer.callback["data"]["choices"])
    assert answer.callback["data"]["choices"]


async def test_an_attached_picture_is_fetched_and_used(live: ClientOnLoopback) -> None:
    await live.imagine(init_image=Upload("apple.png", png()))
    await live.ended()
    assert live.engine.begun[0].init_image is not None


@pytest.mark.usefixtures("defers_soon")
async def test_a_picture_that_is_slow_to_fetch_keeps_the_person_waiting_with_a_sign(live: ClientOnLoopback) -> None:
    live.fake.slow_files_s = 2.0
    answer = await live.imagine(init_image=Upload("apple.png", png()))
    assert answer.callback is not None and answer.callback["type"] == 5
    await live.ended()
    (message,) = live.channel.visible()
    assert [file.filename for file in message.attachments] == ["reverie-1-1.png"]


async def test_a_picture_that_is_done_before_its_answer_has_one_message(live: ClientOnLoopback) -> None:
    live.fake.rest.answer_within_s = 30.0
    live.fake.slow_files_s = 1.0
    live.fake.faults.slow("POST", CALLBACK, 3.0)
    await live.imagine(init_image=Upload("apple.png", png()))
    await live.ended()
    (message,) = live.channel.visible()
    assert [file.filename for file in message.attachments] == ["reverie-1-1.png"]


async def test_a_picture_does_not_wait_for_another_order_of_its_owner(live: ClientOnLoopback) -> None:
    live.fake.files_open.clear()
    upload = Upload("apple.png", png())
    await live.fake.type_command(live.channel, live.ann, "imagine", prompt="a red apple", init_image=upload)
    await live.imagine("a green tree")
    await live.ended()
    assert any(message.attachments for message in live.channel.visible())
    live.fake.files_open.set()
    await live.ended(2)
    assert [len(message.attachments) for message in live.channel.visible()] == [1, 1]


async def test_a_picture_that_is_gone_is_refused_with_a_sentence(live: ClientOnLoopback) -> None:
    upload = Upload("apple.png", png())
    live.fake.slow_files_s = -1.0
    answer = await live.imagine(init_image=upload)
    assert answer.ephemeral and "init_image" in read(answer.text)[0]
    assert not await live.client.service.store.jobs.under_way()


@pytest.mark.usefixtures("defers_soon")
@pytest.mark.parametrize("command", ["imagine init_image", "imagine image_prompt", "blend", "again"])
async def test_a_refusal_after_a_deferral_is_said_to_the_person_only(live: ClientOnLoopback, command: str) -> None:
    live.fake.slow_files_s = 1.0
    broken = Upload("apple.png", png()[:60])
    options: dict[str, object] = {"blend": {"first": broken, "second": broken}, "again": {"file": broken}}.get(
        command, {"prompt": "a red apple", command.partition(" ")[2]: broken}
    )
    answer = await live.fake.type_command(live.channel, live.ann, command.partition(" ")[0], **options)
    await answer.answered()
    assert answer.callback is not None and answer.callback["type"] == 5 and not answer.ephemeral
    await live.fake.until(lambda: answer.followups and not live.channel.visible())
    (said,) = answer.followups
    assert said.ephemeral and "picture" in said.content
    assert not await live.client.service.store.jobs.under_way()


@pytest.mark.usefixtures("defers_soon")
async def test_a_refusal_after_a_deferral_leaves_nothing_behind_although_it_is_cut_off(live: ClientOnLoopback) -> None:
    live.fake.slow_files_s = 1.0
    cut = live.fake.faults.cut("POST", "/webhooks/*", Cut.BEFORE, times=None)
    await live.imagine(init_image=Upload("apple.png", png()[:60]))
    await live.fake.until(lambda: cut.hits and not live.channel.visible())


def refused(answer: Interaction) -> bool:
    return answer.ephemeral or any(message.ephemeral for message in answer.followups)


async def test_a_crowd_is_answered_and_the_limits_hold(live: ClientOnLoopback) -> None:
    live.engine.open.clear()
    people = [live.guild.add_member(f"person {number}") for number in range(20)]
    typed = [await live.fake.type_command(live.channel, person, "imagine", prompt="x") for person in people * 6]
    await asyncio.gather(*(item.answered(60.0) for item in typed))
    await live.fake.until(lambda: all((item.message or item.followups) and not item.loading for item in typed))

    async def counted() -> bool | None:
        return len(await live.client.service.store.jobs.under_way()) == 100 or None

    await live.until(counted)
    # A refusal after "thinking" is private only once its follow-up has come.
    await live.fake.until(lambda: sum(map(refused, typed)) == 20)
