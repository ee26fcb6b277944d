"""Jobs, their recipes and pictures in the database. Event loop."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime

from bot.errors import NotFound
from bot.jobs import TRANSITIONS, Event, Job, JobState, StoredPicture, check_transition
from bot.store.connection import Database
from bot.store.rows import (
    JOB_COLUMNS,
    RETURNING_JOB,
    SELECT_JOB,
    SELECT_PICTURE,
    assignments,
    insertion,
    job_of,
    picture_of,
)
from bot.texts import Sentence

UNDER_WAY = "jobs.state IN ('queued', 'running', 'posting')"


@dataclass(frozen=True, kw_only=True)
class Load:
    """Current and recent jobs when a person asks for one more. Times in seconds since 1970."""

    queued_bot: int
    queued_guild: int
    """For a person without a server: those of all such people."""
    queued_user: int
    """Queued and running jobs of the person in this server."""
    pictures_today: int
    last_at: float | None
    """Time of the person's last request."""


class JobTable:
    """Jobs; `check_transition` checks every change of state, and `on_event` gets it after the commit."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.on_event: Callable[[Event], None] = lambda event: None

    async def add(self, job: Job, recipe: str, admit: Callable[[Load], None]) -> Job:
        """Write a new job, as `add_all`."""
        return (await self.add_all([(job, recipe)], admit))[0]

    async def add_all(self, jobs: Sequence[tuple[Job, str]], admit: Callable[[Load], None]) -> list[Job]:
        """Write new jobs of one person with their recipes, unless `admit` raises when it sees the load before them.

        All is one transaction. Returns them with their ids and creation time.
        """
        now = time.time()

        def add(db: sqlite3.Connection) -> list[Job]:
            admit(_load(db, jobs[0][0].guild_id, jobs[0][0].user_id, now))
            return [_insert(db, replace(job, created_at=now), recipe) for job, recipe in jobs]

        return await self._database.write(add, lambda added: self._publish(Event(job, None) for job in added))

    async def load(self, guild_id: int, user_id: int) -> Load:
        """Current and recent jobs of a person, the server and the bot."""
        return await self._database.write(lambda db: _load(db, guild_id, user_id, time.time()))

    async def get(self, job_id: int) -> Job | None:
        """A job by its id; None if it does not exist (any more)."""
        row = await self._database.row(f"{SELECT_JOB} WHERE id = ?", (job_id,))
        return None if row is None else job_of(row)

    async def of_message(self, guild_id: int, message_id: int) -> Job | None:
        """The job that a message shows."""
        found = await self._find("message_id = ? AND guild_id = ?", (message_id, guild_id))
        return found[0] if found else None

    async def under_way(self, *, guild_id: int | None = None, user_id: int | None = None) -> list[Job]:
        """Jobs that have not ended, oldest first; of one server or person if given."""
        return await self._find(
            f"{UNDER_WAY} AND (:guild IS NULL OR guild_id = :guild) AND (:user IS NULL OR user_id = :user)",
            {"guild": guild_id, "user": user_id},
        )

    async def ended_untold(self) -> list[Job]:
        """Cancelled or failed jobs whose message does not say so yet, and finished ones whose owner is to be pinged."""
        return await self._find("(told = 0 AND state IN ('cancelled', 'failed')) OR ping_due = 1")

    async def recipe(self, job_id: int) -> str | None:
        """Recipe of a job's first picture."""
        row = await self._database.row("SELECT recipe FROM recipes WHERE job_id = ?", (job_id,))
        return None if row is None else str(row["recipe"])

    async def pictures(self, job_id: int) -> tuple[StoredPicture, ...]:
        """Saved pictures of a job, by number."""
        found = await self._database.rows(f"{SELECT_PICTURE} WHERE job_id = ? ORDER BY number", (job_id,))
        return tuple(map(picture_of, found))

    async def save_picture(self, picture: StoredPicture, paint_s: float) -> None:
        """Record a picture whose files are in place; a second call replaces the first.

        Raises:
            NotFound: if the job was deleted meanwhile.
        """
        sql, values = insertion("pictures", {item.name: getattr(picture, item.name) for item in fields(picture)})

        def save(db: sqlite3.Connection) -> None:
            if _one(db, picture.job_id) is None:
                raise NotFound("job_gone")
            db.execute(sql.replace("INSERT", "INSERT OR REPLACE", 1), values)
            db.execute("UPDATE jobs SET paint_s = paint_s + ? WHERE id = ?", (paint_s, picture.job_id))

        await self._database.write(save)

    async def change(self, job_id: int, **changes: object) -> Job | None:
        """Change fields of a job other than its state; None if it does not exist (any more)."""
        if "state" in changes:
            raise ValueError("a state is changed by move()")

        def update(db: sqlite3.Connection) -> tuple[Job | None, Job | None]:
            before = _one(db, job_id) if "waiting_since" in changes else None
            return before, _update(db, job_id, changes)

        def publish(changed: tuple[Job | None, Job | None]) -> None:
            before, after = changed
            if before is not None and after is not None and before.standing != after.standing:
                self.on_event(Event(after, before))

        _, after = await self._database.write(update, publish)
        return after

    async def move(self, job_id: int, state: JobState, *, reason: Sentence | None = None, **changes: object) -> Job:
        """Move a job to another state; update its times and the day's sums.

        Raises:
            NotFound: if the job does not exist (any more).
            IllegalTransition: if the state cannot follow the current one.
        """
        changes = {"reason": reason, **changes}
        event = await self._database.write(
            lambda db: _move(db, job_id, state, changes), lambda event: self.on_event(event)
        )
        return event.job

    async def move_all(
        self, job_ids: Iterable[int], state: JobState, reason: Sentence, *, only: JobState | None = None
    ) -> list[Job]:
        """Move several jobs in one transaction; skip those that changed meanwhile or are not in `only`.

        A job that is cancelled before its turn does not count for the day's quota.
        """

        def move(db: sqlite3.Connection) -> list[Event]:
            moved = []
            for job_id in job_ids:
                row = _one(db, job_id)
                if row is not None and state in TRANSITIONS[row.state] and row.state is (only or row.state):
                    moved.append(_move(db, job_id, state, {"reason": reason}))
                    if state is JobState.CANCELLED and row.started_at is None:
                        _give_back(db, row)
            return moved

        moved = await self._database.write(move, self._publish)
        return [event.job for event in moved]

    async def recover(self, most_attempts: int, reason: Sentence) -> list[int]:
        """At the start, requeue the jobs that were running when the process ended; fail those tried too often.

        Returns the ids of all of them.
        """

        def recover(db: sqlite3.Connection) -> list[Event]:
            moved = []
            for job in map(job_of, db.execute(f"{SELECT_JOB} WHERE state = 'running' ORDER BY id").fetchall()):
                # A film has one more, to end with the frames that it has.
                if job.attempts >= most_attempts + bool(job.film_s):
                    moved.append(_move(db, job.id, JobState.FAILED, {"reason": reason}))
                else:
                    moved.append(_move(db, job.id, JobState.QUEUED, {}))
            return moved

        moved = await self._database.write(recover, self._publish)
        return [event.job.id for event in moved]

    async def delete(self, job_ids: Iterable[int]) -> dict[int, tuple[int, int | None, int | None]]:
        """Delete jobs with all their data; return the last known channel, message and ping of each.

        The caller removes their files afterwards.
        """
        ids = set(job_ids)
        if not ids:
            return {}
        messages: dict[int, tuple[int, int | None, int | None]] = {}
        async with self._database.transaction() as db:
            for marks, part in _in_parts(ids):
                found = await db.execute_fetchall(
                    f"SELECT id, channel_id, message_id, ping_id FROM jobs WHERE id IN ({marks})",  # noqa: S608
                    part,
                )
                messages |= {row["id"]: (row["channel_id"], row["message_id"], row["ping_id"]) for row in found}
            under_way = await db.execute_fetchall(f"{SELECT_JOB} WHERE {UNDER_WAY} ORDER BY id")
            # Reading a row takes a millisecond, and thousands may wait.
            jobs = [job_of(row) for row in under_way if row["id"] in ids]
            gone = [Event(job, job, deleted=True) for job in jobs]
            await db.executemany("DELETE FROM jobs WHERE id = ?", [(job_id,) for job_id in ids])
        self._publish(gone)
        return messages

    async def existing(self, job_ids: Iterable[int]) -> set[int]:
        """The subset of the ids that have a row."""
        found = set()
        for marks, part in _in_parts(job_ids):
            rows = await self._database.rows(f"SELECT id FROM jobs WHERE id IN ({marks})", part)  # noqa: S608
            found |= {row["id"] for row in rows}
        return found

    def _publish(self, events: Iterable[Event]) -> None:
        for event in events:
            self.on_event(event)

    async def _find(self, where: str, values: tuple[object, ...] | dict[str, object] = ()) -> list[Job]:
        return [job_of(row) for row in await self._database.rows(f"{SELECT_JOB} WHERE {where} ORDER BY id", values)]


def day_of(seconds: float) -> str:
    """The day (UTC) of a time, as a sortable text."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _insert(db: sqlite3.Connection, job: Job, recipe: str) -> Job:
    """Write a new job and count its pictures for the day; return it with its id."""
    if job.parent_id is not None and _one(db, job.parent_id) is None:
        # It was deleted meanwhile; the recipe is enough to generate it again.
        job = replace(job, parent_id=None, parent_number=None)
    if job.source_id is not None and _one(db, job.source_id) is None:
        job = replace(job, source_id=None, source_number=None)
    values = {name: getattr(job, name) for name in JOB_COLUMNS if name != "id"}
    cursor = db.execute(*insertion("jobs", values))
    job = replace(job, id=cursor.lastrowid or 0)
    db.execute("INSERT INTO recipes VALUES (?, ?)", (job.id, recipe))
    db.execute(
        "INSERT INTO usage VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " pictures = pictures + excluded.pictures, last_at = excluded.last_at",
        (job.guild_id, job.user_id, day_of(job.created_at), job.quota, job.created_at),
    )
    return job


def _give_back(db: sqlite3.Connection, job: Job) -> None:
    """Remove the pictures of a job from the count of the day on which they were requested."""
    db.execute(
        "UPDATE usage SET pictures = max(0, pictures - ?) WHERE guild_id = ? AND user_id = ? AND day = ?",
        (job.quota, job.guild_id, job.user_id, day_of(job.created_at)),
    )


def _one(db: sqlite3.Connection, job_id: int) -> Job | None:
    row = db.execute(f"{SELECT_JOB} WHERE id = ?", (job_id,)).fetchone()
    return None if row is None else job_of(row)


def _update(db: sqlite3.Connection, job_id: int, changes: dict[str, object]) -> Job | None:
    names, values = assignments(changes)
    found = db.execute(
        f"UPDATE jobs SET {names} WHERE id = :job_id {RETURNING_JOB}",  # noqa: S608 - our own names
        values | {"job_id": job_id},
    ).fetchall()
    return job_of(found[0]) if found else None


def _move(db: sqlite3.Connection, job_id: int, state: JobState, changes: dict[str, object]) -> Event:
    now = time.time()
    job = _one(db, job_id)
    if job is None:
        raise NotFound("job_gone")
    check_transition(job.state, state)
    changes = {"state": state, **changes}
    if state is JobState.RUNNING and job.started_at is None:
        changes["started_at"] = now
    if state is JobState.POSTING:
        changes["painted_at"] = now
    if state.ended:
        changes |= {"ended_at": now, "waiting_since": None}
    moved = _update(db, job_id, changes)
    _count(db, job, state, now)
    return Event(moved or job, job)


def _count(db: sqlite3.Connection, job: Job, state: JobState, now: float) -> None:
    """Add to the sums of the day."""
    sums: dict[str, float] = {}
    if state is JobState.RUNNING and job.started_at is None:
        waited = max(0.0, now - job.created_at)
        sums = {"started": 1, "waited_s": waited, "waited_most_s": waited}
    elif state is JobState.POSTING:
        sums = {"pictures": job.count, "paint_s": job.paint_s}
    elif state in (JobState.CANCELLED, JobState.FAILED):
        sums = {state.value: 1}
    if sums:
        db.execute("INSERT OR IGNORE INTO daily (guild_id, day) VALUES (?, ?)", (job.guild_id, day_of(now)))
        change = ", ".join(
            f"{name} = max({name}, :{name})" if name == "waited_most_s" else f"{name} = {name} + :{name}"
            for name in sums
        )
        db.execute(
            f"UPDATE daily SET {change} WHERE guild_id = :guild AND day = :day",  # noqa: S608 - our own names
            sums | {"guild": job.guild_id, "day": day_of(now)},
        )


def _load(db: sqlite3.Connection, guild_id: int, user_id: int, now: float) -> Load:
    queries = {
        "queued_bot": "SELECT count(*) FROM jobs WHERE state = 'queued'",
        "queued_guild": "SELECT count(*) FROM jobs WHERE state = 'queued'"
        " AND (guild_id = :guild OR (guild_id < 0 AND :guild < 0))",
        "queued_user": "SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')"
        " AND guild_id = :guild AND user_id = :user",
        "pictures_today": "SELECT coalesce(max(pictures), 0) FROM usage"
        " WHERE guild_id = :guild AND user_id = :user AND day = :day",
        "last_at": "SELECT max(last_at) FROM usage WHERE guild_id = :guild AND user_id = :user",
    }
    columns = ", ".join(f"({query}) AS {name}" for name, query in queries.items())
    values = {"guild": guild_id, "user": user_id, "day": day_of(now)}
    row = db.execute(f"SELECT {columns}", values).fetchone()
    return Load(**{name: row[name] for name in queries})


def _in_parts(ids: Iterable[int]) -> Iterator[tuple[str, list[int]]]:
    """Split ids into parts that fit a statement, each with its question marks."""
    wanted = list(ids)
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        yield ", ".join("?" * len(part)), part
