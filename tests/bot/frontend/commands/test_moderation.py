"""Reports and blocked people: listed, opened and resolved by those who manage the server, and by nobody else."""

from __future__ import annotations

import discord
import pytest
import simcord
from simcord.results import ResponseMessage

from bot.jobs import JobState
from tests.bot.frontend.client_in_simcord import ClientInSimcord, reply_of, said


async def reported(
    stage: ClientInSimcord, *, by: simcord.MemberActor | None = None, **values: object
) -> discord.Message:
    """Paint a picture of Ann's and report it."""
    message = stage.message() if stage.channel.history() else await stage.finished_job("a red apple")
    person = by or stage.bob
    modal = await stage.click_more(person, message, "Report")
    answer = await person.submit_modal(modal, {"reason": ["hateful"], "details": "@everyone look", **values})
    assert "Your report was saved" in reply_of(answer).content
    return message


async def opened(stage: ClientInSimcord) -> ResponseMessage:
    """Open the only report with /reports."""
    page = reply_of(await stage.admin.slash(stage.channel, "reports"))
    return reply_of(await stage.admin.select(page, ["1"], custom_id="reverie-cases-open"))


async def report_channel(stage: ClientInSimcord) -> simcord.ChannelHandle:
    channel = stage.guild.create_text_channel("reports")
    await stage.service.guilds.set_safety(stage.requester(stage.admin), report_channel_id=channel.id)
    return channel


async def test_a_report_is_listed_and_opened_where_no_channel_is_set(stage: ClientInSimcord) -> None:
    empty = reply_of(await stage.admin.slash(stage.channel, "reports"))
    assert "There are no open reports" in (empty.embeds[0].description or "")
    message = await reported(stage)
    await reported(stage, by=stage.ann, details=" ")
    page = reply_of(await stage.admin.slash(stage.channel, "reports"))
    text = page.embeds[0].description or ""
    assert "**#1** · Hateful" in text and "a red apple" in text and "not posted" in text
    case = await opened(stage)
    assert "2 people reported a picture" in case.content and str(message.id) in case.content
    assert "**Hateful** · \\@everyone look" in case.content
    assert case.content.splitlines()[-1] == f"<@{stage.ann.id}>: **Hateful**"
    assert case.attachments[0].filename == "SPOILER_report-1.jpg"


async def test_an_opened_report_shows_picture_and_words_after_the_owner_deleted_them(stage: ClientInSimcord) -> None:
    message = await reported(stage)
    asked = reply_of(await stage.click_more(stage.ann, message, "Delete"))
    await stage.ann.click(asked, label="Delete permanently")
    case = await opened(stage)
    assert "a red apple" in case.content and "deleted meanwhile" in case.content
    assert (await case.attachments[0].read()).startswith(b"\xff\xd8")
    labels = [button["label"] for row in case.components for button in row["components"]]
    assert labels == ["Keep it", "Block person", "Forbid a word"]


async def test_keeping_a_picture_closes_the_report_and_tells_who_wants_to_know(stage: ClientInSimcord) -> None:
    message = await reported(stage, tell_me=True)
    await reported(stage, by=stage.admin)
    case = await opened(stage)
    await stage.restart()
    await stage.admin.click(case, label="Keep it")
    assert case.content.startswith("✅ Report about job 1") and not case.components
    (told,) = stage.bob.user.dm_channel.history()
    assert told.content.startswith("You reported a picture of job 1 in Test.") and "kept it" in told.content
    assert await stage.service.store.jobs.get(1) is not None
    assert stage.message().id == message.id
    page = reply_of(await stage.admin.slash(stage.channel, "reports"))
    assert "There are no open reports" in (page.embeds[0].description or "")


async def test_a_hidden_picture_leaves_its_message_and_only_its_owner_sees_it(stage: ClientInSimcord) -> None:
    message = await reported(stage)
    asked = reply_of(await stage.admin.click(await opened(stage), label="Hide picture"))
    assert (await stage.job()).private is False
    await stage.admin.click(asked, label="Hide picture")
    hidden = stage.message()
    assert hidden.id == message.id and said(hidden).startswith("**Hidden**")
    assert not hidden.attachments and "apple" not in said(hidden)
    refused = await stage.bob.click(hidden, label="Show")
    assert "There is no job 1 here" in reply_of(refused).content
    assert reply_of(await stage.ann.click(hidden, label="Show")).attachments


async def test_a_deleted_picture_takes_its_message_along(stage: ClientInSimcord) -> None:
    await reported(stage)
    asked = reply_of(await stage.admin.click(await opened(stage), label="Delete picture"))
    await stage.admin.click(asked, label="Delete picture")
    assert stage.channel.history() == []
    assert await stage.service.store.jobs.get(1) is None
    assert "deleted the picture" in asked.content


async def test_blocking_the_owner_cancels_what_waits_and_is_lifted_again(stage: ClientInSimcord) -> None:
    await reported(stage)
    await stage.admin.slash(stage.channel, "pause")
    await stage.ann.slash(stage.channel, "imagine", prompt="two")
    asked = reply_of(await stage.admin.click(await opened(stage), label="Block person"))
    assert "One unfinished job of this person will be cancelled" in asked.content
    await stage.admin.click(asked, label="Block person")
    await stage.ended(2, JobState.CANCELLED)
    assert "no longer accept requests from this person" in stage.said()
    refused = await stage.ann.slash(stage.channel, "imagine", prompt="three")
    assert "do not accept requests for pictures from you" in reply_of(refused).content
    listed = reply_of(await stage.admin.slash(stage.channel, "people list"))
    assert f"<@{stage.ann.id}>" in (listed.embeds[0].description or "")
    await stage.admin.slash(stage.channel, "people unblock", person=stage.ann)
    await stage.admin.slash(stage.channel, "resume")
    await stage.ann.slash(stage.channel, "imagine", prompt="four")
    await stage.ended(3)


async def test_a_person_is_blocked_without_a_report_after_a_question(stage: ClientInSimcord) -> None:
    blocked = reply_of(await stage.admin.slash(stage.channel, "people block", person=stage.bob))
    assert f"<@{stage.bob.id}> can no longer request pictures" in blocked.content
    stage.engine.open.clear()
    await stage.ann.slash(stage.channel, "imagine", prompt="one")
    asked = reply_of(await stage.admin.slash(stage.channel, "people block", person=stage.ann))
    assert "has one unfinished job" in asked.content
    assert list(await stage.service.guilds.blocked_people(stage.guild.id)) == [stage.bob.id]
    await stage.admin.click(asked, label="Block and cancel one job")
    await stage.ended(1, JobState.CANCELLED)
    refused = await stage.admin.slash(stage.channel, "people unblock", person=stage.admin)
    assert reply_of(refused).content == "This person is not blocked here."


async def test_forbidding_a_word_deletes_the_picture_and_asks_about_what_waits(stage: ClientInSimcord) -> None:
    await reported(stage)
    await stage.admin.slash(stage.channel, "pause")
    await stage.bob.slash(stage.channel, "imagine", prompt="another apple")
    case = await opened(stage)
    modal = await stage.admin.click(case, label="Forbid a word")
    answer = await stage.admin.submit_modal(modal, {"word": "apple"})
    assert "forbade a word" in case.content
    asked = answer.followups[0]
    assert "“apple”" in asked.content and f"<@{stage.bob.id}> 1" in asked.content
    assert await stage.service.store.jobs.get(1) is None
    await stage.admin.click(asked, label="Cancel one job")
    await stage.ended(2, JobState.CANCELLED)
    refused = await stage.ann.slash(stage.channel, "imagine", prompt="an apple")
    assert "breaks the blocklist rule “apple”" in reply_of(refused).content


async def test_the_report_channels_message_has_the_same_buttons_and_shows_the_result(stage: ClientInSimcord) -> None:
    channel = await report_channel(stage)
    message = await reported(stage)
    notice = channel.history()[-1]
    assert "**Hateful**" in notice.content and "\\@everyone" in notice.content and str(message.id) in notice.content
    assert notice.attachments[0].is_spoiler()
    await reported(stage, by=stage.ann)
    (notice,) = channel.history()
    assert "2 people reported" in notice.content
    await stage.restart()
    for label in ("Keep it", "Delete picture", "Forbid a word"):
        refused = await stage.bob.click(notice, label=label)
        assert reply_of(refused).content == "Only someone who manages the server can do this."
    asked = reply_of(await stage.admin.click(notice, label="Delete picture"))
    await stage.admin.click(asked, label="Delete picture")
    (notice,) = channel.history()
    assert "deleted the picture" in notice.content and not notice.components and not notice.attachments


async def test_a_report_that_somebody_else_resolved_says_so(stage: ClientInSimcord) -> None:
    await reported(stage)
    case = await opened(stage)
    await stage.service.reports.close(stage.requester(stage.admin), 1)
    answer = await stage.admin.click(case, label="Keep it")
    assert "This report is closed" in reply_of(answer).content


async def test_a_reporter_who_takes_no_direct_messages_is_not_told(stage: ClientInSimcord) -> None:
    await reported(stage, tell_me=True)
    case = await opened(stage)
    stage.env.inject_error("POST", "/users/@me/channels", status=403, code=50_007)
    await stage.admin.click(case, label="Keep it")
    assert case.content.startswith("✅")


async def test_pages_of_reports_turn(stage: ClientInSimcord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.frontend.commands.reports.PER_PAGE", 1)
    first = await stage.finished_job("one")
    second = await stage.finished_job("two")
    for message in (first, second):
        modal = await stage.click_more(stage.bob, message, "Report")
        await stage.bob.submit_modal(modal, {"reason": ["other"]})
    page = reply_of(await stage.admin.slash(stage.channel, "reports"))
    assert "**#1**" in (page.embeds[0].description or "") and page.embeds[0].title == "2 reported pictures"
    await stage.admin.click(page, label="▶")
    assert "**#2**" in (page.embeds[0].description or "") and page.embeds[0].footer.text == "Page 2 of 2"
