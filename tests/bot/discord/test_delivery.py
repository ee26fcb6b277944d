"""Delivery over a real network: pictures arrive complete and once, despite all faults of Discord and the network."""

from __future__ import annotations

import pytest

from bot.files import DataFolder, Kind
from bot.jobs import Job, JobState
from tests.bot.discord.client_on_loopback import ClientOnLoopback
from tests.discord_fake import Cut, Message

pytestmark = pytest.mark.waits

BY_TOKEN, AS_BOT, NEW = "/webhooks/*", "/channels/*/messages/*", "/channels/*/messages"
PICTURE = "reverie-1-1.png"


def posted(live: ClientOnLoopback) -> Message:
    """Return the job's only message, which holds the picture as it was stored."""
    (message,) = live.channel.visible()
    (file,) = message.attachments
    assert file.filename == PICTURE
    assert file.data == DataFolder(live.folder).read(Kind.PICTURE, 1, 1)
    return message


async def begin(live: ClientOnLoopback) -> None:
    """A running job of Ann's, with its steps held."""
    live.engine.open.clear()
    await live.imagine()


async def test_a_finished_picture_arrives_byte_for_byte(live: ClientOnLoopback) -> None:
    answer = await live.imagine()
    await live.ended()
    message = posted(live)
    assert message is answer.message
    assert message.attachments[0].content_type == "image/png"
    assert "a red apple" in (message.attachments[0].description or "")
    assert message.media() == [f"attachment://{PICTURE}"]


async def test_a_timelapse_arrives_byte_for_byte_below_its_picture(live: ClientOnLoopback) -> None:
    await live.imagine(timelapse=True)
    await live.ended()
    (message,), files = live.channel.visible(), DataFolder(live.folder)
    assert [file.data for file in message.attachments] == [
        files.read(Kind.PICTURE, 1, 1),
        files.read(Kind.TIMELAPSE, 1, 1),
    ]
    assert [item["type"] for item in message.components[0]["components"]] == [10, 12, 12, 10, 1, 1]


async def test_the_preview_is_replaced_by_the_picture(live: ClientOnLoopback) -> None:
    live.engine.step_s = 0.05
    live.engine.hold(12)
    answer = await live.imagine(steps=30)
    message = answer.message
    assert message is not None
    await live.fake.until(lambda: message.attachments)
    assert message.attachments[0].filename == "preview-1.jpg"
    live.engine.open.set()
    await live.ended()
    posted(live)


@pytest.mark.parametrize(("path", "status"), [(BY_TOKEN, 500), (AS_BOT, 502), (BY_TOKEN, 503), (AS_BOT, 503)])
async def test_an_error_of_discords_delays_the_picture_and_no_more(
    live: ClientOnLoopback, status: int, path: str
) -> None:
    await begin(live)
    if path == AS_BOT:
        live.fake.expire_tokens()
    fault = live.fake.faults.refuse("PATCH", path, status)
    live.engine.open.set()
    await live.ended()
    posted(live)
    assert fault.hits == 1


@pytest.mark.parametrize("path", [BY_TOKEN, AS_BOT])
@pytest.mark.parametrize("limit", [{"retry_after_s": 0.3}, {"retry_after_s": None, "by_proxy": True}])
async def test_a_rate_limit_delays_the_picture_and_no_more(
    live: ClientOnLoopback, path: str, limit: dict[str, object]
) -> None:
    await begin(live)
    if path == AS_BOT:
        live.fake.expire_tokens()
    fault = live.fake.faults.limit("PATCH", path, **limit)
    live.engine.open.set()
    await live.ended()
    posted(live)
    assert fault.hits == 1


async def test_the_global_rate_limit_holds_all_calls_back_for_its_time(live: ClientOnLoopback) -> None:
    await begin(live)
    live.fake.expire_tokens()
    live.fake.faults.limit("PATCH", AS_BOT, 1.0, everywhere=True)
    live.engine.open.set()
    await live.ended()
    refused, taken = [call.at for call in live.fake.sent("PATCH", "/channels/") if call.files or call.status == 429][:2]
    assert taken - refused >= 0.9
    posted(live)


@pytest.mark.slow
async def test_a_rate_limit_of_hours_on_the_interactions_token_does_not_hold_the_picture_back(
    live: ClientOnLoopback,
) -> None:
    await begin(live)
    live.fake.faults.limit("PATCH", BY_TOKEN, 3_600.0, times=None)
    live.engine.open.set()
    await live.ended()
    posted(live)


@pytest.mark.parametrize("where", list(Cut))
@pytest.mark.parametrize("path", [BY_TOKEN, AS_BOT])
async def test_a_connection_that_is_cut_delays_the_picture_and_no_more(
    live: ClientOnLoopback, path: str, where: Cut
) -> None:
    await begin(live)
    if path == AS_BOT:
        live.fake.expire_tokens()
    fault = live.fake.faults.cut("PATCH", path, where)
    live.engine.open.set()
    await live.ended()
    posted(live)
    assert fault.hits == 1


@pytest.mark.parametrize("where", list(Cut))
async def test_a_new_message_whose_answer_is_lost_is_not_sent_twice(live: ClientOnLoopback, where: Cut) -> None:
    await begin(live)
    live.channel.visible()[0].deleted = True
    fault = live.fake.faults.cut("POST", NEW, where)
    live.engine.open.set()
    await live.ended()
    posted(live)
    assert fault.hits == 1


async def test_after_the_token_died_the_bot_edits_its_own_message(live: ClientOnLoopback) -> None:
    await begin(live)
    live.fake.expire_tokens()
    live.engine.open.set()
    await live.ended()
    posted(live)
    assert live.fake.sent("PATCH", "/webhooks/")[-1].status == 401
    assert not live.fake.sent("POST", f"/channels/{live.channel.id}/messages")


async def test_a_missing_message_is_replaced(live: ClientOnLoopback) -> None:
    await begin(live)
    live.channel.visible()[0].deleted = True
    live.engine.open.set()
    job = await live.ended()
    assert posted(live).id == job.message_id
    (sent,) = live.fake.sent("POST", f"/channels/{live.channel.id}/messages")
    assert (sent.json["nonce"], sent.json["enforce_nonce"]) == ("reverie-1", True)


@pytest.mark.parametrize("code", [50001, 50013])
async def test_a_channel_that_is_closed_is_tried_again_until_it_is_open(live: ClientOnLoopback, code: int) -> None:
    await begin(live)
    live.fake.expire_tokens()
    faults = [
        live.fake.faults.refuse(method, f"/channels/{live.channel.id}/*", 403, code, times=None)
        for method in ("PATCH", "POST")
    ]
    live.engine.open.set()

    async def waits() -> Job | None:
        job = await live.job()
        return job if job.waiting_for_access else None

    await live.until(waits)
    queue = await (await live.fake.type_command(live.channel, live.admin, "queue")).answered()
    assert "waiting for permission to post" in queue.text
    for fault in faults:
        live.fake.faults.remove(fault)
    await live.ended()
    posted(live)


async def test_a_channel_that_is_gone_ends_the_job(live: ClientOnLoopback) -> None:
    await begin(live)
    live.fake.expire_tokens()
    live.channel.gone = True
    live.engine.open.set()

    async def failed() -> Job | None:
        job = await live.job()
        return job if job.state is JobState.FAILED else None

    await live.until(failed)
    assert len(await live.client.service.archive.pictures(1)) == 1


async def test_a_picture_goes_on_its_way_while_another_call_hangs(live: ClientOnLoopback) -> None:
    other = live.guild.add_channel("elsewhere")
    await live.stop()
    await live.start()
    live.fake.faults.slow("PATCH", BY_TOKEN, 20.0)
    await live.imagine()
    await live.fake.until(lambda: any(call.json and call.status == 0 for call in live.fake.sent("PATCH", "/webhooks/")))
    await live.fake.type_imagine(other, live.ann, "a green tree")
    await live.ended(2)
    assert [file.filename for file in other.visible()[0].attachments] == ["reverie-2-1.png"]
