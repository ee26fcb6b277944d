"""Log of job state: one line for each change, with the ids of the job and its server. Event loop.

No line names a person or holds a prompt. Every line names its job and server in `job` and `guild`.
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
    """Log and count every change after its commit to the database."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def on_event(self, event: Event) -> None:
        """Log and count one change of state."""
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
    """Facts to log with this change; times in seconds."""
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
    """Reason by the name of its text, and the error id that the person saw."""
    if job.reason is None:
        return {}
    number = dict(job.reason.values).get("error_id")
    return {"reason": job.reason.key, "error_id": None if number is None else str(number)}
