"""The log has one line for each change of a job's state, compared with changes that the database recorded."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from bot.config import Config, Limits, Timing
from bot.jobs import JobState
from bot.log import JsonLines, TextLines
from bot.service import JobSpec
from bot.texts import Sentence
from tests.bot.real_service import ANN, CHANNEL, GUILD, QUICK, RealService, requester, until
from tests.bot.test_life import Story

HISTORY = """
CREATE TABLE history (id INTEGER PRIMARY KEY, job INTEGER, guild INTEGER, old TEXT, new TEXT)
CREATE TRIGGER told_insert AFTER INSERT ON jobs BEGIN
  INSERT INTO history (job, guild, old, new) VALUES (new.id, new.guild_id, NULL, new.state); END
CREATE TRIGGER told_update AFTER UPDATE ON jobs
  WHEN old.state != new.state OR (new.state = 'posting' AND (old.waiting_since IS NULL) != (new.waiting_since IS NULL))
  BEGIN INSERT INTO history (job, guild, old, new) VALUES (new.id, new.guild_id,
    CASE WHEN old.waiting_since IS NULL THEN old.state ELSE 'waiting' END,
    CASE WHEN new.waiting_since IS NULL THEN new.state ELSE 'waiting' END); END
CREATE TRIGGER told_delete AFTER DELETE ON jobs WHEN old.state IN ('queued', 'running', 'posting') BEGIN
  INSERT INTO history (job, guild, old, new) VALUES (old.id, old.guild_id,
    CASE WHEN old.waiting_since IS NULL THEN old.state ELSE 'waiting' END, 'deleted'); END
"""
LINE = re.compile(r"(?:INFO|WARNING) bot\.service\.job_log: job ([a-z ]+?) job=(\d+) guild=(\d+)(?: was=(\w+))?")
LoggedLine = tuple[int, int, str | None, str]
"""Job, server, earlier state, the word for the event."""


@dataclass
class Written:
    """The same log in both formats."""

    text: StringIO
    json: StringIO

    def lines(self) -> list[LoggedLine]:
        """Read the job events from the text log."""
        found = (LINE.search(line) for line in self.text.getvalue().splitlines())
        return [(int(m[2]), int(m[3]), m[4], m[1]) for m in found if m]

    def objects(self) -> list[LoggedLine]:
        """Read the job events from the JSON log."""
        entries = [json.loads(line) for line in self.json.getvalue().splitlines()]
        return [
            (entry["job"], entry["guild"], entry.get("was"), entry["message"].removeprefix("job "))
            for entry in entries
            if entry["logger"] == "bot.service.job_log"
        ]


@pytest.fixture
def written() -> Iterator[Written]:
    both = Written(StringIO(), StringIO())
    handlers = [logging.StreamHandler(both.text), logging.StreamHandler(both.json)]
    handlers[0].setFormatter(TextLines())
    handlers[1].setFormatter(JsonLines())
    ours = logging.getLogger("bot")
    level = ours.level
    ours.setLevel(logging.INFO)
    for handler in handlers:
        ours.addHandler(handler)
    yield both
    ours.setLevel(level)
    for handler in handlers:
        ours.removeHandler(handler)


async def note_history(bench: RealService) -> None:
    """Make SQLite itself record every change of a state."""
    async with bench.service.store.transaction() as db:
        for statement in re.split(r"\n(?=CREATE)", HISTORY.strip()):
            await db.execute(statement)


async def history(bench: RealService) -> list[LoggedLine]:
    async with bench.service.store.transaction() as db:
        rows = await db.execute_fetchall("SELECT job, guild, old, new FROM history ORDER BY id")
    return [(row["job"], row["guild"], row["old"], word(row["old"], row["new"])) for row in rows]


def word(old: str | None, new: str) -> str:
    if new == "queued" and old is not None:
        return "interrupted"
    return "waiting for access" if new == "waiting" else new


def by_job(told: list[LoggedLine]) -> dict[int, list[LoggedLine]]:
    return {job: [item for item in told if item[0] == job] for job in {item[0] for item in told}}


async def test_each_change_of_a_jobs_state_is_one_line(bench: RealService, written: Written) -> None:
    await note_history(bench)
    service, engine = bench.service, bench.engine
    done = await bench.imagine()
    await bench.post(done.id)
    closed = await bench.imagine()
    await bench.reaches(closed.id, JobState.POSTING)
    for _ in range(3):
        await service.post.wait_for_access(closed.id, Sentence.of("channel_closed", channel="#x"))
    await service.post.done(closed.id, CHANNEL, 5)
    engine.faults.append(ZeroDivisionError("no"))
    await bench.reaches((await bench.imagine()).id, JobState.FAILED)
    engine.faults.append(SystemExit())
    await bench.post((await bench.imagine()).id)
    engine.open.clear()
    running, waiting, unwanted = await bench.imagine(), await bench.imagine(), await bench.imagine()
    await bench.reaches(running.id, JobState.RUNNING)
    await service.cancel(requester(), waiting.id)
    await service.archive.delete(requester(), unwanted.id)
    engine.open.set()
    await bench.post(running.id)
    seen = await history(bench)
    assert written.lines() == seen
    assert written.objects() == seen
    assert {item[3] for item in seen} == {
        "queued", "running", "interrupted", "posting", "waiting for access", "done", "failed", "cancelled", "deleted",
    }  # fmt: skip


async def test_a_stop_and_a_crash_count_as_interruptions(bench: RealService, written: Written) -> None:
    await note_history(bench)
    bench.engine.hold()
    job = await bench.imagine(steps=40)
    await bench.reaches(job.id, JobState.RUNNING)
    await bench.restart()
    await bench.reaches(job.id, JobState.RUNNING)
    await bench.crash()
    bench.engine.open.set()
    await bench.post(job.id)
    told = [item[3] for item in await history(bench)]
    assert told.count("interrupted") == 2
    assert [item[3] for item in written.lines()] == told


async def test_the_log_and_the_database_always_agree(tmp_path: Path, written: Written) -> None:
    config = Config(limits=Limits(queue_user=20), timing=Timing(preview_s=0.05, snapshot_s=0.05, access_s=1.0))
    bench = RealService(tmp_path / "data", config)
    bench.engine.step_s = 0.001
    await bench.start()
    await note_history(bench)
    story = Story(bench, 20)
    try:
        for _ in range(60):
            await story.event()
        await story.end()
        seen = await history(bench)
    finally:
        await bench.service.close()
    assert by_job(written.lines()) == by_job(seen)
    assert by_job(written.objects()) == by_job(seen)
    assert len(seen) > 60


async def test_more_steps_make_no_more_lines(bench: RealService, written: Written) -> None:
    counts = []
    for steps in (2, 200):
        before = len(written.text.getvalue().splitlines())
        await bench.post((await bench.imagine(steps=steps)).id)
        counts.append(len(written.text.getvalue().splitlines()) - before)
    assert counts == [5, 5]


async def test_lines_say_what_a_host_wants_to_know_and_nothing_of_the_person(
    bench: RealService, written: Written
) -> None:
    who = requester(888_777_666_555)
    spec = JobSpec(prompt="a secret wish", settings=QUICK, count=2)
    job = (await bench.service.submissions.submit(who, spec)).job
    await bench.post(job.id)
    bench.engine.open.clear()
    other = await bench.imagine("a secret wish", who=who)
    await bench.reaches(other.id, JobState.RUNNING)
    await bench.service.cancel(requester(ANN, manages=True), other.id)
    bench.engine.open.set()
    text = written.text.getvalue()
    assert f"job queued job={job.id} guild={GUILD} origin=imagine pictures=2 steps=4" in text
    assert re.search(rf"job running job={job.id} guild={GUILD} was=queued attempt=1 waited_s=\d", text)
    assert re.search(rf"picture saved job={job.id} guild={GUILD} number=2 steps=4 paint_s=\d", text)
    assert re.search(rf"job done job={job.id} guild={GUILD} was=posting whole_s=\d", text)
    assert f"job cancelled job={other.id} guild={GUILD} was=running reason=cancelled_by_admin" in text
    assert "secret wish" not in text
    assert "888777666555" not in text


async def test_the_number_that_a_person_reads_leads_to_the_trace(bench: RealService, written: Written) -> None:
    bench.engine.faults.append(ZeroDivisionError("the inner matter"))
    failed = await bench.reaches((await bench.imagine()).id, JobState.FAILED)
    assert failed.reason is not None
    number = str(dict(failed.reason.values)["error_id"])
    for locale in ("en", "de"):
        said = failed.reason.said(locale)
        assert number in said
        assert not re.search(r"ZeroDivision|inner matter|Traceback|\.py|/", said)

    async def in_log() -> list[dict[str, object]] | None:
        # The row changes a moment before the log.
        entries = [json.loads(line) for line in written.json.getvalue().splitlines()]
        found = [entry for entry in entries if entry.get("error_id") == number]
        return found if found[1:] else None

    found = await until(in_log)
    assert [entry["message"] for entry in found] == ["the job failed: the inner matter", "job failed"]
    assert "ZeroDivisionError: the inner matter" in str(found[0]["trace"])
    assert "before_step" in str(found[0]["trace"])
    assert {entry["job"] for entry in found} == {failed.id}


async def test_the_trace_of_a_worker_that_died_twice_has_the_cause(bench: RealService, written: Written) -> None:
    bench.engine.faults += [SystemExit("first"), SystemExit("second")]
    failed = await bench.reaches((await bench.imagine()).id, JobState.FAILED)
    assert failed.reason is not None and failed.reason.key == "painter_died"
    number = str(dict(failed.reason.values)["error_id"])
    assert number in failed.reason.said() and "SystemExit" not in failed.reason.said()

    async def in_log() -> str | None:
        entries = [json.loads(line) for line in written.json.getvalue().splitlines()]
        return next((entry["trace"] for entry in entries if entry.get("error_id") == number and "trace" in entry), None)

    assert "SystemExit: second" in await until(in_log)


async def test_a_lost_picture_has_a_number_too(bench: RealService, written: Written) -> None:
    job = await bench.imagine()
    await bench.reaches(job.id, JobState.POSTING)
    bench.files.remove_job(job.id)
    with pytest.raises(Exception, match="missing"):
        await bench.service.post.begin(job.id, limit_bytes=10**7)
    failed = await bench.reaches(job.id, JobState.FAILED)
    assert failed.reason is not None
    number = str(dict(failed.reason.values)["error_id"])
    assert number in failed.reason.said("de")
    assert written.text.getvalue().count(f"error_id={number}") == 2
