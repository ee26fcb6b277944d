"""Files in forms, and forms that were opened before a restart."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from bot.jobs import JobState
from bot.service import ReportReason, Requester
from bot.texts import Sentence
from generator import GenerationRequest
from tests.bot.discord.client_on_loopback import ClientOnLoopback
from tests.bot.discord.test_answers import png
from tests.discord_fake import Attachment, Interaction, Message, Upload
from tests.discord_fake.ids import new_id
from tests.faults.reach import forge

FORM = 9


def file_of(colour: str, size: tuple[int, int] = (64, 64)) -> Upload:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return Upload(f"{colour}.png", out.getvalue())


def half_white() -> Upload:
    image = Image.new("RGB", (64, 64), "black")
    image.paste("white", (0, 0, 32, 64))
    out = io.BytesIO()
    image.save(out, "PNG")
    return Upload("mask.png", out.getvalue())


def colour_of(picture: bytes | None) -> tuple[int, ...]:
    assert picture is not None
    with Image.open(io.BytesIO(picture)) as image:
        found = image.convert("RGB").getpixel((1, 1))
    assert isinstance(found, tuple)
    return found


def said(answer: Interaction) -> str:
    return "\n".join([answer.text, *(item.said() for item in answer.followups)]).strip()


def opened(form: Interaction) -> Interaction:
    assert form.callback is not None and form.callback["type"] == FORM, form.text
    return form


async def picture_of_ann(live: ClientOnLoopback) -> Message:
    answer = await live.imagine("a red apple")
    await live.ended()
    assert answer.message is not None
    return answer.message


async def made(live: ClientOnLoopback, answer: Interaction, job_id: int) -> GenerationRequest:
    """The request of the job that an answer shows, once it has ended."""
    assert not answer.ephemeral and not answer.followups, answer.text + "".join(
        item.said() for item in answer.followups
    )
    await live.ended(job_id)
    return live.engine.begun[-1]


async def test_blend_without_pictures_asks_for_up_to_ten(live: ClientOnLoopback) -> None:
    begun = await live.fake.type_command(live.channel, live.ann, "blend", size="16:9", steps=3)
    form = opened(await begun.answered())
    colours = ("red", "lime", "blue", "white", "black", "cyan", "magenta", "yellow", "gray", "pink")
    answer = await live.fake.fill_in(form, pictures=[file_of(colour) for colour in colours], prompt="a boat")
    request = await made(live, answer, 1)
    assert len(request.image_prompts) == 10 and request.prompt == "a boat"
    assert colour_of(request.image_prompts[1].image) == (0, 255, 0)
    assert request.settings.steps == 3 and request.settings.size.width > request.settings.size.height
    alone = await live.fake.type_command(live.channel, live.ann, "blend", first=file_of("red"))
    assert "needs 2 to 10 pictures" in (await alone.answered()).text


async def test_remix_takes_image_prompts_a_mask_and_another_start(live: ClientOnLoopback) -> None:
    message = await picture_of_ann(live)
    fill, remix = live.fake.fill_in, "reverie:remix"
    form = opened(await live.fake.click(message, remix, live.ann))
    request = await made(live, await fill(form, prompt="a pear"), 2)
    assert request.parent is not None and not request.images
    form = opened(await live.fake.click(message, remix, live.ann))
    request = await made(live, await fill(form, prompt="a pear", image_prompts=[file_of("blue"), file_of("red")]), 3)
    assert request.parent is not None
    assert [colour_of(item.image) for item in request.image_prompts] == [(0, 0, 255), (255, 0, 0)]
    form = opened(await live.fake.click(message, remix, live.ann))
    answer = await fill(form, prompt="a worm", image_prompts=[], mask=[half_white()])
    request = await made(live, answer, 4)
    assert request.settings.repaint == "picture" and request.mask is not None
    with Image.open(io.BytesIO(message.attachments[0].data)) as image:
        assert colour_of(request.init_image) == image.convert("RGB").getpixel((1, 1))
    form = opened(await live.fake.click(message, remix, live.ann))
    answer = await fill(form, prompt="a plum", image_prompts=[], mask=[], init_image=[file_of("lime")])
    request = await made(live, answer, 5)
    assert request.parent is None and request.mask is None and colour_of(request.init_image) == (0, 255, 0)
    assert (await live.job(5)).source_id == 1


async def test_a_file_that_is_no_picture_is_refused_privately(live: ClientOnLoopback) -> None:
    message = await picture_of_ann(live)
    form = opened(await live.fake.click(message, "reverie:remix", live.ann))
    answer = await live.fake.fill_in(form, prompt="a pear", image_prompts=[Upload("a.png", b"no picture")])
    await live.fake.until(lambda: said(answer))
    assert "attached picture cannot be used" in said(answer)
    assert await live.client.service.store.jobs.get(2) is None


async def test_forms_work_after_a_restart(live: ClientOnLoopback) -> None:
    message = await picture_of_ann(live)
    photo = live.channel.write(live.ann, attachments=[Attachment(new_id(), "a.png", png(), "image/png")])
    blend = opened(await (await live.fake.type_command(live.channel, live.ann, "blend", steps=2)).answered())
    remix = opened(await live.fake.click(message, "reverie:remix", live.ann))
    report = opened(await live.fake.click_more(message, "reverie:report", live.ann))
    like = opened(await live.fake.choose_menu(photo, live.ann, "Imagine like this"))
    await live.stop()
    await live.start()
    fill = live.fake.fill_in
    request = await made(live, await fill(blend, pictures=[file_of("red"), file_of("blue")]), 2)
    assert len(request.image_prompts) == 2 and request.settings.steps == 2
    request = await made(live, await fill(remix, prompt="a pear", image_prompts=[file_of("blue")]), 3)
    assert request.prompt == "a pear" and len(request.image_prompts) == 1 and request.parent is not None
    thanks = await fill(report, reason=["other"], details="")
    assert "Your report was saved" in thanks.text
    request = await made(live, await fill(like, prompt="a fox", use=["init"], further=[], mask=[half_white()]), 4)
    assert request.prompt == "a fox" and request.settings.repaint == "picture"


async def test_forms_of_words_work_after_a_restart_too(live: ClientOnLoopback) -> None:
    message, fake = await picture_of_ann(live), live.fake
    service = live.client.service
    admin = Requester(guild_id=live.guild.id, channel_id=live.channel.id, user_id=live.admin.id, manages=True)
    await service.words.add_style(admin, "ink", "an ink drawing")
    reported = await service.reports.add(admin, 1, 1, ReportReason.OTHER)
    keep = opened(await fake.click_more(message, "reverie:keep", live.ann))
    chosen = await (await fake.type_command(live.channel, live.ann, "settings")).answered()
    assert chosen.message is not None
    texts = opened(await fake.click(chosen.message, "reverie-setting-texts", live.ann))
    style = opened(await forge(live, live.ann, live.channel, "reverie-style", values=["ink"]))
    word = opened(await forge(live, live.admin, live.channel, f"reverie-case:word:{reported.id}"))
    await live.stop()
    await live.start()
    service = live.client.service
    assert "quick" in said(await fake.fill_in(keep, name="quick", options="--steps 2"))
    await fake.fill_in(texts, size="96x64")
    assert (await service.personal_settings.of(live.ann.id)).size == "96x64"
    request = await made(live, await fake.fill_in(style, prompt="a boat"), 2)
    assert "an ink drawing" in request.prompt
    await fake.fill_in(word, word="apple")
    assert await service.words.blocklist(admin) == ("apple",)


async def test_the_forms_of_a_batch_and_of_presets_work_after_a_restart_too(live: ClientOnLoopback) -> None:
    fake, service = live.fake, live.client.service
    ann = Requester(guild_id=live.guild.id, channel_id=live.channel.id, user_id=live.ann.id)
    await service.presets.save(ann, "schnelles grünes Öl", "--steps 2")
    shared = await fake.type_command(live.channel, live.ann, "preset share", name="schnelles grünes Öl")
    message = (await shared.answered()).message
    assert message is not None
    use = opened(await fake.click(message, "reverie-preset:use", live.admin))
    batch = opened(await (await fake.type_command(live.channel, live.ann, "batch", options="--steps 3")).answered())
    empty = opened(await (await fake.type_command(live.channel, live.ann, "batch")).answered())
    await live.stop()
    await live.start()
    assert "**2 pictures**" in said(await fake.fill_in(batch, prompts="a cat\na dog", options="--steps 3"))
    assert "**2 pictures**" in said(await fake.fill_in(empty, prompts="a {red, blue} cat", options=""))
    kept = await live.client.service.store.batches.get(1)
    assert kept is not None and kept.specs.count("--steps 3") == 2
    request = await made(live, await fake.fill_in(use, prompt="a boat"), 1)
    assert request.settings.steps == 2 and (await live.job(1)).user_id == live.admin.id


async def test_the_forms_of_admins_work_after_a_restart_too(live: ClientOnLoopback) -> None:
    fake = live.fake
    live.engine.open.clear()
    message = (await live.imagine("a red apple")).message
    await live.imagine("a pear")
    assert message is not None
    await live.until(lambda: live.client.service.store.jobs.under_way(guild_id=live.guild.id))
    cancel = opened(await fake.click(message, "reverie:cancel", live.admin))
    question = (await (await fake.type_command(live.channel, live.admin, "clear")).answered()).message
    assert question is not None
    clear = opened(await fake.click(question, "reverie-sure:clear", live.admin))
    page = (await (await fake.type_command(live.channel, live.admin, "server")).answered()).message
    assert page is not None
    days = opened(await fake.click(page, "reverie-server:retention", live.admin))
    limit = opened(await forge(live, live.admin, live.channel, "reverie-server:limit", values=["queue_server"]))
    word = opened(await fake.click(page, "reverie-server:word", live.admin))
    await live.stop()
    await live.start()
    live.engine.open.clear()
    newer = await live.imagine("a plum")
    await fake.fill_in(cancel, reason="too loud")
    assert (await live.ended(1, JobState.CANCELLED)).reason == Sentence.of("cancelled_by_admin_why", why="too loud")
    await fake.fill_in(clear, reason="tidying up")
    assert (await live.ended(2, JobState.CANCELLED)).reason == Sentence.of("queue_cleared_why", why="tidying up")
    assert newer.message is not None and (await live.job(3)).state in (JobState.QUEUED, JobState.RUNNING)
    guilds = live.client.service.guilds
    await fake.fill_in(limit, value="4")
    assert (await guilds.limits(live.guild.id)).queue_server == 4
    refused = await fake.fill_in(limit, value="many")
    assert "queue" in said(refused) and (await guilds.limits(live.guild.id)).queue_server == 4
    await fake.fill_in(days, value="3")
    assert await guilds.retention_days(live.guild.id) == 3
    admin = Requester(guild_id=live.guild.id, channel_id=live.channel.id, user_id=live.admin.id, manages=True)
    await fake.fill_in(word, value="mud")
    assert await live.client.service.words.blocklist(admin) == ("mud",)
    live.engine.open.set()
    await live.ended(3)


async def test_a_form_is_taken_once(live: ClientOnLoopback) -> None:
    message = await picture_of_ann(live)
    forms = [opened(await live.fake.click(message, "reverie:remix", live.ann)) for _ in range(2)]
    for number, form in enumerate(forms, 2):
        await made(live, await live.fake.fill_in(form, prompt=f"pear {number}"), number)
    assert await live.client.service.store.jobs.get(4) is None


async def test_forged_forms_end_in_a_sentence_or_in_nothing(live: ClientOnLoopback) -> None:
    message = await picture_of_ann(live)
    form = opened(await live.fake.click(message, "reverie:remix", live.ann))
    assert form.callback is not None
    form.callback["data"]["custom_id"] = "reverie-form:remix:other:x:999,1"
    assert "There is no job 999 here" in (await live.fake.fill_in(form, prompt="a pear")).text
    for custom_id in (
        "nothing:other:x:1", "remix:other:x:a,b", "remix:other:x:1", ":::", "blend:other:x:,x", "use:other:x:1",
        "reason:other:x:clear,1", "reason:other:x:all,1,1", "server:other:x:limit", "server:other:x:all,1",
    ):  # fmt: skip
        form.callback["data"]["custom_id"] = f"reverie-form:{custom_id}"
        with pytest.raises(AssertionError, match="did not answer"):
            await live.fake.fill_in(form, prompt="a pear", answer_s=0.1)
    assert await live.client.service.store.jobs.get(2) is None
