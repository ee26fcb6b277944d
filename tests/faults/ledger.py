"""The ledger: checks the bot's promises by comparing answers, channels and stored data.

Blocking; to be asked when the process has ended.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bot.files import DataFolder, Kind
from bot.jobs import Job, JobState, Layout, StoredPicture
from bot.service.job_runner import GRID
from bot.service.requests import picture_request
from bot.store.rows import SELECT_JOB, SELECT_PICTURE, job_of, picture_of
from generator import read_recipe, request_from_json
from tests.discord_fake import Message
from tests.discord_fake.components import V2
from tests.faults import crowd
from tests.faults.crowd import ORDERS, Action, Crowd
from tests.faults.undisturbed import Undisturbed

LOADING = 128
_PICTURE = re.compile(r"reverie-(\d+)(?:-(\d))?\.(?:png|webp|jpg)")
_WENT_ON = re.compile(r"job interrupted job=(\d+)")


@dataclass
class Account:
    """Findings of the ledger.

    Attributes:
        asked: orders that people gave.
        acknowledged: jobs whose message reached Discord as the answer to an order.
        refused: orders that were answered with a sentence instead.
        unanswered: orders without an answer; `thinking` are those of them that were answered with a sign of thinking.
        outcomes: how the acknowledged jobs ended; `deleted` at their owner's wish.
        unacknowledged: how jobs ended that were taken on, while their answer did not reach Discord.
        interrupted: running jobs that a start took up again.
        pictures: finished pictures that were compared with the undisturbed ones; `interrupted_pictures` of them are of
            interrupted jobs.
        broken: promises that were not kept, in words.
    """

    asked: int = 0
    acknowledged: int = 0
    refused: int = 0
    unanswered: int = 0
    thinking: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    unacknowledged: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    interrupted: int = 0
    pictures: int = 0
    interrupted_pictures: int = 0
    broken: list[str] = field(default_factory=list)


class Ledger:
    """The world after a campaign, read once."""

    def __init__(self, people: Crowd, folder: Path, log: str) -> None:
        self._people, self._files = people, DataFolder(folder)
        self.jobs, self._pictures, self._recipes = stored(folder)
        self._shown: dict[int, list[Message]] = defaultdict(list)
        for message in people.messages():
            if (job_id := crowd.job_of(message)) is not None:
                self._shown[job_id].append(message)
        self._orders: dict[int, Action] = {}
        self._interrupted = {int(found) for found in _WENT_ON.findall(log)}

    def account(self, undisturbed: Undisturbed) -> Account:
        """Compare everything."""
        found = Account(interrupted=len(self._interrupted))
        orders = [action for action in self._people.actions if action.kind in ORDERS]
        acknowledged = self._acknowledged(orders, found)
        for job_id in sorted(acknowledged | self.jobs.keys()):
            ends = found.outcomes if job_id in acknowledged else found.unacknowledged
            job = self.jobs.get(job_id)
            ends["deleted" if job is None else job.state.value] += 1
            if job is not None and job.state is JobState.FAILED and job.reason is not None:
                found.reasons[job.reason.said("en")] += 1
        found.broken += self._broken(acknowledged)
        # A cancelled job's files go at once; its rows only count generated pictures.
        for job in (item for item in self.jobs.values() if item.state is not JobState.CANCELLED):
            found.broken += self._compared(job, undisturbed, found)
        return found

    def _acknowledged(self, orders: Iterable[Action], found: Account) -> set[int]:
        """Jobs of requests whose answer reached Discord."""
        jobs: set[int] = set()
        for action in orders:
            found.asked += 1
            message = action.interaction.message
            job_id = None if message is None or action.interaction.callback is None else crowd.job_of(message)
            pressed = message is not None and action.job_id == job_id
            if job_id is not None and not pressed and not action.interaction.ephemeral:
                jobs.add(job_id)
                self._orders[job_id] = action
            elif action.interaction.ephemeral or action.interaction.followups:
                found.refused += 1
            else:
                found.unanswered += 1
                found.thinking += message is not None and bool(message.flags & LOADING)
        found.acknowledged = len(jobs)
        return jobs

    def _broken(self, acknowledged: set[int]) -> Iterator[str]:
        """Broken promises about jobs and messages."""
        deleted = {action.job_id for action in self._people.actions if action.kind is crowd.Kind.DELETE}
        forgotten = self._people.forgotten
        owners = {job_id: action.member.id for job_id, action in self._orders.items()}
        for job in self.jobs.values():
            yield from self._job(job, job.id in acknowledged, job.id in deleted)
        for job_id in acknowledged - self.jobs.keys() - deleted:
            if owners[job_id] not in forgotten:
                yield f"job {job_id} was acknowledged and is gone, though nobody deleted it"
        for job_id, messages in self._shown.items():
            left = [] if job_id in self.jobs else [item for item in messages if job_id in deleted or waits(item)]
            yield from (f"job {job_id} is deleted, and a message of it is left: {_said(item)}" for item in left)
        yield from (f"files of job {job_id} are left without it" for job_id in self._files.job_ids() - self.jobs.keys())

    def _job(self, job: Job, acknowledged: bool, unwanted: bool) -> Iterator[str]:
        """Yield the faults of a job in the database and of its messages.

        `unwanted`: its deletion began, which removes the message first; the rest need not have happened.
        """
        shown, name = self._shown[job.id], f"job {job.id} ({job.state.value}, {job.count} pictures)"
        if not job.state.ended:
            yield f"{name} never ended"
            return
        if job.state is not JobState.DONE and (job.reason is None or not job.told):
            yield f"{name} says no reason in the database, or nobody was told: {job.reason}, {job.told}"
        if unwanted and not shown:
            return
        if len(shown) != 1 and (acknowledged or job.state is not JobState.CANCELLED):
            yield f"{name} has {len(shown)} messages: {[_said(item) for item in shown]}"
        posted = [item for item in shown if shown_pictures(item, job.id)]
        if len(posted) != (job.state is JobState.DONE):
            yield f"{name} has its pictures in {len(posted)} messages"
        for message in shown:
            if message.id != job.message_id:
                yield f"{name} has a message that the database does not know: {_said(message)}"
            if job.reason is not None and job.reason.said(job.locale) not in message.said():
                yield f"{name} does not say why: {_said(message)}"
            # The reverse is no fault: a database that was set back to the first version forgets the form.
            if job.layout is Layout.COMPONENTS and not message.flags & V2:
                yield f"{name} has a message without components: {_said(message)}"
        if job.state is JobState.DONE and posted:
            numbers = _numbers_wanted(posted[0], job.count, self._pictures[job.id])
            if shown_pictures(posted[0], job.id) != [(n, self._files.read(Kind.PICTURE, job.id, n)) for n in numbers]:
                yield f"{name} has other pictures posted than stored: {_said(posted[0])}"

    def _compared(self, job: Job, undisturbed: Undisturbed, found: Account) -> Iterator[str]:
        """Yield the faults of a job's stored pictures."""
        request = request_from_json(self._recipes[job.id])
        for picture in self._pictures[job.id]:
            name = f"picture {picture.number} of job {job.id}"
            data = self._files.read(Kind.PICTURE, job.id, picture.number)
            if data is None:
                yield f"{name} is lost"
                continue
            found.pictures += 1
            found.interrupted_pictures += job.id in self._interrupted
            held = read_recipe(data).request
            if held != picture_request(request, picture.number, picture.stopped_at):
                yield f"{name} is of another request"
            elif data not in undisturbed.files(held):
                yield f"{name} is not the one that comes without an interruption"


def stored(folder: Path) -> tuple[dict[int, Job], dict[int, list[StoredPicture]], dict[int, str]]:
    """Jobs, pictures and recipes as they are in a data folder, by job."""
    db = sqlite3.connect(f"file:{folder / 'reverie.db'}?mode=ro", uri=True)
    db.row_factory = sqlite3.Row
    try:
        jobs = {row["id"]: job_of(row) for row in db.execute(SELECT_JOB)}
        pictures: dict[int, list[StoredPicture]] = defaultdict(list)
        for row in db.execute(SELECT_PICTURE):
            pictures[row["job_id"]].append(picture_of(row))
        recipes = {row["job_id"]: str(row["recipe"]) for row in db.execute("SELECT job_id, recipe FROM recipes")}
    finally:
        db.close()
    return jobs, pictures, recipes


def shown_pictures(message: Message, job_id: int) -> list[tuple[int, bytes]]:
    """The pictures of a job that a person sees in a message, by number and in order; GRID is all of them in one.

    With Components V2 only those that a gallery shows are seen.
    """
    files = {file.filename: file.data for file in message.attachments}
    names = [url.rpartition("/")[2] for url in message.media()] if message.flags & V2 else list(files)
    found = [(match, files.get(name, b"")) for name in names if (match := _PICTURE.fullmatch(name)) is not None]
    return [(int(match[2] or GRID), data) for match, data in found if int(match[1]) == job_id]


def _numbers_wanted(message: Message, count: int, pictures: Iterable[StoredPicture]) -> list[int]:
    """Numbers of the pictures that a finished job's message shows: with Components V2 each, else one or the grid."""
    return [GRID] if count > 1 and not message.flags & V2 else sorted(picture.number for picture in pictures)


def posted_jobs(people: Crowd) -> set[int]:
    """Jobs with a finished picture in a channel."""
    names = [file.filename for message in people.messages() for file in message.attachments]
    return {int(found[1]) for name in names if (found := _PICTURE.fullmatch(name)) is not None}


def waits(message: Message) -> bool:
    """True for the message of a job that seems to wait or run."""
    return any(item.startswith("reverie:cancel:") for item in message.custom_ids())


def _said(message: Message) -> str:
    files = [file.filename for file in message.attachments]
    return f"{message.said()[:60]!r} {files} {message.custom_ids()[:1]}"
