"""The buttons below a job's message."""

from __future__ import annotations

import discord
import pytest

from bot.frontend.messages.component_tree import walk
from bot.jobs import JobState, Origin
from bot.service import FollowUp
from tests.bot.frontend.client_in_simcord import ClientInSimcord, reply_of


@pytest.mark.parametrize(
    ("label", "origin"), [("Again", Origin.AGAIN), ("Vary", Origin.VARY), ("Continue", Origin.CONTINUE)]
)
async def test_going_on_from_a_picture(stage: ClientInSimcord, label: str, origin: Origin) -> None:
    message = await stage.finished_job()
    await stage.bob.click(message, label=label)
    job = await stage.ended(2)
    assert (job.origin, job.user_id) == (origin, stage.bob.id)
    assert stage.message().attachments[0].filename == "reverie-2-1.png"


async def test_upscale_doubles_the_size(stage: ClientInSimcord) -> None:
    message = await stage.finished_job()
    await stage.ann.click(message, label="Upscale")
    job = await stage.ended(2)
    assert str(job.settings.size) == "128x128"
    assert stage.engine.begun[1].parent == stage.engine.begun[0]


async def test_u_and_v_go_on_from_the_picture_of_their_number(stage: ClientInSimcord) -> None:
    message = await stage.finished_job(count=2, seed=10)
    await stage.ann.click(message, label="V2")
    await stage.ended(2)
    parent = stage.engine.begun[2].parent
    assert parent is not None and parent.settings.seed == 11


async def test_upscale_beyond_the_limit_is_refused(stage: ClientInSimcord) -> None:
    message = await stage.finished_job(size="512x512")
    answer = await stage.ann.click(message, label="Upscale")
    assert "Upscaled, the picture would be 1024x1024" in reply_of(answer).content


async def test_remix_asks_for_the_prompt_and_goes_on_with_it(stage: ClientInSimcord) -> None:
    message = await stage.finished_job()
    modal = await stage.bob.click(message, label="Remix")
    await stage.bob.submit_modal(modal, {"prompt": "a green pear"})
    job = await stage.ended(2)
    assert (job.prompt, job.origin) == ("a green pear", Origin.REMIX)


async def test_a_remix_takes_options_from_its_prompt_and_keeps_the_size(stage: ClientInSimcord) -> None:
    message = await stage.finished_job()
    modal = await stage.bob.click(message, label="Remix")
    refused = await stage.bob.submit_modal(modal, {"prompt": "a green pear --ar 2:1"})
    assert "A remix keeps the size of its picture" in reply_of(refused).content
    modal = await stage.bob.click(message, label="Remix")
    await stage.bob.submit_modal(modal, {"prompt": "a green pear --steps 2 --no fog --count 2"})
    job = await stage.ended(2)
    assert (job.prompt, job.settings.steps, job.count) == ("a green pear | fog:-0.5", 2, 2)


async def test_a_remix_with_a_region_repaints_that_part_of_the_finished_picture(stage: ClientInSimcord) -> None:
    message = await stage.finished_job()
    modal = await stage.bob.click(message, label="Remix")
    await stage.bob.submit_modal(modal, {"prompt": "a green pear --repaint left 50%"})
    job = await stage.ended(2)
    request = stage.engine.begun[-1]
    assert (job.origin, job.source_id, job.parent_id) == (Origin.REMIX, 1, None)
    assert (request.settings.start, request.settings.repaint, request.prompt) == ("init", "left 50%", "a green pear")
    assert request.init_image is not None and str(request.settings.size) == "64x64" and request.parent is None


async def test_a_remix_without_words_is_refused(stage: ClientInSimcord) -> None:
    message = await stage.finished_job()
    modal = await stage.bob.click(message, label="Remix")
    answer = await stage.bob.submit_modal(modal, {"prompt": " | "})
    assert "prompt" in reply_of(answer).content
    assert not await stage.service.store.jobs.under_way()


async def test_cancel_ends_a_job_that_waits_and_takes_its_buttons(stage: ClientInSimcord) -> None:
    stage.engine.open.clear()
    await stage.ann.slash(stage.channel, "imagine", prompt="one")
    await stage.ann.slash(stage.channel, "imagine", prompt="two")
    await stage.ann.click(stage.message(), label="Cancel")
    await stage.ended(2, JobState.CANCELLED)
    assert stage.said().startswith("**Cancelled**")
    assert "custom_id" not in str(stage.message().components)


async def test_only_owner_and_admins_cancel_and_finish(stage: ClientInSimcord) -> None:
    stage.engine.open.clear()
    await stage.ann.slash(stage.channel, "imagine", prompt="one")
    await stage.until(lambda: _begun(stage))
    for label in ("Cancel", "Finish now"):
        answer = await stage.bob.click(stage.message(), label=label)
        assert "Only the person who requested it" in reply_of(answer).content
    modal = await stage.admin.click(stage.message(), label="Cancel")
    assert (await stage.job()).state is JobState.RUNNING
    await stage.admin.submit_modal(modal, {"reason": "wrong channel"})
    await stage.ended(1, JobState.CANCELLED)
    assert "Cancelled by someone who manages the server. Reason: wrong channel" in stage.said()


async def _begun(stage: ClientInSimcord) -> bool:
    return any(getattr(item, "label", None) == "Finish now" for item in walk(stage.message().components))


async def test_a_timelapse_goes_only_to_the_requester(stage: ClientInSimcord) -> None:
    message = await stage.finished_job()
    answer = await stage.bob.click(message, label="Timelapse")
    assert reply_of(answer).attachments[0].filename == "reverie-timelapse-1-1.webp"


async def test_recipe_comes_as_words_and_as_a_file(stage: ClientInSimcord) -> None:
    message = await stage.finished_job()
    reply = reply_of(await stage.bob.click(message, label="Recipe"))
    assert "a red apple" in (reply.embeds[0].description or "")
    assert b"a red apple" in await reply.attachments[0].read()
    assert [field.name for field in reply.embeds[0].fields] == ["seed", "size", "steps", "start", "models"]
    rest = reply_of(await stage.bob.click(reply, label="All settings"))
    assert "`learning_rate` 0\\.1" in (rest.embeds[0].description or "")


async def test_a_recipe_tells_the_seed_of_its_own_picture(stage: ClientInSimcord) -> None:
    await stage.finished_job(count=2, seed=10)
    reply = reply_of(await stage.bob.slash(stage.channel, "recipe", job=1, picture=2))
    assert [field.value for field in reply.embeds[0].fields][:3] == ["11", "64x64", "4"]


async def test_a_picture_says_what_it_was_made_from_and_by_whom(stage: ClientInSimcord) -> None:
    message = await stage.finished_job()
    link = f"https://discord.com/channels/{stage.guild.id}/{stage.channel.id}/{message.id}"
    for job_id, label in enumerate(("Again", "Vary"), 2):
        stage.engine.open.clear()
        await stage.bob.click(message, label=label)
        line = f"Made from #1 by <@{stage.ann.id}>: {link}"
        assert line in stage.said().splitlines()
        stage.engine.open.set()
        await stage.ended(job_id)
        assert line in stage.said().splitlines()


async def test_a_private_picture_does_not_say_what_it_was_made_from(stage: ClientInSimcord) -> None:
    message = await stage.finished_job(private=True)
    await stage.service.submissions.go_on(stage.requester(stage.ann), 1, 1, FollowUp(kind=Origin.VARY))
    await stage.ended(2)
    assert "#1" not in stage.said()
    assert stage.message().id != message.id


async def test_delete_asks_once_more_and_takes_the_message_too(stage: ClientInSimcord) -> None:
    message = await stage.finished_job()
    asked = reply_of(await stage.click_more(stage.ann, message, "Delete"))
    await stage.ann.click(asked, label="Delete permanently")
    assert await stage.service.store.jobs.get(1) is None
    assert stage.channel.history() == []


async def test_the_job_of_another_person_cannot_be_deleted(stage: ClientInSimcord) -> None:
    message = await stage.finished_job()
    reply = reply_of(await stage.click_more(stage.bob, message, "Delete"))
    assert "Only the person who requested it" in reply.content


async def test_buttons_work_after_a_restart(stage: ClientInSimcord) -> None:
    message = await stage.finished_job()
    await stage.restart()
    await stage.bob.click(stage.message(), label="Vary")
    job = await stage.ended(2)
    assert job.parent_id == 1
    assert stage.message().id != message.id


async def test_a_button_of_a_deleted_job_says_so(stage: ClientInSimcord) -> None:
    message = await stage.finished_job()
    await stage.service.archive.delete(stage.requester(stage.ann), 1)
    answer = await stage.bob.click(message, label="Vary")
    assert "There is no job 1 here" in reply_of(answer).content


async def test_a_message_deleted_meanwhile_is_sent_again_once(stage: ClientInSimcord) -> None:
    stage.engine.open.clear()
    await stage.ann.slash(stage.channel, "imagine", prompt="one")
    await stage.ann.slash(stage.channel, "imagine", prompt="two")
    moderator = stage.guild.add_member(
        stage.env.create_user("mod"),
        roles=[stage.guild.create_role("mod", permissions=discord.Permissions(manage_messages=True))],
    )
    await moderator.delete(stage.message())
    stage.engine.open.set()
    await stage.ended(2)
    assert [file.filename for file in stage.message().attachments] == ["reverie-2-1.png"]
    assert len(stage.channel.history()) == 2
