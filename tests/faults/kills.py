"""The campaign of kills: the process is killed at random moments of its work, and started again.

Event loop.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from bot.store.connection import APPLICATION_ID, migrations, statements
from tests.faults.campaign import Plan, Scene, scene
from tests.faults.crowd import ORDERS, Kind
from tests.faults.ledger import Account, posted_jobs

REACH_S = 8.0
"""Longest wait for a moment."""
LOOK_S = 0.002


class Moment(StrEnum):
    """Activity of the process when it is killed."""

    ACCEPTING = "accepting an order"
    QUEUEING = "answering with the place in the queue"
    GENERATING = "painting"
    SNAPSHOTTING = "writing a snapshot"
    SAVING = "saving a picture"
    POSTING = "uploading a picture"
    CONFIRMING = "hearing that Discord has the picture"
    CANCELLING = "cancelling or finishing early"
    DELETING = "deleting a job, or all of a person's"
    STARTING = "starting and recovering"
    MIGRATING = "migrating an older database"
    ANY = "anything"


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One kill, and the state of disk and Discord after it.

    Attributes:
        states: jobs under way by state.
        snapshots: number of running jobs that have a snapshot.
        unnoted: jobs whose picture Discord has and the database does not know to be there.
        half_written: files of which only a part was written.
        unanswered: orders without an answer at that time.
    """

    moment: Moment
    states: dict[str, int]
    snapshots: int
    unnoted: int
    half_written: int
    unanswered: int


@dataclass
class Campaign:
    """Results of a campaign of kills."""

    kills: list[Kill] = field(default_factory=list)
    account: Account = field(default_factory=Account)
    starts_s: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def by_moment(self) -> dict[Moment, list[Kill]]:
        """Number of kills by moment."""
        return {moment: [kill for kill in self.kills if kill.moment is moment] for moment in Moment}


def moments(count: int, rng: random.Random) -> list[Moment]:
    """Draw this number of moments, all kinds equally often, in random order; the first is not part of a start."""
    all_of_them = list(Moment)
    drawn = [all_of_them[number % len(all_of_them)] for number in range(count)]
    rng.shuffle(drawn)
    first = next(place for place, moment in enumerate(drawn) if moment not in (Moment.STARTING, Moment.MIGRATING))
    drawn[0], drawn[first] = drawn[first], drawn[0]
    return drawn


async def run(plan: Plan, count: int, folder: Path, tell: Callable[[str], None] = lambda text: None) -> Campaign:
    """Kill the process `count` times, wait until everything has ended, and ask the ledger."""
    done, began = Campaign(), time.monotonic()
    async with scene(plan, folder) as here:
        for number, moment in enumerate(moments(count, here.rng), start=1):
            if moment in (Moment.STARTING, Moment.MIGRATING):
                await _kill_start(here, moment, done)
            else:
                done.starts_s.append(await here.start())
                async with here.busy():
                    await _reach(here, moment)
                    await here.bot.kill()
            done.kills.append(_seen(here, moment))
            tell(f"{number}/{count} {moment.value}: {done.kills[-1]}")
        done.starts_s.append(await here.start())
        await here.rest()
        done.account = await here.account()
        (folder / "log.txt").write_text(here.bot.log, "utf-8")
    done.seconds = time.monotonic() - began
    return done


async def _kill_start(here: Scene, moment: Moment, done: Campaign) -> None:
    """Kill the process while it starts; for MIGRATING with a database of the first version."""
    database = here.bot.folder / "reverie.db"
    if moment is Moment.MIGRATING and database.exists():
        set_back(database)
    await here.bot.spawn(**here.plan.environment)
    usual_s = done.starts_s[-1] if done.starts_s else 2.0
    if moment is Moment.MIGRATING:
        # Its first sign of life in the database; the migration follows at once.
        log = database.with_name("reverie.db-wal")
        await _until(here, log.exists)
        await asyncio.sleep(here.rng.uniform(0.0, 0.03))
    else:
        await asyncio.sleep(here.rng.uniform(0.3, 1.1) * usual_s)
    assert here.bot.alive, f"the bot ended by itself:\n{''.join(here.bot.lines[-40:])}"
    await here.bot.kill()


async def _reach(here: Scene, moment: Moment) -> None:
    """Wait until the process reaches this moment, plus a short random time."""
    await asyncio.sleep(here.rng.uniform(0.0, here.plan.life_s))
    lines, calls, actions = len(here.bot.lines), len(here.fake.calls), len(here.people.actions)

    def logged(text: str) -> bool:
        return any(text in line for line in here.bot.lines[lines:])

    def done(kinds: tuple[Kind, ...]) -> bool:
        return any(action.kind in kinds for action in here.people.actions[actions:])

    def uploading() -> bool:
        return any(call.content_type == "multipart/form-data" for call in here.fake.calls[calls:])

    def uploaded() -> bool:
        found = [call for call in here.fake.calls[calls:] if call.status == 200]
        return any(file.filename.startswith("reverie-") for call in found for file in call.files)

    def fresh(folder: str) -> Callable[[], bool]:
        known = _names(here.bot.folder / folder)
        return lambda: bool(_names(here.bot.folder / folder) - known)

    signs: dict[Moment, tuple[Callable[[], bool], float]] = {
        Moment.ACCEPTING: (lambda: done(ORDERS), 0.06),
        Moment.QUEUEING: (lambda: logged("job queued"), 0.03),
        Moment.GENERATING: (lambda: logged("job running"), 1.0),
        Moment.SNAPSHOTTING: (fresh("snapshots"), 0.01),
        Moment.SAVING: (fresh("latents"), 0.02),
        Moment.POSTING: (lambda: logged("job posting") and uploading(), 0.03),
        Moment.CONFIRMING: (uploaded, 0.01),
        Moment.CANCELLING: (lambda: done((Kind.CANCEL, Kind.FINISH)), 0.05),
        Moment.DELETING: (lambda: done((Kind.DELETE, Kind.FORGET)), 0.05),
        Moment.ANY: (lambda: True, 3.0),
    }
    sign, jitter_s = signs[moment]
    provoked = {Moment.CANCELLING: (Kind.CANCEL, Kind.FINISH), Moment.DELETING: (Kind.DELETE,) * 20 + (Kind.FORGET,)}
    provoking = asyncio.create_task(_provoke(here, provoked.get(moment, (Kind.IMAGINE,))))
    try:
        await _until(here, sign)
        await asyncio.sleep(here.rng.uniform(0.0, jitter_s))
    finally:
        provoking.cancel()
        await asyncio.gather(provoking, return_exceptions=True)


async def _provoke(here: Scene, kinds: tuple[Kind, ...]) -> None:
    """Let a person trigger the moment as soon as possible, with repeated orders if needed."""
    while await here.people.act(here.rng.choice(kinds)) is None or Kind.IMAGINE in kinds:
        await asyncio.sleep(0.05)


async def _until(here: Scene, sign: Callable[[], bool]) -> None:
    """Wait for a sign, at most REACH_S: the kill then happens at another moment, which is just as good."""
    end = time.monotonic() + REACH_S
    while here.bot.alive and not sign() and time.monotonic() < end:
        await asyncio.sleep(LOOK_S)


def _names(folder: Path) -> set[tuple[str, int]]:
    """All files below a folder, partial ones included, with the times of their last change."""
    found = set()
    for below, _, names in os.walk(folder):
        for name in names:
            try:
                found.add((name, os.stat(os.path.join(below, name)).st_mtime_ns))
            except FileNotFoundError:
                continue  # Renamed meanwhile.
    return found


def _seen(here: Scene, moment: Moment) -> Kill:
    """Return the state of jobs, files and messages after a kill."""
    states = dict(here.select("SELECT id, state FROM jobs WHERE state IN ('queued', 'running', 'posting')"))
    painted = {job_id for job_id, state in states.items() if state == "running"}
    kept = {int(path.name.partition("-")[0]) for path in (here.bot.folder / "snapshots").glob("*/*-?.safetensors")}
    orders = [action for action in here.people.actions if action.kind in ORDERS]
    return Kill(
        moment=moment,
        states=dict(Counter(states.values())),
        snapshots=len(painted & kept),
        unnoted=len(posted_jobs(here.people) & states.keys()),
        half_written=len(list(here.bot.folder.rglob(".*.part"))),
        unanswered=sum(action.interaction.callback is None for action in orders[-2:]),
    )


def set_back(database: Path) -> None:
    """Turn a database into one of the bot's first version, with all rows that it could hold."""
    old = database.with_name("old.db")
    db = sqlite3.connect(old)
    for statement in statements(migrations()[0]):
        db.execute(statement)
    db.execute("ATTACH ? AS now", (str(database),))
    tables = [name for (name,) in db.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table'")]
    for table in (name for name in tables if not name.startswith("sqlite_")):
        known = {row[1] for row in db.execute(f"PRAGMA now.table_info({table})")}
        columns = ", ".join(row[1] for row in db.execute(f"PRAGMA main.table_info({table})") if row[1] in known)
        db.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}")  # noqa: S608
    db.execute("INSERT OR REPLACE INTO main.sqlite_sequence SELECT * FROM now.sqlite_sequence")
    db.commit()
    db.execute(f"PRAGMA main.application_id = {APPLICATION_ID}")
    db.execute("PRAGMA main.user_version = 1")
    db.commit()
    db.close()
    for ending in ("", "-wal", "-shm"):
        database.with_name(database.name + ending).unlink(missing_ok=True)
    old.replace(database)
