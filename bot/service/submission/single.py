"""Submission of jobs: admit or refuse, build off the event loop, write, queue. Event loop."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from bot.config import Caps, Config, Limits
from bot.errors import Blocked, InvalidJobSpec, NotFound, QueueFull, ShuttingDown, TooSoon, WrongChannel
from bot.files import DataFolder, Kind
from bot.jobs import Job, Layout, Origin
from bot.options import read as read_options
from bot.service import requests as requests
from bot.service.archive import Archive
from bot.service.files import sources
from bot.service.followups import child_of, count_of, parent_of
from bot.service.guild_settings import GuildSettings
from bot.service.people.presets import Presets
from bot.service.people.settings import PersonalSettings, Preferences, Privacy
from bot.service.prompt_rules import PromptRules
from bot.service.values import FollowUp, JobSpec, Requester, SetDefaults, SubmittedJob
from bot.store import Load, Store
from bot.texts import Sentence
from generator import (
    GenerationRequest,
    InvalidRequest,
    Provenance,
    Settings,
    read_recipe,
    request_to_json,
)

AT_ONCE = 2
"""Maximum number of specs read at the same time: a picture can take seconds and a gigabyte."""
DAY_S = 86_400
KEPT_BY_REMIX = ("size", "start")
"""Settings that a remix takes from its picture."""
NO_STYLE = "none"
"""Name that turns off a person's own style for one picture."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A checked job, not written yet, with its recipe and notes for the requester."""

    job: Job
    recipe: str
    notes: tuple[Sentence, ...] = ()
    files: Mapping[Kind, bytes] = field(default_factory=dict, repr=False)
    """Of a film: its video and music."""
    files_of: int | None = None
    """Job with the files that it has too."""


class Submissions:
    """Turn job specs into queued jobs, or refuse them with a sentence."""

    def __init__(
        self,
        config: Config,
        store: Store,
        guilds: GuildSettings,
        words: PromptRules,
        people: PersonalSettings,
        presets: Presets,
        archive: Archive,
        files: DataFolder,
        enqueue: Callable[[Job], None],
        sets: Mapping[str, SetDefaults],
        request_warnings: Callable[[GenerationRequest, Provenance | None], tuple[str, ...]] | None = None,
    ) -> None:
        """`sets` are the default settings by model set, the usual one first.

        `request_warnings` checks a request against the models before it is queued, and returns warnings.
        """
        self._config, self._store, self._guilds, self._words = config, store, guilds, words
        self._people, self._presets = people, presets
        self._archive, self._files, self._enqueue = archive, files, enqueue
        self._sets, self._request_warnings = sets, request_warnings
        self.closed = False
        self._reading = asyncio.Semaphore(AT_ONCE)
        # Several threads that check prompts would leave the event loop little of the interpreter in a crowd.
        self._checking = asyncio.Lock()

    @property
    def settings(self) -> Settings:
        """Default settings of pictures with the usual models."""
        return self._sets[self._config.model_name].settings

    async def submit(self, requester: Requester, spec: JobSpec) -> SubmittedJob:
        """Check a job spec and queue it; its row is written when this returns.

        Raises:
            Refused: one of its kinds, with the sentence for the requester. Nothing was queued.
        """
        limits = await self.admit(requester)
        return await self._add(await self.prepare(requester, spec, limits), limits)

    async def prepare(self, requester: Requester, spec: JobSpec, limits: Limits) -> Prepared:
        """Check a job spec and build its job, which is not written; `limits` come from `admit`.

        Raises:
            Refused: one of its kinds, with the sentence for the requester.
        """
        own = await self._people.of(requester.user_id)
        spec, notes = await self._read(requester, spec)
        spec = await self._with_defaults(requester, spec, own)
        style = await self._style(requester, spec)
        # Checked before reading the pictures, which takes longer.
        await self.check_words(requester, partial(requests.texts_of_spec, spec, style))
        models = await self._models(requester, spec.model, own.model)
        suited = self._sets[models]
        given, cut = spec.film or {}, tuple[Sentence, ...]()
        if spec.video is not None:
            async with self._reading:
                spec, cut = await asyncio.to_thread(sources.with_video, spec)
        settings = requests.with_size(suited.settings, own.size)
        build = partial(requests.build, settings=settings, models=models, starts=suited.starts, style=style)
        async with self._reading if spec.init_image or spec.mask or spec.image_prompts else self._checking:
            request, examined = await asyncio.to_thread(self._built, partial(build, spec, limits), spec.film is None)
        if spec.film is not None:
            async with self._reading if spec.music else nullcontext():
                request, more = await asyncio.to_thread(sources.with_film, request, spec, given, limits)
            notes = (*notes, *(more or cut))
        job = replace(
            _new_job(requester, request, limits, self._config.layout),
            origin=spec.origin,
            count=spec.count,
            private=bool(spec.private),
            timelapse=spec.timelapse,
            source_id=None if spec.source is None else spec.source[0],
            source_number=None if spec.source is None else spec.source[1],
        )
        prepared = await self._prepared(job, request, notes=notes, examined=examined)
        return replace(prepared, files=sources.files_of(spec))

    async def go_on(self, requester: Requester, job_id: int, number: int, change: FollowUp) -> SubmittedJob:
        """Submit a job that continues picture `number` (from 1): again, vary, continue, remix, upscale, enlarge.

        Allowed to anyone in the same server, except for another person's private job.

        Raises:
            Refused: as `submit`; NotFound for a job of another server or one that was deleted.
        """
        before = await self._archive.job(requester, job_id)
        limits = await self.admit(requester)
        if number not in {picture.number for picture in await self._archive.pictures(job_id)}:
            raise NotFound("picture_unknown", job=job_id)
        picture = await self._archive.request(requester, job_id, number)
        suited = self._sets[await self._models(requester, picture.models)]
        spec, notes = JobSpec(), tuple[Sentence, ...]()
        if change.kind is Origin.REMIX:
            spec, notes = await self._read(requester, JobSpec(prompt=change.prompt or ""), keeps=KEPT_BY_REMIX)
            if spec.model not in (None, picture.models):
                raise InvalidJobSpec("remix_keeps", field="model", name="model")
            prompt = requests.compose(spec.prompt, await self._style(requester, spec), spec.negative)
            change = replace(change, prompt=prompt, settings=spec.settings, count=change.count or spec.count)
        elif change.kind is Origin.ENLARGE:
            if self._config.upscaler_name is None:
                raise InvalidJobSpec("no_upscaler")
            change = replace(change, settings={"upscaler": self._config.upscaler_name})
        count = count_of(before, change)
        requests.check_count(count, limits)
        anew = bool(change.mask or change.init_image or any(name in spec.settings for name in requests.MASKS))
        if anew:
            spec = replace(spec, prompt=change.prompt or "", model=picture.models)
            request = await self._repainted(requester, job_id, number, spec, change, limits)
        else:
            async with self._reading if change.image_prompts else nullcontext():
                request = await asyncio.to_thread(child_of, picture, change, suited.settings, limits)
        await self.check_words(requester, partial(requests.texts_of, request))
        parent_id, parent_number = (None, None) if anew else parent_of(before, number, change.kind)
        job = replace(
            _new_job(requester, request, limits, self._config.layout),
            origin=change.kind,
            count=count,
            private=before.private or await self._hides(requester, spec.private or change.private),
            timelapse=spec.timelapse,
            parent_id=parent_id,
            parent_number=parent_number,
            source_id=job_id,
            source_number=number,
            film_done_s=_done_s(request, picture) if change.kind is Origin.CONTINUE else 0.0,
        )
        prepared = await self._prepared(job, request, notes=notes)
        return await self._add(replace(prepared, files_of=job_id if before.film_s else None), limits)

    async def morph(
        self, requester: Requester, pictures: Sequence[tuple[int, int]], film: Mapping[str, object]
    ) -> SubmittedJob:
        """Submit a job for a film through finished pictures, each given by its job and number.

        Raises:
            Refused: as `submit`; NotFound for a picture that the requester may not see.
        """
        limits = await self.admit(requester)
        found, private = list[GenerationRequest](), False
        for job_id, number in pictures:
            before = await self._archive.job(requester, job_id)
            if number not in {picture.number for picture in await self._archive.pictures(job_id)}:
                raise NotFound("picture_unknown", job=job_id)
            found.append(await self._archive.request(requester, job_id, number))
            private = private or before.private
        request = await asyncio.to_thread(requests.morphed, found, film, self.settings, limits)
        await self.check_words(requester, partial(requests.texts_of, request))
        private = private or await self._hides(requester)
        job = replace(_new_job(requester, request, limits, self._config.layout), origin=Origin.FILM, private=private)
        return await self._add(await self._prepared(job, request), limits)

    async def _repainted(
        self, requester: Requester, job_id: int, number: int, spec: JobSpec, change: FollowUp, limits: Limits
    ) -> GenerationRequest:
        """The request that begins with a finished picture, or an attached one: a mask repaints a part of it."""
        begun_with = change.init_image or await self._archive.picture(requester, job_id, number)
        spec = replace(spec, negative="", init_image=begun_with, mask=change.mask, image_prompts=change.image_prompts)
        models = await self._models(requester, spec.model)
        suited = self._sets[models]
        build = partial(requests.build, settings=suited.settings, models=models, starts=suited.starts)
        async with self._reading:
            return await asyncio.to_thread(build, spec, limits)

    async def again_from_file(self, requester: Requester, data: bytes, *, new_seed: bool = False) -> SubmittedJob:
        """Submit a job from the recipe inside a picture that Reverie wrote (PNG, JPEG, WebP) or in its JSON file.

        Raises:
            Refused: as `submit`; InvalidJobSpec if the file has no recipe, or a broken one.
        """
        limits = await self.admit(requester)
        try:
            async with self._reading:
                recipe = await asyncio.to_thread(read_recipe, data)
        except InvalidRequest as exc:
            raise InvalidJobSpec("recipe_says", field="file", message=Sentence.of_generator(exc.message)) from exc
        request, made_with = recipe.request, None if new_seed else recipe.made_with
        if request.models not in self._sets:
            raise InvalidJobSpec("recipe_models", field="file", models=request.models, ours=", ".join(self._sets))
        await self._models(requester, request.models)
        if new_seed:
            request = requests.reseeded(request)
        if request.film is not None and request.film.source:
            raise InvalidJobSpec("film_without_video", field="file")
        # The parents are generated again from their start: all of them must be within the limits.
        for part in requests.parts_of(request):
            requests.check_limits(part.settings, limits)
        requests.check_film(request, limits)
        await self.check_words(requester, partial(requests.texts_of, request))
        private = await self._hides(requester)
        job = replace(_new_job(requester, request, limits, self._config.layout), origin=Origin.FILE, private=private)
        return await self._add(await self._prepared(job, request, made_with), limits)

    async def admit(self, requester: Requester) -> Limits:
        """The limits of a requester who may ask for pictures here.

        Raises:
            ShuttingDown, Blocked, WrongChannel
        """
        if self.closed:
            raise ShuttingDown("shutting_down")
        if requester.user_id in await self._guilds.blocked_people(requester.guild_id):
            raise Blocked("person_blocked")
        await check_channel(self._guilds, requester)
        return await self._guilds.limits(requester.guild_id, requester.role_ids)

    async def _models(self, requester: Requester, chosen: str | None, own: str = "") -> str:
        """The model set of a picture: the chosen one, else the person's or the server's default.

        Raises:
            InvalidJobSpec: naming those that are allowed.
        """
        models = await self._guilds.models(requester.guild_id)
        if chosen is None:
            return models.without_choice(own)
        models.check(chosen)
        return chosen

    async def check_words(self, requester: Requester, texts: Callable[[], Iterable[str]]) -> None:
        """Check that no text breaks a rule of the blocklist; every kind of submission calls this once.

        `texts` is called on a thread, and not without rules.

        Raises:
            Blocked: naming the rule.
        """
        rule = await self._words.find_block_in(requester.guild_id, texts)
        if rule is not None:
            raise Blocked("blocked", rule=rule)

    async def _read(
        self, requester: Requester, spec: JobSpec, *, keeps: Sequence[str] = ()
    ) -> tuple[JobSpec, tuple[Sentence, ...]]:
        """Take the options out of a spec's prompt, and add those of its preset except the settings in `keeps`.

        Notes name the options that are unknown.

        Raises:
            InvalidJobSpec: for an option without a value.
            NotFound: for an unknown preset.
        """
        styles = [style.name for style in await self._words.styles(requester.guild_id)]
        presets = await self._presets.known(requester.guild_id, requester.user_id)
        typed = read_options(spec.prompt, styles, [preset.name for preset in presets])
        spec = requests.with_typed(spec, typed)
        further = [spec.options] if spec.options else []
        if spec.preset is not None:
            further.append((await self._presets.get(requester.guild_id, requester.user_id, spec.preset)).options)
        for options in further:
            found = read_options(options, styles)
            settings = {name: value for name, value in found.settings.items() if name not in keeps}
            spec = requests.with_typed(spec, replace(found, prompt=spec.prompt, settings=settings, preset=None))
        return spec, requests.unknown_options(typed.prompt)

    async def _with_defaults(self, requester: Requester, spec: JobSpec, own: Preferences) -> JobSpec:
        """The spec with the person's own defaults in its gaps; a style that this server does not know is left out."""
        if spec.style is None and own.style:
            names = {style.name.casefold() for style in await self._words.styles(requester.guild_id)}
            spec = replace(spec, style=own.style if own.style.casefold() in names else None)
        return spec if spec.private is not None else replace(spec, private=own.private is Privacy.PRIVATE)

    async def _hides(self, requester: Requester, given: bool | None = None) -> bool:
        """True if a picture is private: as given, else by the person's default."""
        return (await self._people.of(requester.user_id)).private is Privacy.PRIVATE if given is None else given

    async def _style(self, requester: Requester, spec: JobSpec) -> str:
        """The text of a spec's style; `none` is no style, unless one has that name."""
        if spec.style is None:
            return ""
        try:
            return (await self._words.style(requester.guild_id, spec.style)).text
        except NotFound:
            if spec.style.strip().casefold() != NO_STYLE:
                raise
            return ""

    def _built(
        self, build: Callable[[], GenerationRequest], examine: bool
    ) -> tuple[GenerationRequest, tuple[str, tuple[Sentence, ...]] | None]:
        """A request, examined if it is complete. Runs on a thread: one change of threads is enough for both.

        Raises:
            Refused: one of its kinds.
        """
        request = build()
        return request, self._examined(request, None) if examine else None

    def _examined(self, request: GenerationRequest, made_with: Provenance | None) -> tuple[str, tuple[Sentence, ...]]:
        """The recipe of a request, and all notes on it. Runs on a thread.

        Raises:
            InvalidJobSpec: if the models cannot generate it.
        """
        try:
            found = () if self._request_warnings is None else self._request_warnings(request, made_with)
        except InvalidRequest as exc:
            raise requests.said(exc) from exc
        return request_to_json(request), (*requests.notes(request), *map(Sentence.of_generator, found))

    async def check_room(self, requester: Requester, jobs: Sequence[Job], limits: Limits) -> None:
        """Check that jobs could be queued now.

        Raises:
            QueueFull, TooSoon
        """
        load = await self._store.jobs.load(requester.guild_id, requester.user_id)
        gate(limits, self._config.caps, sum(job.quota for job in jobs), jobs=len(jobs))(load)

    async def add_all(self, prepared: Sequence[Prepared], limits: Limits) -> list[Job]:
        """Write and queue jobs of one person, all or none.

        Raises:
            QueueFull, TooSoon, ShuttingDown
            FilesError: if the disk does not take the files of a film.
        """
        if self.closed:
            raise ShuttingDown("shutting_down")
        count, alone = sum(item.job.quota for item in prepared), any(item.job.guild_id < 0 for item in prepared)
        admission = gate(limits, self._config.caps, count, jobs=len(prepared), alone=alone)
        staged = list[Mapping[Kind, Path]]()
        try:
            for item in prepared:
                if not item.files and item.files_of is None:
                    staged.append({})
                    continue
                staged.append(await asyncio.to_thread(sources.stage, self._files, item.files, item.files_of))
            jobs = await self._store.jobs.add_all([(item.job, item.recipe) for item in prepared], admission)
            for job, parts in zip(jobs, staged, strict=True):
                for kind, path in parts.items():
                    await asyncio.to_thread(self._files.adopt, path, kind, job.id, 1)
        finally:
            for path in (path for parts in staged for path in parts.values()):
                path.unlink(missing_ok=True)
        for job in jobs:
            self._enqueue(job)
        return jobs

    async def _prepared(
        self,
        job: Job,
        request: GenerationRequest,
        made_with: Provenance | None = None,
        notes: tuple[Sentence, ...] = (),
        examined: tuple[str, tuple[Sentence, ...]] | None = None,
    ) -> Prepared:
        """A job with its recipe and notes; `made_with` is the provenance of the picture that it repeats."""
        if examined is None:
            async with self._checking:
                examined = await asyncio.to_thread(self._examined, request, made_with)
        recipe, found = examined
        return Prepared(job=job, recipe=recipe, notes=(*notes, *found))

    async def _add(self, prepared: Prepared, limits: Limits) -> SubmittedJob:
        (job,) = await self.add_all([prepared], limits)
        return SubmittedJob(job=job, notes=prepared.notes)


def _new_job(requester: Requester, request: GenerationRequest, limits: Limits, layout: Layout) -> Job:
    """A job for one picture, without a row yet."""
    return Job(
        guild_id=requester.guild_id,
        channel_id=requester.channel_id,
        user_id=requester.user_id,
        prompt=request.prompt,
        settings=request.settings,
        models=request.models,
        priority=limits.priority,
        running_limit=limits.running,
        age_restricted=requester.age_restricted,
        public_channel_id=requester.public_channel_id,
        locale=requester.locale,
        film_s=0.0 if request.film is None else request.film.seconds,
        layout=layout,
        by_token=requester.by_token,
    )


def _done_s(request: GenerationRequest, before: GenerationRequest) -> float:
    """Seconds of a film that were made before it ended early."""
    return 0.0 if request.film is None else (before.stopped_at or 0) / request.film.fps


async def check_channel(guilds: GuildSettings, requester: Requester) -> None:
    """Check that jobs are allowed in the requester's channel.

    Raises:
        WrongChannel: naming the allowed channels, if the server says so.
    """
    if not await guilds.is_open(requester):
        open_ones = [f"<#{channel_id}>" for channel_id, on in (await guilds.channels(requester.guild_id)).items() if on]
        if open_ones:
            raise WrongChannel("channel_elsewhere", channels=" ".join(open_ones[:10]))
        raise WrongChannel("channel_denied")


def gate(
    limits: Limits, caps: Caps, count: int, now: float | None = None, *, jobs: int = 1, alone: bool = False
) -> Callable[[Load], None]:
    """Admission check for the transaction that adds jobs: may `count` more pictures be queued?

    Several jobs at once are measured by the limit of a batch, where that is higher.

    `alone`: for a person who uses the bot without a server.

    Raises:
        QueueFull, TooSoon: by the function that is returned.
    """
    now = time.time() if now is None else now

    def admit(load: Load) -> None:
        if load.queued_bot + jobs > caps.queue_bot:
            raise QueueFull("queue_full_bot", count=load.queued_bot)
        if load.queued_guild + jobs > limits.queue_server:
            raise QueueFull("queue_full_alone" if alone else "queue_full_server", count=load.queued_guild)
        if load.queued_user + jobs > (limits.queue_user if jobs == 1 else max(limits.queue_user, limits.batch)):
            raise QueueFull("queue_full_user", count=load.queued_user)
        if limits.daily and load.pictures_today + count > limits.daily:
            tomorrow = math.ceil((now // DAY_S + 1) * DAY_S)
            left = max(0, limits.daily - load.pictures_today)
            raise TooSoon("quota_spent", daily=limits.daily, left=left, when=tomorrow)
        # A last time in the future comes from a clock that was set back: it says nothing.
        if load.last_at is not None and 0 <= now - load.last_at < limits.cooldown_s:
            raise TooSoon("cooldown", when=math.ceil(load.last_at + limits.cooldown_s))

    return admit
