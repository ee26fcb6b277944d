"""The life of each job in the log: one line a change of where it stands, with its id and its server's. Event loop.

No line names a person or holds a prompt. Every line says in `job` and `guild` which job it is about.
"""

from __future__ import annotations

import logging
import time

from bot.jobs import Event, Job, JobState
from bot.log import Fact, about
from bot.monitoring.metrics import Metrics

_log = logging.getLogger(__name__)
_WORDS = {"waiting": "waiting for access"}


class JobLog:
    """Hears of every change from the database, once it is committed; writes it down and counts it."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def on_event(self, event: Event) -> None:
        """A job stands elsewhere now."""
        self._metrics.on_event(event)
        level = logging.WARNING if event.job.state is JobState.FAILED else logging.INFO
        was = None if event.before is None else event.before.standing
        facts = about(job=event.job.id, guild=event.job.guild_id, was=was, **_more(event))
        _log.log(level, "job %s", _word(event), extra=facts)


def _word(event: Event) -> str:
    if event.deleted:
        return "deleted"
    if event.before is not None and event.job.state is JobState.QUEUED:
        return "interrupted"
    return _WORDS.get(event.job.standing, event.job.standing)


def _more(event: Event) -> dict[str, Fact]:
    """What is worth knowing of this change; times in seconds."""
    job, before = event.job, event.before
    if event.deleted:
        return {}
    if before is None:
        return {"origin": job.origin.value, "parent": job.parent_id, "pictures": job.count, "steps": job.settings.steps}
    if job.state is JobState.RUNNING:
        first = before.started_at is None
        return {"attempt": job.attempts, "waited_s": round(time.time() - job.created_at, 1) if first else None}
    if job.standing == JobState.POSTING.value:
        return {"paint_s": round(job.paint_s, 1)}
    if job.state is JobState.DONE:
        return {"whole_s": None if job.ended_at is None else round(job.ended_at - job.created_at, 1)}
    return _why(job)


def _why(job: Job) -> dict[str, Fact]:
    """The reason by the name of its text, and the number that the person was told."""
    if job.reason is None:
        return {}
    number = dict(job.reason.values).get("error_id")
    return {"reason": job.reason.key, "error_id": None if number is None else str(number)}
