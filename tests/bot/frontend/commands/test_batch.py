"""Many pictures at once: asked about, queued in a thread, summed up on a sheet, cancelled, and after a restart."""

from __future__ import annotations

import io

import discord
import pytest
from PIL import Image
from simcord.results import ResponseMessage

from bot.errors import Refused
from bot.frontend.commands.together.batch import compared
from bot.jobs import Batch, JobState
from tests.bot.frontend.client_in_simcord import ClientInSimcord, reply_of, said


async def told(stage: ClientInSimcord, batch_id: int = 1) -> Batch:
    """Return the batch, once its message shows its end."""

    async def look() -> Batch | None:
        batch = await stage.service.batches.get(batch_id)
        return batch if batch is not None and batch.told else None

    return await stage.until(look)


async def asked(stage: ClientInSimcord, prompt: str, **options: object) -> ResponseMessage:
    """Return the question about a prompt of Ann's that stands for many."""
    return reply_of(await stage.ann.slash(stage.channel, "imagine", prompt=prompt, **options))


async def test_permutations_are_counted_confirmed_and_end_in_a_thread_and_on_a_labelled_sheet(
    stage: ClientInSimcord,
) -> None:
    question = await asked(stage, "a {red, blue} cat in {spring, autumn}", steps=2)
    assert "**4 pictures**" in question.content
    assert not await stage.service.store.jobs.under_way()
    await stage.ann.click(question, label="Queue 4 pictures")
    batch = await told(stage)
    jobs = await stage.service.store.batches.jobs(1)
    assert [job.prompt for job in jobs] == [
        "a red cat in spring", "a red cat in autumn", "a blue cat in spring", "a blue cat in autumn",
    ]  # fmt: skip
    assert {job.channel_id for job in jobs} == {batch.thread_id} != {stage.channel.id}
    assert {job.settings.steps for job in jobs} == {2}
    (thread,) = stage.channel.threads
    assert sum(said(message).startswith("**Done**") for message in thread.history()) == 4
    overview = stage.channel.history()[0]
    assert overview.content.startswith("**Done**: 4 pictures") and f"<#{batch.thread_id}>" in overview.content
    (sheet,) = overview.attachments
    with Image.open(io.BytesIO(await sheet.read())) as image:
        assert image.size == (160 + 2 * 260 - 4, 40 + 2 * 260 - 4)
    assert sheet.description == (
        "Sheet with 4 AI-generated pictures: a {red, blue} cat in {spring, autumn} (red, blue × spring, autumn)"
    )
    load = await stage.service.store.jobs.load(stage.guild.id, stage.ann.id)
    assert load.pictures_today == 4


async def test_what_is_not_confirmed_is_not_queued_and_only_its_owner_confirms_it(stage: ClientInSimcord) -> None:
    question = await asked(stage, "a {red, blue} cat")
    with pytest.raises(Refused):
        await stage.service.batches.drop(stage.requester(stage.bob), 1)
    await stage.ann.click(question, label="Do not")
    assert question.content == "Nothing was queued."
    assert await stage.service.batches.get(1) is None


async def test_a_batch_goes_on_after_a_restart_and_its_rest_can_be_cancelled(stage: ClientInSimcord) -> None:
    stage.engine.hold(only=lambda request: request.prompt == "a blue cat")
    question = await asked(stage, "a {red, blue, golden} cat", steps=60)
    await stage.restart()
    await stage.ann.click(question, label="Queue 3 pictures")
    await stage.restart()
    await stage.ended((await stage.service.store.batches.jobs(1))[0].id)
    overview = stage.channel.history()[0]
    refused = await stage.bob.click(overview, label="Cancel the rest")
    assert "Only the person who requested it" in reply_of(refused).content
    await stage.admin.click(overview, label="Cancel the rest")
    stage.engine.open.set()
    await told(stage)
    states = [job.state for job in await stage.service.store.batches.jobs(1)]
    assert states[0] is JobState.DONE and JobState.CANCELLED in states
    content = stage.channel.history()[0].content
    assert "picture." in content and len(stage.channel.history()[0].attachments) == 1


async def test_without_the_permission_for_threads_the_pictures_come_into_the_channel(stage: ClientInSimcord) -> None:
    role = stage.guild.roles["TestBot"]
    stage.channel = stage.guild.create_text_channel(
        "plain", overwrites={role: discord.PermissionOverwrite(create_public_threads=False)}
    )
    question = await asked(stage, "a {red, blue} cat")
    await stage.ann.click(question, label="Queue 2 pictures")
    batch = await told(stage)
    assert batch.thread_id is None
    assert len(stage.channel.history()) == 3


async def test_the_limits_hold_for_all_of_them_together(stage: ClientInSimcord) -> None:
    await stage.admin.slash(stage.channel, "limits set", name="batch", value=3)
    refused = await asked(stage, "a {red, blue} cat", count=2)
    assert "4 pictures; this server allows at most 3" in refused.content
    await stage.admin.slash(stage.channel, "limits set", name="daily", value=2)
    assert "2" in (await asked(stage, "a {red, blue, green} cat")).content
    for name in ("init_image", "mask"):
        refused = await asked(stage, "a {red, blue} cat", **{name: ("a.png", b"")})
        assert "no attached pictures" in refused.content
    await stage.admin.slash(stage.channel, "wildcards save", name="animals", entries="cat")
    refused = await asked(stage, "a {red, blue} __plants__")
    assert "There is no list" in refused.content
    assert await stage.service.batches.get(1) is None


async def test_lists_of_the_server_are_kept_by_admins_and_used_in_files_of_prompts(stage: ClientInSimcord) -> None:
    refused = await stage.ann.slash(stage.channel, "wildcards save", name="animals", entries="cat, dog")
    assert "Only someone who manages the server" in reply_of(refused).content
    await stage.admin.slash(stage.channel, "wildcards save", name="__animals__", entries="cat, dog")
    shown = reply_of(await stage.ann.slash(stage.channel, "wildcards list"))
    assert "cat, dog" in (shown.embeds[0].description or "")
    file = ("prompts.txt", b"# mine\na __animals__\n\na red apple --steps 3\n")
    question = reply_of(await stage.ann.slash(stage.channel, "batch", file=file, options="--steps 2"))
    assert "**3 pictures**" in question.content
    await stage.ann.click(question, label="Queue 3 pictures")
    await told(stage)
    jobs = await stage.service.store.batches.jobs(1)
    assert [(job.prompt, job.settings.steps) for job in jobs] == [("a cat", 2), ("a dog", 2), ("a red apple", 3)]
    assert "**3.** a red apple" in stage.channel.history()[0].content
    await stage.admin.slash(stage.channel, "wildcards delete", name="animals")
    assert await stage.service.wildcards.of(stage.guild.id) == {}
    modal = await stage.ann.slash(stage.channel, "batch")
    question = reply_of(await stage.ann.submit_modal(modal, {"prompts": "a\nb"}))
    assert "**2 pictures**" in question.content
    broken = await stage.ann.slash(stage.channel, "batch", file=("a.txt", b"\xff\xfe\x00a"))
    assert "plain text" in reply_of(broken).content


async def test_a_comparison_has_one_seed_and_labels_of_its_settings(stage: ClientInSimcord) -> None:
    question = reply_of(
        await stage.ann.slash(
            stage.channel, "compare", prompt="a cat", x="steps", x_values="1, 2, 3", y="cutouts", y_values="2, 4"
        )
    )
    assert "steps 1, steps 2, steps 3" in question.content
    await stage.ann.click(question, label="Queue 6 pictures")
    batch = await told(stage)
    assert batch.columns == ("steps 1", "steps 2", "steps 3") and batch.rows == ("cutouts 2", "cutouts 4")
    jobs = await stage.service.store.batches.jobs(1)
    assert [(job.settings.steps, job.settings.cutouts) for job in jobs] == [
        (1, 2), (2, 2), (3, 2), (1, 4), (2, 4), (3, 4),
    ]  # fmt: skip
    assert len({job.settings.seed for job in jobs}) == 1
    refused = await stage.ann.slash(stage.channel, "compare", prompt="a cat", x="steps", x_values="1, many")
    assert "steps" in reply_of(refused).content


@pytest.mark.parametrize(
    ("x", "y"),
    [(("steps", "1"), ("--steps", "2")), (("count", "1, 2"), None), (("what", "1"), None), (("steps", ", ,"), None),
     (("steps", "1"), ("cutouts", None)), (("steps", "1"), (None, "2"))],
)  # fmt: skip
def test_a_comparison_needs_two_different_options_with_values(
    x: tuple[str, str], y: tuple[str | None, str | None] | None
) -> None:
    with pytest.raises(Refused):
        compared("a cat", *x, *(y or (None, None)))


async def test_a_private_batch_shows_its_sheet_to_its_owner_only(stage: ClientInSimcord) -> None:
    question = await asked(stage, "a secret {red, blue} cat", private=True)
    await stage.ann.click(question, label="Queue 2 pictures")
    await told(stage)
    overview = stage.channel.history()[0]
    assert not overview.attachments and "secret" not in overview.content
    assert "secret" not in stage.channel.threads[0].name
    shown = reply_of(await stage.ann.click(overview, label="Show the sheet"))
    assert shown.attachments[0].filename == "reverie-batch-1.jpg"
    refused = reply_of(await stage.bob.click(overview, label="Show the sheet"))
    assert not refused.attachments


async def test_a_message_without_jobs_after_a_crash_is_removed_and_can_be_confirmed_again(
    stage: ClientInSimcord,
) -> None:
    question = await asked(stage, "a {red, blue} cat")
    batch = await stage.service.batches.get(1)
    assert batch is not None
    await stage.client.batches.place(batch, with_thread=False)
    assert len(stage.channel.history()) == 1
    await stage.restart()

    async def removed() -> bool:
        return not stage.channel.history()

    await stage.until(removed)
    await stage.ann.click(question, label="Queue 2 pictures")
    await told(stage)

    async def place(batch: Batch) -> int:
        raise AssertionError(batch)

    with pytest.raises(Refused, match="queued already"):
        await stage.service.batches.begin(stage.requester(stage.ann), 1, place)
