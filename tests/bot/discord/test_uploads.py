"""Upload limits: every upload fits, and omitted files are mentioned."""

from __future__ import annotations

import io
import json
import os
import zipfile

import pytest
from PIL import Image

from bot.files import DataFolder, Kind
from generator import InvalidRequest, read_recipe
from tests.bot.discord.client_on_loopback import ClientOnLoopback
from tests.discord_fake import Message, Upload

SMALL = 150_000


def grainy(side_px: int = 300) -> bytes:
    out = io.BytesIO()
    Image.frombytes("RGB", (side_px, side_px), os.urandom(3 * side_px * side_px)).save(out, "PNG")
    return out.getvalue()


async def posted(live: ClientOnLoopback, **options: object) -> Message:
    """The message of a job with a grainy picture, close to the limit."""
    await live.imagine(image_prompt=Upload("grain.png", grainy()), **options)
    await live.ended(1)
    (message,) = live.channel.visible()
    return message


def text_of(message: Message) -> str:
    return message.said()


async def test_a_picture_goes_without_its_attached_pictures_where_they_are_too_large_and_says_so(
    live: ClientOnLoopback,
) -> None:
    live.fake.interactions.file_bytes = SMALL
    message = await posted(live)
    (file,) = message.attachments
    assert file.filename.endswith(".png") and len(file.data) <= SMALL
    assert "leaves out the attached pictures" in text_of(message)
    with pytest.raises(InvalidRequest, match=r"picture .* is missing"):
        read_recipe(file.data)


async def test_a_full_recipe_that_fits_is_posted_without_a_note(live: ClientOnLoopback) -> None:
    message = await posted(live)
    assert len(read_recipe(message.attachments[0].data).request.images) == 1
    assert "too large" not in text_of(message)


async def test_recipe_gives_a_smaller_form_and_says_so(live: ClientOnLoopback) -> None:
    live.fake.interactions.file_bytes = SMALL
    message = await posted(live)
    answers = [await live.fake.click(message, "reverie:recipe", live.ann)]
    answers.append(await (await live.fake.type_command(live.channel, live.ann, "recipe", job=1)).answered())
    for answer in answers:
        await live.fake.until(lambda answer=answer: answer.followups or (answer.message and answer.message.attachments))
        sent = answer.followups[-1] if answer.followups else answer.message
        assert sent is not None and "leaves them out" in text_of(sent)
        recipe = json.loads(sent.attachments[0].data)
        assert recipe["images"] == {} and recipe["request"]["prompt"] == "a red apple"


async def test_a_timelapse_has_no_attached_pictures_and_is_saved_next_to_the_picture(live: ClientOnLoopback) -> None:
    live.engine.step_s = 0.05
    message = await posted(live, timelapse=True, steps=12)
    picture, film = message.attachments
    assert film.filename.startswith("reverie-timelapse") and len(film.data) < 100_000 < len(picture.data)
    with pytest.raises(InvalidRequest, match=r"picture .* is missing"):
        read_recipe(film.data)


async def test_a_timelapse_that_is_too_large_is_refused_with_a_message(live: ClientOnLoopback) -> None:
    await live.imagine(timelapse=True)
    await live.ended(1)
    (message,) = live.channel.visible()
    live.fake.interactions.file_bytes = 100
    refused = await live.fake.click(message, "reverie:timelapse", live.ann)
    assert refused.ephemeral and "timelapse is too large" in refused.text


async def test_a_refusal_for_size_has_a_sentence(live: ClientOnLoopback) -> None:
    await live.imagine()
    await live.ended(1)
    (message,) = live.channel.visible()
    live.fake.faults.refuse("POST", "/interactions/*", 413, code=40005)
    live.fake.faults.refuse("POST", "/webhooks/*", 413, code=40005)
    answer = await live.fake.press(message, "reverie:recipe", live.ann)
    await live.fake.until(lambda: answer.text or answer.followups)
    assert "too large to upload here" in answer.text + "".join(item.said() for item in answer.followups)


async def test_a_persons_larger_limit_holds_for_what_answers_them(live: ClientOnLoopback) -> None:
    live.fake.interactions.file_bytes = 20 * 2**20
    given = {name: Upload("grain.png", grainy(1_000)) for name in ("first", "second", "third", "fourth")}
    await (await live.fake.type_command(live.channel, live.ann, "blend", **given)).answered()
    await live.ended(1)
    (message,) = live.channel.visible()
    (file,) = message.attachments
    assert len(file.data) > 10 * 2**20 and file.data == DataFolder(live.folder).read(Kind.PICTURE, 1, 1)
    assert "too large" not in text_of(message)


async def test_the_servers_upload_limit_applies_once_the_token_expired(live: ClientOnLoopback) -> None:
    live.fake.interactions.file_bytes = 20 * 2**20
    live.engine.open.clear()
    given = {name: Upload("grain.png", grainy(1_000)) for name in ("first", "second", "third", "fourth")}
    await (await live.fake.type_command(live.channel, live.ann, "blend", **given)).answered()
    await live.fake.until(lambda: live.channel.visible()[0].said())
    live.fake.expire_tokens()
    live.engine.open.set()
    await live.ended(1)
    (message,) = live.channel.visible()
    assert message.attachments[0].filename.endswith(".png") and len(message.attachments[0].data) < 10 * 2**20
    assert "leaves out the attached pictures" in text_of(message)


async def test_an_export_says_how_many_files_did_not_fit(live: ClientOnLoopback) -> None:
    live.fake.interactions.file_bytes = SMALL
    await posted(live)
    begun = await (await live.fake.type_command(live.channel, live.ann, "privacy")).answered()
    assert begun.message is not None
    answer = await live.fake.click(begun.message, "reverie-own:export", live.ann)
    sent = answer.message if answer.message is not None and answer.message.attachments else answer.followups[-1]
    assert "One file did not fit" in sent.said() or "files did not fit" in sent.said()
    assert len(sent.attachments[0].data) <= SMALL
    with zipfile.ZipFile(io.BytesIO(sent.attachments[0].data)) as archive:
        assert json.loads(archive.read("data.json"))["left_out"]
