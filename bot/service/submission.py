"""Wishes become jobs: checked, built off the event loop, written, queued. Event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace

from bot.config import Config, Limits
from bot.errors import InvalidJobSpec, NotFound, ShuttingDown
from bot.jobs import Draft, Job, Origin
from bot.service import admission
from bot.service import requests as requests
from bot.service.archive import Archive
from bot.service.followups import child_of
from bot.service.guild_settings import GuildSettings
from bot.service.prompt_rules import PromptRules
from bot.service.queue import JobQueue
from bot.service.values import FollowUp, JobSpec, Requester, SubmittedJob
from bot.store import Store
from bot.texts import Sentence
from generator import (
    MAX_PROMPT_CHARACTERS,
    GenerationRequest,
    InvalidRequest,
    Provenance,
    Settings,
    read_recipe,
    request_to_json,
)

AT_ONCE = 2
"""So many wishes are read at the same time: a picture can take seconds and a gigabyte."""


class Submissions:
    """Where wishes are taken on, or refused with a sentence."""

    def __init__(
        self,
        config: Config,
        store: Store,
        guilds: GuildSettings,
        words: PromptRules,
        archive: Archive,
        queue: JobQueue,
        enqueue: Callable[[Job], None],
        settings: Settings,
        starts: Mapping[str, Mapping[str, object]],
        request_warnings: Callable[[GenerationRequest, Provenance | None], tuple[str, ...]] | None = None,
    ) -> None:
        """`settings` are what every picture begins with, `starts` by start what is otherwise.

        `foresee` says what can be said about a request before it is painted.
        """
        self._config, self._store, self._guilds, self._words = config, store, guilds, words
        self._archive, self._queue, self._enqueue = archive, queue, enqueue
        self.settings, self._starts, self._request_warnings = settings, starts, request_warnings
        self.closed = False
        self._reading = asyncio.Semaphore(AT_ONCE)

    async def submit(self, requester: Requester, spec: JobSpec) -> SubmittedJob:
        """Check a wish and put it into the queue; its row is written when this returns.

        Raises:
            Refused: one of its kinds, with the sentence for the person. Nothing was queued.
        """
        limits = await self._admit(requester)
        style = "" if spec.style is None else (await self._words.style(requester.guild_id, spec.style)).text
        # Before the pictures are read, which takes longer; what is behind the longest prompt is refused anyway.
        texts = [text[:MAX_PROMPT_CHARACTERS] for text in (spec.prompt, spec.negative)]
        await admission.check_words(self._words, requester, texts)
        ground = requests.Ground(self.settings, self._config.model_name, limits, style, self._starts)
        async with self._reading if spec.init_image or spec.image_prompts else nullcontext():
            request = await asyncio.to_thread(requests.build, spec, ground)
        draft = self._draft(requester, request, limits, spec.origin, spec.count)
        return await self._add(requester, limits, request, draft, private=spec.private, timelapse=spec.timelapse)

    async def go_on(self, requester: Requester, job_id: int, number: int, change: FollowUp) -> SubmittedJob:
        """A new job that goes on from picture `number` (from 1) of a job whose pictures are saved.

        Raises:
            Refused: as `submit`; NotFound for a job of another server or one that was deleted.
        """
        job = await self._archive.job(requester, job_id)
        limits = await self._admit(requester)
        if number not in {picture.number for picture in await self._archive.pictures(job_id)}:
            raise NotFound("picture_unknown", job=job_id)
        picture = await self._archive.request(requester, job_id, number)
        child = await asyncio.to_thread(child_of, job, number, picture, change, self.settings, limits)
        draft = self._draft(requester, child.request, limits, change.kind, child.count, child.parent)
        return await self._add(requester, limits, child.request, draft, private=job.private, timelapse=False)

    async def again_from_file(self, requester: Requester, data: bytes, *, new_seed: bool = False) -> SubmittedJob:
        """A new job by the recipe inside a picture that Reverie wrote (PNG, JPEG, WebP).

        Raises:
            Refused: as `submit`; InvalidWish where there is no recipe in the file, or a broken one.
        """
        limits = await self._admit(requester)
        try:
            async with self._reading:
                recipe = await asyncio.to_thread(read_recipe, data)
        except InvalidRequest as exc:
            raise InvalidJobSpec("recipe_says", field="file", message=Sentence.of_generator(exc.message)) from exc
        request, made_with = recipe.request, None if new_seed else recipe.made_with
        if request.models != self._config.model_name:
            raise InvalidJobSpec("recipe_models", field="file", models=request.models, ours=self._config.model_name)
        if new_seed:
            request = requests.reseeded(request)
        # The parents are dreamt again, from their start: all of it must be within the limits.
        current: GenerationRequest | None = request
        while current is not None:
            requests.check_limits(current.settings, limits)
            current = current.parent
        draft = self._draft(requester, request, limits, Origin.FILE, 1)
        return await self._add(requester, limits, request, draft, private=False, timelapse=False, made_with=made_with)

    async def _admit(self, requester: Requester) -> Limits:
        if self.closed:
            raise ShuttingDown("shutting_down")
        await admission.check_channel(self._guilds, requester)
        return await self._guilds.limits(requester.guild_id, requester.role_ids)

    def _draft(
        self,
        requester: Requester,
        request: GenerationRequest,
        limits: Limits,
        origin: Origin,
        count: int,
        parent: tuple[int, int] | None = None,
    ) -> Draft:
        return Draft(
            guild_id=requester.guild_id,
            channel_id=requester.channel_id,
            user_id=requester.user_id,
            prompt=request.prompt,
            settings=request.settings,
            models=request.models,
            origin=origin,
            parent_id=None if parent is None else parent[0],
            parent_number=None if parent is None else parent[1],
            priority=limits.priority,
            running_limit=limits.running,
            count=count,
            age_restricted=requester.age_restricted,
            locale=requester.locale,
        )

    async def _add(
        self,
        requester: Requester,
        limits: Limits,
        request: GenerationRequest,
        draft: Draft,
        *,
        private: bool,
        timelapse: bool,
        made_with: Provenance | None = None,
    ) -> SubmittedJob:
        await admission.check_words(self._words, requester, await asyncio.to_thread(requests.texts_of, request))
        recipe = await asyncio.to_thread(request_to_json, request)
        notes = requests.notes(request)
        if self._request_warnings is not None:
            notes += tuple(
                map(Sentence.of_generator, await asyncio.to_thread(self._request_warnings, request, made_with))
            )
        if self.closed:
            raise ShuttingDown("shutting_down")
        draft = replace(draft, private=private, timelapse=timelapse)
        job = await self._store.jobs.add(draft, recipe, admission.gate(limits, self._config.caps, draft.count))
        self._enqueue(job)
        return SubmittedJob(job=job, place=await self._queue.place(job.id), notes=notes)
