"""Fallbacks for messages that Discord refuses: the end of a job is never lost and never told twice."""

from __future__ import annotations

from bot.jobs import Job, JobState
from tests.bot.frontend.client_in_simcord import ClientInSimcord, reply_of, said

BY_TOKEN, AS_BOT, NEW = "/webhooks/*", "/channels/*/messages/*", "/channels/*/messages"


async def begin(stage: ClientInSimcord) -> None:
    """A running job of Ann's, with its steps held."""
    stage.engine.open.clear()
    await stage.ann.slash(stage.channel, "imagine", prompt="a red apple")


def requests(stage: ClientInSimcord, method: str, part: str) -> int:
    return sum(request.method == method and part in request.path for request in stage.env.http_requests)


async def test_after_the_token_died_the_bot_edits_its_own_message(stage: ClientInSimcord) -> None:
    await begin(stage)
    stage.env.inject_error("PATCH", BY_TOKEN, status=401, code=50027, times=None)
    stage.engine.open.set()
    await stage.ended()
    assert stage.message().attachments[0].filename == "reverie-1-1.png"
    assert len(stage.channel.history()) == 1


async def test_when_no_edit_is_possible_a_new_message_comes_with_the_jobs_nonce(stage: ClientInSimcord) -> None:
    await begin(stage)
    stage.env.inject_error("PATCH", BY_TOKEN, status=401, code=50027, times=None)
    stage.env.inject_error("PATCH", AS_BOT, status=403, code=50001, times=None)
    stage.engine.open.set()
    job = await stage.ended()
    assert len(stage.channel.history()) == 2
    assert job.message_id == stage.message().id
    (sent,) = [
        request.json
        for request in stage.env.http_requests
        if request.method == "POST" and request.path.endswith("/messages")
    ]
    assert (sent["nonce"], sent["enforce_nonce"]) == ("reverie-1", True)


async def test_a_post_that_meets_trouble_on_the_way_is_tried_until_it_arrives(stage: ClientInSimcord) -> None:
    await begin(stage)
    stage.env.inject_error("PATCH", BY_TOKEN, status=401, code=50027, times=None)
    stage.env.inject_error("PATCH", AS_BOT, status=500, times=4)
    stage.engine.open.set()
    await stage.ended()
    assert len(stage.channel.history()) == 1


async def test_a_closed_channel_is_waited_for_and_the_queue_shows_it(stage: ClientInSimcord) -> None:
    await begin(stage)
    for method, path in (("PATCH", BY_TOKEN), ("PATCH", AS_BOT), ("POST", NEW)):
        stage.env.inject_error(method, path, status=403, code=50001, times=2)
    stage.engine.open.set()

    async def waits() -> Job | None:
        job = await stage.job()
        return job if job.waiting_for_access else None

    await stage.until(waits)
    queue = reply_of(await stage.bob.slash(stage.channel, "queue"))
    assert "waiting for permission to post" in (queue.embeds[0].description or "")
    await stage.ended()
    assert stage.message().attachments[0].filename == "reverie-1-1.png"


async def test_a_channel_that_is_gone_ends_the_job_and_the_picture_is_in_the_gallery(stage: ClientInSimcord) -> None:
    await begin(stage)
    for method, path in (("PATCH", BY_TOKEN), ("PATCH", AS_BOT), ("POST", NEW)):
        stage.env.inject_error(method, path, status=404, code=10003, times=None)
    stage.engine.open.set()

    async def failed() -> bool:
        return (await stage.job()).state is JobState.FAILED

    await stage.until(failed)
    assert len(await stage.service.archive.pictures(1)) == 1


async def test_a_file_that_is_too_large_comes_smaller(stage: ClientInSimcord) -> None:
    await begin(stage)
    stage.env.inject_error("PATCH", BY_TOKEN, status=413, code=40005, times=1)
    stage.engine.open.set()
    await stage.ended()
    assert stage.message().attachments
    assert (await stage.job()).public_channel_id == stage.channel.id


async def test_words_that_discord_moderates_are_left_out(stage: ClientInSimcord) -> None:
    await begin(stage)
    stage.env.inject_error("PATCH", BY_TOKEN, status=400, code=200000, times=1)
    stage.engine.open.set()
    await stage.ended()
    posted = stage.message()
    assert posted.attachments and "apple" not in said(posted)
    assert (await stage.job()).public_channel_id is None, "what Discord does not take is not for the web either"


async def test_a_lost_answer_becomes_a_separate_message(stage: ClientInSimcord) -> None:
    stage.env.inject_error("POST", "/interactions/*", status=404, code=10062, times=1)
    await stage.ann.slash(stage.channel, "imagine", prompt="a red apple")
    await stage.ended()
    assert [file.filename for file in stage.message().attachments] == ["reverie-1-1.png"]
    assert len(stage.channel.history()) == 1


async def test_a_job_that_was_posted_is_not_touched_at_the_next_start(stage: ClientInSimcord) -> None:
    await stage.finished_job()
    before = requests(stage, "PATCH", "/messages/") + requests(stage, "POST", "/messages")
    await stage.restart()
    await stage.env.advance_time(30)
    assert requests(stage, "PATCH", "/messages/") + requests(stage, "POST", "/messages") == before


async def test_a_server_that_the_bot_leaves_is_forgotten(stage: ClientInSimcord) -> None:
    await stage.finished_job()
    await stage.client.on_guild_remove(stage.client.get_guild(stage.guild.id))
    assert await stage.service.store.jobs.get(1) is None
