"""Waiting jobs of a server, counted and cancelled by those who manage it. Event loop; recipes are read on threads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from bot.jobs import Job, JobState
from bot.service.prompt_rules import first_hit
from bot.service.requests import texts_of
from bot.service.values import Requester
from bot.store import Store
from bot.texts import Sentence
from generator import request_from_json

MAX_REASON = 200
"""Characters of a reason that an admin gives."""


class WaitingJobs:
    """Jobs of a server that have not begun; every method checks that the requester manages the server."""

    def __init__(self, store: Store, stop: Callable[[Job], Awaitable[None]], notify: Callable[[int], None]) -> None:
        """`stop` takes a job from the queue or its worker; `notify` notifies the listeners."""
        self._store, self._stop, self._notify = store, stop, notify

    async def of_server(self, requester: Requester, user_id: int | None = None) -> list[Job]:
        """Waiting jobs of the server, or of one person in it; oldest first.

        Raises:
            NotOwner
        """
        requester.must_manage()
        jobs = await self._store.jobs.under_way(guild_id=requester.guild_id, user_id=user_id)
        return [job for job in jobs if job.state is JobState.QUEUED]

    async def unfinished(self, requester: Requester, user_id: int) -> list[Job]:
        """Waiting and running jobs of a person in the server.

        Raises:
            NotOwner
        """
        requester.must_manage()
        jobs = await self._store.jobs.under_way(guild_id=requester.guild_id, user_id=user_id)
        return [job for job in jobs if job.state in (JobState.QUEUED, JobState.RUNNING)]

    async def breaking(self, requester: Requester, rule: str) -> list[Job]:
        """Waiting jobs of the server with a text that breaks a rule of the blocklist.

        Raises:
            NotOwner
        """
        found = []
        for job in await self.of_server(requester):
            recipe = await self._store.jobs.recipe(job.id)
            if recipe is not None and await asyncio.to_thread(_breaks, recipe, rule):
                found.append(job)
        return found

    async def cancel(self, requester: Requester, jobs: Iterable[Job], reason: Sentence) -> list[Job]:
        """Cancel jobs of the server unless they have changed their state; return those that were cancelled.

        Raises:
            NotOwner
        """
        requester.must_manage()
        states: dict[JobState, list[int]] = {}
        for job in jobs:
            if job.guild_id == requester.guild_id:
                states.setdefault(job.state, []).append(job.id)
        moved: list[Job] = []
        for state, ids in states.items():
            moved += await self._store.jobs.move_all(ids, JobState.CANCELLED, reason, only=state)
        for job in moved:
            await self._stop(job)
            self._notify(job.id)
        return moved


def reason_of(key: str, why: str) -> Sentence:
    """The sentence `key`, or `KEY_why` with the reason that an admin gave."""
    why = " ".join(why.split())[:MAX_REASON]
    return Sentence.of(f"{key}_why", why=why) if why else Sentence.of(key)


def _breaks(recipe: str, rule: str) -> bool:
    return any(first_hit([rule], text) is not None for text in texts_of(request_from_json(recipe)))
