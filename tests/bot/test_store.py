"""The database on real files: transactions, migrations, damage, load, sums."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from bot.errors import IllegalTransition, NotFound, QueueFull, StoreError
from bot.jobs import Job, JobState, StoredPicture
from bot.store import Load, RecordCache, Store
from bot.store.connection import Database, migrations, statements
from bot.texts import Sentence
from generator import Settings


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(tmp_path / "reverie.db")
    await store.open()
    yield store
    await store.close()


def draft(**values: object) -> Job:
    given = {"guild_id": 1, "channel_id": 2, "user_id": 3, "prompt": "a red apple", "models": "tiny"}
    return Job(**{**given, "settings": Settings(seed=7), **values})


def anything(load: Load) -> None:
    """Admit every job."""


async def add(store: Store, **values: object) -> Job:
    return await store.jobs.add(draft(**values), "{}", anything)


def picture(job_id: int, **values: object) -> StoredPicture:
    given = {"job_id": job_id, "number": 1, "seed": 7, "width": 64, "height": 64, "similarity": 0.5, "steps": 4}
    return StoredPicture(**{**given, **values})


async def test_a_job_is_read_as_it_was_written(store: Store) -> None:
    job = await add(store, count=3, priority=2, private=True, locale="de", prompt="Äpfel 🍎")
    assert await store.jobs.get(job.id) == job
    assert await store.jobs.recipe(job.id) == "{}"


async def test_ids_are_never_used_again(store: Store) -> None:
    first = await add(store)
    await store.jobs.delete([first.id])
    assert (await add(store)).id > first.id


async def test_a_job_that_is_not_admitted_leaves_no_trace(store: Store) -> None:
    def refuse(load: Load) -> None:
        raise QueueFull("queue_full_bot", count=load.queued_bot)

    with pytest.raises(QueueFull):
        await store.jobs.add(draft(), "{}", refuse)
    assert await store.jobs.under_way() == []
    assert (await store.pictures.person_facts(3))["usage"] == []


async def test_the_load_counts_the_server_the_person_and_the_day(store: Store) -> None:
    await add(store, count=4)
    running = await add(store, user_id=4)
    await store.jobs.move(running.id, JobState.RUNNING)
    await add(store, guild_id=9, user_id=4)
    seen: list[Load] = []
    await store.jobs.add(draft(user_id=4), "{}", seen.append)
    load = seen[0]
    assert (load.queued_bot, load.queued_guild, load.queued_user, load.pictures_today) == (2, 1, 1, 1)
    assert load.last_at is not None


async def test_many_at_once_cannot_slip_past_the_limit(store: Store) -> None:
    def two_at_most(load: Load) -> None:
        if load.queued_user >= 2:
            raise QueueFull("queue_full_user", count=2)

    tries = [store.jobs.add(draft(), "{}", two_at_most) for _ in range(10)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(result, Job) for result in results) == 2


async def test_states_follow_one_another_and_nothing_else(store: Store) -> None:
    job = await add(store)
    running = await store.jobs.move(job.id, JobState.RUNNING)
    assert running.started_at is not None
    with pytest.raises(IllegalTransition):
        await store.jobs.move(job.id, JobState.DONE)
    posting = await store.jobs.move(job.id, JobState.POSTING)
    assert posting.painted_at is not None
    done = await store.jobs.move(job.id, JobState.DONE, message_id=5, told=True)
    assert (done.ended_at is not None, done.message_id, done.told) == (True, 5, True)
    with pytest.raises(NotFound):
        await store.jobs.move(999, JobState.RUNNING)


async def test_a_reason_comes_back_in_any_language(store: Store) -> None:
    job = await add(store)
    failed = await store.jobs.move(job.id, JobState.FAILED, reason=Sentence.of("models_broken", error_id="ab12"))
    assert failed.reason is not None
    assert "ab12" in failed.reason.said("de")
    assert failed.reason.said("de") != failed.reason.said("en-GB")


async def test_recovery_puts_running_jobs_back_unless_they_crashed_too_often(store: Store) -> None:
    good, bad, queued = await add(store), await add(store), await add(store)
    await store.jobs.move(good.id, JobState.RUNNING, attempts=1)
    await store.jobs.move(bad.id, JobState.RUNNING, attempts=5)
    assert await store.jobs.recover(5, Sentence.of("crashed_often")) == [good.id, bad.id]
    states = {job_id: (await get(store, job_id)).state for job_id in (good.id, bad.id, queued.id)}
    assert states == {good.id: JobState.QUEUED, bad.id: JobState.FAILED, queued.id: JobState.QUEUED}
    assert [job.id for job in await store.jobs.ended_untold()] == [bad.id]


async def get(store: Store, job_id: int) -> Job:
    job = await store.jobs.get(job_id)
    assert job is not None
    return job


async def test_deleting_a_job_takes_all_that_belongs_to_it_and_leaves_its_children(store: Store) -> None:
    job = await add(store)
    child = await add(store, parent_id=job.id, parent_number=1)
    await store.jobs.save_picture(picture(job.id), 1.0)
    await store.jobs.delete([job.id])
    assert await store.jobs.get(job.id) is None
    assert await store.jobs.recipe(job.id) is None
    assert await store.jobs.pictures(job.id) == ()
    assert (await get(store, child.id)).parent_id is None


async def test_a_child_of_a_picture_that_was_deleted_meanwhile_has_no_parent(store: Store) -> None:
    assert (await add(store, parent_id=77, parent_number=1)).parent_id is None


async def test_a_picture_is_saved_once_however_often(store: Store) -> None:
    job = await add(store)
    await store.jobs.save_picture(picture(job.id), 1.0)
    again = picture(
        job.id, flagged=True, warnings=(Sentence.of("{text}", text="cut off"), Sentence.of("a {b}", b=Sentence.of("c")))
    )
    await store.jobs.save_picture(again, 1.0)
    assert await store.jobs.pictures(job.id) == (again,)


async def test_a_picture_of_a_job_that_was_deleted_meanwhile_is_not_saved(store: Store) -> None:
    job = await add(store)
    await store.jobs.delete([job.id])
    with pytest.raises(NotFound):
        await store.jobs.save_picture(picture(job.id), 1.0)


async def test_a_gallery_hides_private_pictures_of_others(store: Store) -> None:
    jobs = [await add(store, user_id=user_id, private=private) for user_id in (3, 4) for private in (False, True)]
    for job in jobs:
        await store.jobs.save_picture(picture(job.id), 1.0)
        for state in (JobState.RUNNING, JobState.POSTING, JobState.DONE):
            await store.jobs.move(job.id, state)

    async def seen(whose: str) -> list[int]:
        return [job.id for job, _ in await store.pictures.page(1, 3, whose, start=0, length=9)]

    for job in (jobs[0], jobs[1], jobs[3]):
        await store.people.turn_favourite(3, job.id, 1)
    assert await seen("server") == [jobs[2].id, jobs[1].id, jobs[0].id]
    assert await seen("mine") == [jobs[1].id, jobs[0].id]
    assert await seen("favourites") == [jobs[1].id, jobs[0].id]
    assert await store.pictures.count(1, 3, "server") == 3
    assert await store.pictures.count(2, 3, "server") == 0


async def test_the_sums_outlive_the_jobs(store: Store) -> None:
    job = await add(store, count=2)
    await store.jobs.save_picture(picture(job.id), 2.5)
    await store.jobs.move(job.id, JobState.RUNNING)
    await store.jobs.move(job.id, JobState.POSTING)
    await store.jobs.move((await add(store)).id, JobState.CANCELLED)
    await store.jobs.delete([job.id])
    sums = await store.figures.sums(1, 7)
    assert (sums.pictures, sums.cancelled, sums.failed, sums.paint_s, sums.started) == (2, 1, 0, 2.5, 1)
    assert (await store.figures.sums(2, 7)).pictures == 0
    assert (await store.figures.sums(None, 7)).pictures == 2


async def test_admin_settings_are_kept_and_can_be_reset(store: Store) -> None:
    table = store.guilds
    await table.put_setting(1, "steps", "50")
    await table.put_role_limit(1, 7, "steps", 90)
    await table.put_channel(1, 2, True)
    await table.put_style(1, "Ink", "ink")
    await table.put_style(1, "ink", "black ink")
    await table.add_rule(1, "bad")
    assert await table.settings(1) == {"steps": "50"}
    assert await table.role_limits(1) == {7: {"steps": 90}}
    assert await table.channels(1) == {2: True}
    assert await table.styles(1) == {"ink": "black ink"}
    assert await table.rules(1) == ("bad",)
    await table.forget(1)
    assert [await table.settings(1), await table.role_limits(1), await table.channels(1)] == [{}, {}, {}]
    assert (await table.styles(1), await table.rules(1)) == ({}, ())


async def test_a_transaction_that_breaks_changes_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path / "a.db")
    await database.open()
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as db:
            await db.execute("INSERT INTO notes VALUES ('a', 'b')")
            _ = 1 / 0
    assert await database.rows("SELECT * FROM notes") == []
    await database.close()


async def test_a_task_that_is_cancelled_in_a_transaction_leaves_the_database_usable(tmp_path: Path) -> None:
    database = Database(tmp_path / "a.db")
    await database.open()
    for pause in (0.0, 0.001, 0.002, 0.005):

        async def write() -> None:
            async with database.transaction() as db:
                await db.execute("INSERT INTO notes VALUES ('a', 'b')")
                await asyncio.sleep(1)

        task = asyncio.create_task(write())
        await asyncio.sleep(pause)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with database.transaction() as db:
            await db.execute("INSERT OR REPLACE INTO notes VALUES ('c', 'd')")
    assert [row["name"] for row in await database.rows("SELECT name FROM notes")] == ["c"]
    await database.close()


def note(name: str, *, then: Callable[[], object] = bool) -> Callable[[sqlite3.Connection], None]:
    def work(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO notes VALUES (?, '')", (name,))
        then()

    return work


def stumble() -> None:
    raise ZeroDivisionError


async def test_writes_at_the_same_time_share_a_commit_and_one_that_fails_is_undone_alone(tmp_path: Path) -> None:
    database = Database(tmp_path / "a.db")
    await database.open()
    commits = list[str]()
    async with database.transaction() as db:
        await db.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    commits.clear()
    works = [note("a"), note("b", then=stumble), note("a"), note("c")]
    outcomes = await asyncio.gather(*map(database.write, works), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), ZeroDivisionError, StoreError, type(None)]
    assert [row["name"] for row in await database.rows("SELECT name FROM notes")] == ["a", "c"]
    assert len(commits) == 1
    await database.close()
    with pytest.raises(StoreError, match="closed"):
        await database.write(note("d"))


async def test_a_crowd_of_writes_is_committed_in_parts_so_that_the_first_does_not_wait_for_the_last(
    tmp_path: Path,
) -> None:
    database, committed = Database(tmp_path / "a.db"), list[int]()
    await database.open()
    async with database.transaction() as db:
        await db.set_trace_callback(lambda sql: committed.append(len(told)) if sql == "BEGIN IMMEDIATE" else None)
    told, names = list[str](), [f"{number:02}" for number in range(50)]
    committed.clear()
    writes = [database.write(note(name), lambda outcome, name=name: told.append(name)) for name in names]  # type: ignore[misc]
    await asyncio.gather(*writes)
    assert told == names == [row["name"] for row in await database.rows("SELECT name FROM notes ORDER BY name")]
    assert committed[0] == 0 < committed[1] < len(names)
    await database.close()


async def test_a_record_that_changes_while_it_is_read_is_read_again() -> None:
    stored, reads, go_on = {1: "old"}, list[int](), asyncio.Event()

    async def read(owner_id: int) -> str:
        reads.append(owner_id)
        found = stored[owner_id]
        await go_on.wait()
        return found

    cache = RecordCache(read, most=1)
    reading = asyncio.create_task(cache.of(1))
    await asyncio.sleep(0)
    stored[1] = "new"
    cache.changed(1)
    go_on.set()
    assert await reading == "old"
    assert (await cache.of(1), await cache.of(1), reads) == ("new", "new", [1, 1])
    stored[2] = "another"
    assert (await cache.of(2), await cache.of(1), reads) == ("another", "new", [1, 1, 2, 1])


async def test_a_cancelled_write_holds_up_no_other(tmp_path: Path) -> None:
    database = Database(tmp_path / "a.db")
    await database.open()
    tasks = [asyncio.create_task(database.write(note(name))) for name in "abc"]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
    assert {"b", "c"} <= {row["name"] for row in await database.rows("SELECT name FROM notes")}
    await database.close()


async def test_a_write_whose_caller_is_cancelled_is_told_of_if_it_was_committed(tmp_path: Path) -> None:
    database, begun, go_on, told = Database(tmp_path / "a.db"), threading.Event(), threading.Event(), list[object]()

    def wait() -> None:
        begun.set()
        assert go_on.wait(10)

    await database.open()
    writing = asyncio.create_task(database.write(note("begun", then=wait), lambda outcome: told.append("begun")))
    assert await asyncio.to_thread(begun.wait, 10)
    waiting = asyncio.create_task(database.write(note("not begun"), lambda outcome: told.append("not begun")))
    await asyncio.sleep(0)
    for task in (writing, waiting):
        task.cancel()
    await asyncio.wait([writing, waiting])
    go_on.set()
    await database.write(note("last"), lambda outcome: told.append("last"))
    assert [row["name"] for row in await database.rows("SELECT name FROM notes")] == ["begun", "last"] == told
    await database.close()


async def test_a_second_bot_cannot_open_the_same_data(store: Store, tmp_path: Path) -> None:
    second = Store(tmp_path / "reverie.db")
    with pytest.raises(StoreError) as caught:
        await second.open()
    assert caught.value.sentence.key == "store_in_use"
    await second.open(sole=False)
    await second.close()


async def test_a_closed_database_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.db")
    with pytest.raises(StoreError, match="closed"):
        await store.jobs.get(1)
    with pytest.raises(StoreError, match="closed"):
        await store.jobs.change(1, told=True)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4096])


def scribble(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 * 2 : 4096 * 3] = b"\xff" * 4096
    path.write_bytes(bytes(data))


def replace_by_text(path: Path) -> None:
    path.write_text("this is no database at all, but it is long enough to be taken for one" * 99)


def pretend_newer(path: Path) -> None:
    run(path, "PRAGMA user_version = 99")


def pretend_foreign(path: Path) -> None:
    run(path, "PRAGMA application_id = 7")


def run(path: Path, sql: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(sql)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("harm", "key"),
    [
        (cut_short, "store_damaged"),
        (scribble, "store_damaged"),
        (replace_by_text, "store_damaged"),
        (pretend_newer, "store_newer"),
        (pretend_foreign, "store_foreign"),
    ],
)
async def test_untrusted_input_is_refused_with_a_message(
    tmp_path: Path, harm: Callable[[Path], None], key: str
) -> None:
    path = tmp_path / "reverie.db"
    store = Store(path)
    await store.open()
    await add(store)
    await store.close()
    harm(path)
    with pytest.raises(StoreError) as caught:
        await store.open()
    assert caught.value.sentence.key == key
    assert str(path) in str(caught.value)


async def test_a_folder_that_is_not_there_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        await Store(tmp_path / "nowhere" / "a.db").open()
    assert caught.value.sentence.key == "store_unwritable"


async def test_a_backup_made_while_it_is_used_can_be_opened(store: Store, tmp_path: Path) -> None:
    job = await add(store)
    target = tmp_path / "backup.db"
    await store.backup(target)
    await store.backup(target)
    await add(store)
    copy = Store(target)
    await copy.open()
    assert [item.id for item in await copy.jobs.under_way()] == [job.id]
    await copy.close()
    assert list(tmp_path.glob(".*")) == []


async def test_a_backup_to_nowhere_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        await store.backup(tmp_path / "nowhere" / "backup.db")


async def test_a_full_disk_is_reported_and_leaves_no_partial_file(store: Store) -> None:
    await add(store)
    async with store.transaction() as db:
        pages = next(iter(await db.execute_fetchall("PRAGMA page_count")))[0]
        await db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError) as caught:
        await store.jobs.add(draft(), "x" * 10**6, anything)
    assert caught.value.sentence.key == "store_full"
    assert len(await store.jobs.under_way()) == 1


def test_migrations_are_numbered_without_a_gap_and_made_of_whole_statements() -> None:
    assert all(list(statements(script)) for script in migrations())
    with pytest.raises(StoreError):
        list(statements("CREATE TABLE a (b INTEGER"))
