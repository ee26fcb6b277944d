"""The two forms of a job's message: a message keeps the form that it began with, whatever config.yaml says later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bot.files import DataFolder, Kind
from bot.frontend.messages.content import MessageContent
from bot.jobs import Layout
from tests.bot.discord.client_on_loopback import ClientOnLoopback
from tests.discord_fake import Channel, Message
from tests.discord_fake.components import V2, walk
from tests.discord_fake.ids import new_id
from tests.discord_fake.world import Attachment, Guild, Payload
from tests.discord_fake.writing import Refusal, create, edit

CLASSIC_BUTTONS = [
    "again",
    "vary",
    "continue",
    "remix",
    "upscale",
    "heart",
    "timelapse",
    "recipe",
    "delete",
    "report",
    "film",
]


def actions(message: Message) -> list[str]:
    return [custom_id.split(":")[1] for custom_id in message.custom_ids()]


async def restarted(live: ClientOnLoopback, messages: str) -> None:
    """Stop the bot in the middle of a job, and start it with another form of messages."""
    await live.stop()
    live.config = replace(live.config, messages=messages)
    live.engine.open.set()
    await live.start()


async def test_pictures_stand_in_a_gallery_with_two_rows_of_buttons(live: ClientOnLoopback) -> None:
    await live.imagine(count=4)
    await live.ended()
    (message,) = live.channel.visible()
    files = DataFolder(live.folder)
    assert [file.data for file in message.attachments] == [
        files.read(Kind.PICTURE, 1, number) for number in range(1, 5)
    ]
    (container,) = message.components
    assert [item["type"] for item in container["components"]] == [10, 12, 10, 1, 1]
    described = [item["description"] for item in container["components"][1]["items"]]
    assert described[0] == "1/4: AI-generated picture for the prompt: a red apple" and len(set(described)) == 4
    assert actions(message) == [*["upscale"] * 4, "again", *["vary"] * 4, "more"]
    more = await live.fake.click(message, "reverie:more", live.ann)
    assert more.ephemeral and more.message is not None
    last = ["recipe", "timelapse", "settings", "keep", "delete", "report"]
    assert actions(more.message) == [*["heart"] * 4, *["film"] * 4, *last]


async def test_classic_messages_hold_an_embed_and_all_buttons(live: ClientOnLoopback) -> None:
    await restarted(live, "classic")
    await live.imagine()
    await live.ended()
    await live.imagine(count=2)
    await live.ended(2)
    single, grid = live.channel.visible()
    assert not single.flags & V2 and single.content.startswith("**Done**")
    assert single.embeds[0]["description"].startswith("a red apple") and actions(single) == CLASSIC_BUTTONS
    assert single.embeds[0]["image"] == {"url": "attachment://reverie-1-1.png"}
    assert [file.data for file in grid.attachments] == [DataFolder(live.folder).read(Kind.PICTURE, 2, 0)]


@pytest.mark.parametrize(("before", "after"), [("classic", "components"), ("components", "classic")])
async def test_a_message_keeps_its_form_after_a_restart_with_the_other(
    live: ClientOnLoopback, before: str, after: str
) -> None:
    await restarted(live, before)
    live.engine.hold()
    await live.imagine()
    await restarted(live, after)
    await live.ended()
    (message,) = live.channel.visible()
    assert bool(message.flags & V2) is (before == "components") and message.edits
    assert bool(message.embeds) is (before == "classic") and "**Done**" in message.said()
    await live.fake.click(message, "reverie:again", live.ann)
    await live.ended(2)
    assert bool(live.channel.visible()[1].flags & V2) is (after == "components")


def test_the_texts_of_a_message_stay_below_discords_limit() -> None:
    content = MessageContent("s" * 1_900, ("w" * 1_800, *("n" * 300 for _ in range(12))), "512x512")
    (container,) = content.edit(Layout.COMPONENTS)["view"].to_components()
    texts = [item["content"] for item in walk([container]) if item["type"] == 10]
    assert 3_700 < sum(map(len, texts)) <= 4_000 and texts[1].endswith("-# 512x512")


def text(content: str, **parts: object) -> Payload:
    return {"type": 10, "content": content, **parts}


def button(custom_id: str) -> Payload:
    return {"type": 1, "components": [{"type": 2, "style": 2, "label": "a", "custom_id": custom_id}]}


@pytest.fixture
def channel() -> Iterator[Channel]:
    yield Guild(1, "Test", 2).add_channel()


@pytest.mark.parametrize(
    "body",
    [
        {"content": "x", "components": [text("a")]},
        {"embeds": [{"title": "x"}], "components": [text("a")]},
        {"components": []},
        {"components": [{"type": 17, "components": [text("a") for _ in range(40)]}]},
        {"components": [text("a" * 2_000), text("a" * 2_001)]},
        {"components": [text("a", id=5), text("b", id=5)]},
        {"components": [button("a"), {"type": 17, "components": [button("a")]}]},
        {"components": [{"type": 12, "items": [{"media": {"url": "attachment://gone.png"}}]}]},
        {"flags": 0, "components": [text("a")]},
    ],
)
def test_the_fake_refuses_what_discord_refuses_beside_the_flag(channel: Channel, body: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as refused:
        create(channel, {"flags": V2, **body}, ())
    assert refused.value.code == 50035 and not channel.messages


def test_the_fake_never_takes_the_flag_off(channel: Channel) -> None:
    message = create(channel, {"flags": V2, "components": [text("a")]}, ())
    edit(message, {"flags": 0, "components": [text("b")]}, ())
    assert message.flags & V2
    with pytest.raises(Refusal):
        edit(message, {"content": "x"}, ())
    assert message.said() == "b"
    message.attachments = [Attachment(new_id(), "a.png", b"", None)]
    edit(message, {"components": [{"type": 12, "items": [{"media": {"url": "attachment://a.png"}}]}]}, ())
    assert message.media() == ["attachment://a.png"]
