"""Decisions of a server's managers: reports with copies of pictures, blocked people, waiting jobs, retention."""

from __future__ import annotations

import json
import sqlite3
import time
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from bot.errors import Blocked, NotFound, NotOwner
from bot.jobs import JobState, ReportReason
from bot.service import JobSpec, Whose
from bot.service.moderation.waiting_jobs import reason_of
from bot.store.connection import APPLICATION_ID, migrations, statements
from bot.texts import Sentence
from tests.bot.real_service import ANN, BEN, CHANNEL, GUILD, QUICK, RealService, requester

ADMIN = requester(9, manages=True)


async def posted(bench: RealService, prompt: str = "a red apple") -> int:
    return (await bench.post((await bench.imagine(prompt)).id)).id


async def test_a_report_keeps_picture_and_words_when_the_owner_deletes_the_picture(bench: RealService) -> None:
    job_id, reports = await posted(bench), bench.service.reports
    await reports.add(requester(BEN), job_id, 1, ReportReason.HATEFUL, "look", wants_result=True)
    await bench.service.archive.delete(requester(), job_id)
    (reported,) = (await reports.page(ADMIN, page=1, per_page=5)).reported
    assert (reported.prompt, reported.user_id, reported.job_id) == ("a red apple", ANN, job_id)
    assert await reports.job(reported) is None
    copy = await reports.copy(reported.id)
    assert copy is not None
    assert Image.open(BytesIO(copy)).size == (64, 64)
    (report,) = (await reports.close(ADMIN, reported.id)).reports
    assert (report.user_id, report.wants_result, report.details) == (BEN, True, "look")
    with pytest.raises(NotFound, match="closed"):
        await reports.get(ADMIN, reported.id)
    assert await reports.copy(reported.id) is None


async def test_a_report_about_several_pictures_keeps_them_all(bench: RealService) -> None:
    spec = JobSpec(prompt="a red apple", settings=QUICK, count=4)
    job = (await bench.service.submissions.submit(requester(), spec)).job
    reported = await bench.service.reports.add(requester(BEN), (await bench.post(job.id)).id, 1, ReportReason.HATEFUL)
    copy = await bench.service.reports.copy(reported.id)
    assert copy is not None
    assert Image.open(BytesIO(copy)).width > 2 * 64


async def test_reports_of_one_picture_are_one_case_and_another_server_sees_none(bench: RealService) -> None:
    job_id, reports = await posted(bench), bench.service.reports
    first = await reports.add(requester(BEN), job_id, 1, ReportReason.HATEFUL)
    second = await reports.add(requester(3), job_id, 1, ReportReason.OTHER)
    assert first.id == second.id
    assert [report.user_id for report in second.reports] == [BEN, 3]
    elsewhere = requester(9, manages=True, guild_id=GUILD + 1)
    assert (await reports.page(elsewhere, page=1, per_page=5)).total == 0
    for deed in (reports.get(elsewhere, first.id), reports.close(elsewhere, first.id)):
        with pytest.raises(NotFound):
            await deed


async def test_deleting_mine_withdraws_my_reports_and_leaves_the_copies_that_others_reported(
    bench: RealService,
) -> None:
    mine, reports, people = await posted(bench), bench.service.reports, bench.service.personal_data
    await reports.add(requester(BEN), mine, 1, ReportReason.OTHER)
    await people.delete_mine(requester())
    (kept,) = (await reports.page(ADMIN, page=1, per_page=5)).reported
    path = await people.export_mine(requester(), limit_bytes=10**7)
    with zipfile.ZipFile(path) as archive:
        facts = json.loads(archive.read("data.json"))
        assert Image.open(BytesIO(archive.read(f"reported/{kept.id}.jpg"))).size == (64, 64)
    assert [item["prompt"] for item in facts["reported"]] == ["a red apple"]
    assert not {"user_id", "reports"} & set(facts["reported"][0])
    await people.delete_mine(requester(BEN))
    assert (await reports.page(ADMIN, page=1, per_page=5)).total == 0


async def test_reports_go_after_the_retention_period_and_with_their_server(bench: RealService) -> None:
    jobs, reports = [await posted(bench), await posted(bench)], bench.service.reports
    old, young = [await reports.add(requester(BEN), job_id, 1, ReportReason.OTHER) for job_id in jobs]
    await bench.service.guilds.set_retention(ADMIN, 2)
    with sqlite3.connect(bench.files.database) as db:
        db.execute("UPDATE reports SET created_at = ? WHERE picture_id = ?", (time.time() - 3 * 86_400, old.id))
    await bench.service.maintenance.retain()
    assert [item.id for item in (await reports.page(ADMIN, page=1, per_page=5)).reported] == [young.id]
    await bench.service.guild_gone(GUILD)
    assert await bench.service.store.guilds.known() == set()


async def test_a_hidden_picture_is_for_its_owner_alone(bench: RealService) -> None:
    job_id, archive = await posted(bench), bench.service.archive
    with pytest.raises(NotOwner):
        await archive.hide(requester(), job_id)
    await archive.hide(ADMIN, job_id)
    assert (await archive.job(requester(), job_id)).private
    with pytest.raises(NotFound):
        await archive.job(requester(BEN), job_id)
    assert (await archive.gallery(requester(BEN), Whose.SERVER)).total == 0


async def test_a_blocked_person_asks_in_vain_in_this_server_until_the_block_is_lifted(bench: RealService) -> None:
    guilds, here = bench.service.guilds, await posted(bench)
    await guilds.block_person(ADMIN, ANN)
    with pytest.raises(Blocked, match="from you"):
        await bench.imagine()
    with pytest.raises(Blocked):
        data = (await bench.service.archive.file(requester(), here, 1, limit_bytes=10**7)).data
        await bench.service.submissions.again_from_file(requester(), data)
    await bench.imagine(who=requester(guild_id=GUILD + 1))
    await bench.imagine(who=requester(BEN))
    await bench.restart()
    guilds = bench.service.guilds
    assert list(await guilds.blocked_people(GUILD)) == [ANN]
    await guilds.unblock_person(ADMIN, ANN)
    with pytest.raises(NotFound):
        await guilds.unblock_person(ADMIN, ANN)
    await bench.imagine()


async def test_jobs_that_break_a_new_rule_are_found_and_cancelled_with_the_reason(bench: RealService) -> None:
    bench.engine.open.clear()
    running = await bench.imagine("a bad word, but running")
    await bench.reaches(running.id, JobState.RUNNING)
    bad, good = await bench.imagine("a BAD  word", who=requester(BEN)), await bench.imagine("a good word")
    elsewhere = await bench.imagine("a bad word", who=requester(guild_id=GUILD + 1))
    waiting = bench.service.waiting
    found = await waiting.breaking(ADMIN, "bad word")
    assert [job.id for job in found] == [bad.id]
    reason = Sentence.of("cancelled_by_rule", rule="bad word")
    assert [job.id for job in await waiting.cancel(ADMIN, [*found, elsewhere], reason)] == [bad.id]
    assert await waiting.cancel(ADMIN, found, reason) == []
    assert (await bench.reaches(bad.id, JobState.CANCELLED)).reason == reason
    assert [job.id for job in await waiting.of_server(ADMIN)] == [good.id]
    assert [job.id for job in await waiting.of_server(ADMIN, user_id=BEN)] == []


async def test_all_unfinished_jobs_of_a_person_can_be_cancelled_the_running_one_too(bench: RealService) -> None:
    bench.engine.open.clear()
    running, queued = await bench.imagine(), await bench.imagine()
    await bench.reaches(running.id, JobState.RUNNING)
    waiting = bench.service.waiting
    unfinished = await waiting.unfinished(ADMIN, ANN)
    await waiting.cancel(ADMIN, unfinished, Sentence.of("cancelled_by_block"))
    bench.engine.open.set()
    for job in (running, queued):
        await bench.reaches(job.id, JobState.CANCELLED)
    await posted(bench, "the worker is free again")


def test_a_reason_is_one_line_and_may_be_missing() -> None:
    assert reason_of("cancelled_by_admin", "  ") == Sentence.of("cancelled_by_admin")
    assert "Reason: too many dogs" in reason_of("cancelled_by_admin", " too\nmany dogs ").said()


async def test_a_cancelled_job_says_the_admins_reason(bench: RealService) -> None:
    bench.engine.open.clear()
    job = await bench.imagine()
    cancelled = await bench.service.cancel(ADMIN, job.id, "wrong channel")
    assert cancelled.reason == Sentence.of("cancelled_by_admin_why", why="wrong channel")
    own = await bench.imagine()
    assert (await bench.service.cancel(requester(), own.id, "mine")).reason == Sentence.of("cancelled_by_owner")


async def test_a_retention_period_counts_beforehand_what_goes_and_when(bench: RealService) -> None:
    old, young = await posted(bench), await posted(bench)
    await posted(bench)
    now = time.time()
    await bench.service.store.jobs.change(old, ended_at=now - 5 * 86_400)
    await bench.service.store.jobs.change(young, ended_at=now - 2 * 86_400)
    plan = await bench.service.guilds.retention_plan(ADMIN, 3)
    assert (plan.days, plan.jobs, plan.pictures) == (3, 1, 1)
    assert plan.next_at == pytest.approx(now + 86_400, abs=5)
    assert await bench.service.guilds.retention_days(GUILD) == 90
    await bench.service.guilds.set_retention(ADMIN, 3)
    await bench.service.maintenance.retain()
    assert old not in bench.files.job_ids()
    assert young in bench.files.job_ids()
    assert (await bench.service.guilds.retention_plan(ADMIN, 0)).days == 90


async def test_reports_of_an_earlier_version_are_taken_over_with_a_copy(bench: RealService, tmp_path: Path) -> None:
    job_id = await posted(bench)
    await bench.service.close()
    back_to_version_3(bench.files.database)
    with sqlite3.connect(bench.files.database) as db:
        db.execute(
            "INSERT INTO reports (job_id, number, user_id, reason, details, created_at)"
            " VALUES (?, 1, ?, 'adult', 'x', 7)",
            (job_id, BEN),
        )
    db.close()
    await bench.start()
    (reported,) = (await bench.service.reports.page(ADMIN, page=1, per_page=5)).reported
    assert (reported.job_id, reported.user_id, reported.channel_id, reported.prompt) == (
        job_id, ANN, CHANNEL, "a red apple",
    )  # fmt: skip
    (report,) = reported.reports
    assert (report.user_id, report.reason, report.created_at, report.wants_result) == (
        BEN,
        ReportReason.ADULT,
        7,
        False,
    )
    assert await bench.service.reports.copy(reported.id) is not None


def back_to_version_3(path: Path) -> None:
    """Copy a database without reports into the shape that it had before the copies of pictures."""
    older = path.with_name("older.db")
    db = sqlite3.connect(older)
    for script in migrations()[:3]:
        for statement in statements(script):
            db.execute(statement)
    db.commit()
    db.execute("ATTACH ? AS now", (str(path),))
    tables = db.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
    for (table,) in tables.fetchall():
        if table != "reports":
            columns = ", ".join(row[1] for row in db.execute(f"PRAGMA main.table_info({table})"))
            db.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}")  # noqa: S608 - names of the schema
    db.commit()
    db.execute(f"PRAGMA main.application_id = {APPLICATION_ID}")
    db.execute("PRAGMA main.user_version = 3")
    db.close()
    older.replace(path)


async def test_a_notice_is_recorded_only_while_its_report_is_open(bench: RealService) -> None:
    reported = await bench.service.reports.add(requester(BEN), await posted(bench), 1, ReportReason.OTHER)
    assert await bench.service.reports.set_notice(reported, 5, 6)
    found = await bench.service.reports.get(ADMIN, reported.id)
    assert (found.notice_channel_id, found.notice_id) == (5, 6)
    await bench.service.reports.close(ADMIN, reported.id)
    assert not await bench.service.reports.set_notice(reported, 5, 6)
