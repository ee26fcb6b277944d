"""*Imagine like this* and *Show recipe* find the picture of a message wherever Discord keeps it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from tests.bot.discord.client_on_loopback import ClientOnLoopback
from tests.bot.discord.test_answers import png
from tests.discord_fake import Attachment, Message
from tests.discord_fake.components import media
from tests.discord_fake.ids import new_id

LIKE, RECIPE = "Imagine like this", "Show recipe"


def jpeg() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (48, 32), (20, 20, 200)).save(out, "JPEG")
    return out.getvalue()


async def like(live: ClientOnLoopback, message: Message, job_id: int, use: str = "init") -> tuple[int, int]:
    """Return the size of the job's first picture, which *Imagine like this* took from a message."""
    form = await live.fake.choose_menu(message, live.ann, LIKE)
    assert form.callback is not None and form.callback["type"] == 9, form.text
    answer = await live.fake.fill_in(form, prompt="a fox", use=[use])
    assert not answer.ephemeral, answer.text
    await live.ended(job_id)
    request = live.engine.begun[-1]
    data = request.init_image if use == "init" else request.image_prompts[0].image
    assert data is not None
    with Image.open(io.BytesIO(data)) as image:
        return image.size


async def refused(live: ClientOnLoopback, message: Message) -> str:
    answer = await live.fake.choose_menu(message, live.ann, LIKE)
    assert answer.ephemeral
    return answer.text


def held(
    live: ClientOnLoopback, data: bytes, name: str = "a.png", content_type: str | None = "image/png"
) -> Attachment:
    return Attachment(new_id(), name, data, content_type)


def address(live: ClientOnLoopback, data: bytes) -> str:
    """Address of a file on the fake's own host for files."""
    file = held(live, data)
    live.fake.interactions.uploads[file.id] = file
    return str(file.payload(live.fake.url, live.channel.id)["url"])


async def test_a_finished_picture_of_the_bots_own_is_taken_from_its_file(live: ClientOnLoopback) -> None:
    await live.imagine(size="96x64")
    await live.ended(1)
    (message,) = live.channel.visible()
    shown = message.payload(live.fake.url, live.fake.world.bot)
    assert all(url.startswith(live.fake.url) for url in media(shown["components"]))
    live.fake.slow_files_s = -1.0  # No file can be fetched.
    assert await like(live, message, 2) == (96, 64)
    assert await like(live, message, 3, use="prompt") == (96, 64)


async def test_an_own_message_without_a_row_is_known_by_its_buttons(live: ClientOnLoopback) -> None:
    await live.imagine(size="96x64")
    await live.ended(1)
    (message,) = live.channel.visible()
    copy = live.channel.write(live.ann, components=[{"type": 17, "components": message.components}])
    copy.author = live.fake.world.bot
    recipe = await live.fake.choose_menu(copy, live.ann, RECIPE)
    assert "a red apple" in recipe.text
    assert await like(live, copy, 2) == (96, 64)
    copy.author = live.ann.user()
    assert "shows no job" in (await live.fake.choose_menu(copy, live.ann, RECIPE)).text


async def test_a_deleted_jobs_message_still_holds_its_picture(live: ClientOnLoopback) -> None:
    await live.imagine(size="96x64")
    await live.ended(1)
    (message,) = live.channel.visible()
    await live.client.service.archive.purge([await live.job(1)])
    assert await like(live, message, 2) == (96, 64)


async def test_follow_ups_of_a_private_picture_are_private_and_only_for_its_owner(live: ClientOnLoopback) -> None:
    await live.imagine(size="96x64", private=True)
    await live.ended(1)
    (message,) = live.channel.visible()
    assert "has no PNG" in (await live.fake.choose_menu(message, live.admin, LIKE)).text
    assert await like(live, message, 2) == (96, 64)
    assert (await live.job(2)).private


async def test_a_forward_of_a_persons_or_of_an_own_picture(live: ClientOnLoopback) -> None:
    original = live.channel.write(live.admin, attachments=[held(live, jpeg(), "a.jpg", "image/jpeg")])
    assert await like(live, live.channel.write(live.ann, forwarded=original), 1) == (48, 32)
    own = next(message for message in live.channel.visible() if message.author is None)
    forward = live.channel.write(live.ann, forwarded=own)
    assert "a fox" in (await live.fake.choose_menu(forward, live.ann, RECIPE)).text
    assert (await like(live, forward, 2))[0] > 0


async def test_a_reply_leads_to_the_picture_that_it_answers(live: ClientOnLoopback) -> None:
    await live.imagine(size="96x64")
    await live.ended(1)
    (message,) = live.channel.visible()
    reply = live.channel.write(live.admin, "how was this made?", answers=message.id)
    assert "a red apple" in (await live.fake.choose_menu(reply, live.ann, RECIPE)).text
    assert await like(live, reply, 2) == (96, 64)
    own = live.channel.write(live.ann, answers=message.id, attachments=[held(live, jpeg(), "a.jpg", "image/jpeg")])
    assert await like(live, own, 3) == (48, 32)


@pytest.mark.parametrize("content_type", [None, "application/octet-stream"])
async def test_the_type_of_a_file_is_read_from_its_bytes(live: ClientOnLoopback, content_type: str | None) -> None:
    files = [held(live, b"no picture", "notes", content_type), held(live, jpeg(), "picture", content_type)]
    assert await like(live, live.channel.write(live.ann, attachments=files), 1) == (48, 32)


async def test_files_that_are_no_pictures_are_refused_with_a_sentence(live: ClientOnLoopback) -> None:
    for name, content_type in (("a.mp4", "video/mp4"), ("a.txt", "text/plain; charset=utf-8")):
        message = live.channel.write(live.ann, attachments=[held(live, png(), name, content_type)])
        assert "has no PNG" in await refused(live, message)
    lying = live.channel.write(live.ann, attachments=[held(live, b"<svg/>")])
    form = await live.fake.choose_menu(lying, live.ann, LIKE)
    answer = await live.fake.fill_in(form, prompt="a fox", use=["init"])
    assert "has no PNG" in (answer.followups[-1].content if answer.followups else answer.text)


@pytest.mark.parametrize("part", ["image", "thumbnail"])
async def test_a_pasted_link_to_a_file_of_discords(live: ClientOnLoopback, part: str) -> None:
    embed: dict[str, Any] = {"type": "image", part: {"url": address(live, jpeg())}}
    assert await like(live, live.channel.write(live.ann, embeds=[embed]), 1) == (48, 32)


@pytest.mark.parametrize(
    "url", ["https://example.org/attachments/1/2/a.png", "http://127.0.0.1:1/attachments/1/2/a.png", "x:"]
)
async def test_a_picture_of_another_host_is_not_fetched(live: ClientOnLoopback, url: str) -> None:
    embeds = [{"type": "image", "image": {"url": url}}]
    message = live.channel.write(live.ann, embeds=embeds, components=[gallery(url)])
    assert "has no PNG" in await refused(live, message)


def gallery(url: str) -> dict[str, Any]:
    return {"type": 12, "items": [{"media": {"url": url}}]}


def thumbnail(url: str) -> dict[str, Any]:
    text = {"type": 10, "content": "look"}
    return {"type": 9, "components": [text], "accessory": {"type": 11, "media": {"url": url}}}


@pytest.mark.parametrize("make", [gallery, thumbnail, lambda url: {"type": 13, "file": {"url": url}}])
async def test_a_picture_in_components_however_deep(live: ClientOnLoopback, make: Any) -> None:  # noqa: ANN401 - of a component
    component = make(address(live, jpeg()))
    plain = live.channel.write(live.ann, components=[component], flags=1 << 15)
    assert await like(live, plain, 1) == (48, 32)
    nested = live.channel.write(live.ann, components=[{"type": 17, "components": [component]}], flags=1 << 15)
    assert await like(live, nested, 2) == (48, 32)
