"""Every order that a command, modal, button or style can send is painted, or refused before it is queued."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import discord
import pytest
from discord import app_commands
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from bot.config import Config, Limits, ModelSets
from bot.errors import InvalidJobSpec, Refused
from bot.files import DataFolder
from bot.frontend.commands import blend, imagine, recipe
from bot.frontend.commands.together import batch
from bot.frontend.components import remix
from bot.frontend.components.modals import TEXT
from bot.jobs import Batch, JobState, Origin
from bot.service import FollowUp, JobSpec, Requester, Service, SubmittedJob
from bot.worker.engine import GeneratorEngine
from bot.worker.pool import WorkerPool
from bot.worker.thread import ThreadWorker
from generator import Models, Settings
from tests.bot.real_service import CHANNEL, requester, until

LIMITS = Limits(steps=4, size_px=128, cutouts=5, queue_user=100, daily=0)
DEFAULTS: dict[str, Any] = {"start": "prior", "size": "64x64", "steps": 3, "cutouts": 4, "coarse": 0.5}
STARTS: dict[str, dict[str, object]] = {"random": {"steps": 4}, "init": {"steps": 2}}
STYLES = {"oil": "oil on canvas", "clear": "fog:-1 | haze:-0.5", "nothing": "paint:0", "two": "ink | dots:0.3"}
EXAMPLES = {"models": 40, "ensemble": 15}

NextOrder = Callable[[Service, Requester, int], Coroutine[Any, Any, SubmittedJob]]
"""An order that follows up the first picture of a job."""
Order = Callable[[Service, Requester], Coroutine[Any, Any, SubmittedJob]]


def file_of(kind: str, size: tuple[int, int], colour: str = "red") -> bytes:
    out = BytesIO()
    Image.new("RGB", size, colour).save(out, kind)
    return out.getvalue()


FILES = [
    file_of("PNG", (64, 48)), file_of("JPEG", (1, 1), "blue"), file_of("GIF", (200, 3)), file_of("PNG", (8, 8))[:40],
    b"no picture", b"",
]  # fmt: skip

WORDS = st.sampled_from(["a red apple", "fog", "castle", "zyx", "a", "\N{GRINNING FACE}"])
NUMBERS = st.sampled_from(["", "", "", ":1", ":-0.5", ":0", ":2:0.3", ":-1:-0.5", ":1e-30", ":100", ":101"])
TYPED = st.lists(
    st.sampled_from(
        [
            "--steps 2", "--steps 9999", "--steps x", "--size 64x32", "--ar 2:1", "--style OIL", "--style none",
            "--no fog", "--start random", "--start init", "--start prior", "--count 2", "--private", "--palette navy",
            "--tile x", "--seed 3", "--preset mine", "words",
        ]
    ),
    min_size=1, max_size=4,
).map(" ".join)  # fmt: skip
PARTS = st.lists(st.builds("{}{}".format, WORDS, NUMBERS), min_size=1, max_size=3).map(" | ".join)
PROMPTS = st.one_of(
    PARTS,
    st.lists(PARTS, min_size=1, max_size=3).map(" ^ ".join),
    st.sampled_from([" ", "|", "^", ":1", "`a cup`", "\\^", "\u200b", "...", "10:30"]),
    st.text(min_size=1, max_size=30),
)
STRINGS: dict[str, st.SearchStrategy[str]] = {
    "prompt": PROMPTS,
    "negative": st.one_of(WORDS, PARTS, st.text(min_size=1, max_size=10)),
    "size": st.sampled_from(["32", "64x32", "32x128", "128x96", "47x33", "256x256", "99999", "0", "x", "1x1"]),
    "repaint": st.sampled_from(["left 50%", "picture", "the sky", "left 0%"]),
    "keep": st.sampled_from(["box 10% 10% 60% 60%", "picture", "an apple"]),
    "outpaint": st.sampled_from(["left 50%", "all 20%", "up"]),
    "style": st.sampled_from([*STYLES, "OIL", "oils", ""]),
    "model": st.sampled_from(["tiny", "starter", ""]),
}


@dataclass(frozen=True)
class Story:
    """An order, and follow-ups of its picture."""

    what: str
    order: Order = field(repr=False)
    followups: tuple[tuple[str, NextOrder], ...] = ()


def values(option: app_commands.Parameter) -> st.SearchStrategy[Any]:
    """All that Discord lets a person give for an option of a command; numbers mostly near their lowest."""
    if option.choices:
        return st.sampled_from([choice.value for choice in option.choices])
    if option.type is discord.AppCommandOptionType.attachment:
        return st.sampled_from(FILES)
    if option.type is discord.AppCommandOptionType.boolean:
        return st.booleans()
    if option.type is discord.AppCommandOptionType.string:
        return STRINGS[option.name]
    low, high = option.min_value, option.max_value
    assert low is not None and high is not None
    if option.type is discord.AppCommandOptionType.integer:
        near = st.integers(int(low), min(int(high), int(low) + 5))
        return st.one_of(near, near, near, st.sampled_from([int(low), int(high)]))
    return st.floats(low, high)


@st.composite
def given_options(draw: st.DrawFn, command: app_commands.Command[Any, ..., Any]) -> dict[str, Any]:
    """The options of a command as a person fills them in: the required ones, and some of the others."""
    optional = [option for option in command.parameters if not option.required]
    filled = [option for option in command.parameters if option.required]
    filled += draw(st.lists(st.sampled_from(optional), max_size=6, unique_by=lambda option: option.name))
    return {option.name: option.default for option in optional} | {
        option.name: draw(values(option)) for option in filled
    }


def submitted(spec: JobSpec) -> Order:
    return lambda service, who: service.submissions.submit(who, spec)


def imagined(options: Mapping[str, Any]) -> Order:
    files = {name: options[name] for name in ("init_image", "mask", "image_prompt") if options[name] is not None}
    return submitted(imagine.spec_of(options, files))


def blended(options: Mapping[str, Any]) -> Order:
    pictures = [options[name] for name in ("first", "second", "third", "fourth") if options[name] is not None]
    return submitted(blend.spec_of(pictures, options["prompt"], options["size"], options["steps"]))


def alike(picture: bytes, prompt: str, use: str, private: bool) -> Order:
    return submitted(recipe.spec_of(picture, prompt, use, private))


def with_preset(prompt: str, options: str, size: str) -> Order:
    async def order(service: Service, who: Requester) -> SubmittedJob:
        await service.personal_settings.change(who.user_id, "size", size)
        await service.presets.save(who, "mine", options)
        return await service.submissions.submit(who, JobSpec(prompt=prompt, preset="mine"))

    return order


def together(prompt: str, x: tuple[str, str], y: tuple[str, str] | None) -> Order:
    """Every prompt that a prompt stands for, each with every combination of settings."""

    async def order(service: Service, who: Requester) -> SubmittedJob:
        found = await service.batches.expand(who.guild_id, prompt)
        specs = [spec for text in found.prompts for spec in batch.compared(text, *x, *(y or (None, None)))[0]]
        asked = await service.batches.ask(who, specs, prompt)

        async def place(asked: Batch) -> int:
            return CHANNEL

        jobs = await service.batches.begin(who, asked.id, place)
        assert len(jobs) == len(specs) == asked.length
        return SubmittedJob(job=jobs[0])

    return order


def going_on(change: FollowUp) -> tuple[str, NextOrder]:
    return str(change), lambda service, who, job_id: service.submissions.go_on(who, job_id, 1, change)


def from_the_recipe(new_seed: bool) -> tuple[str, NextOrder]:
    async def order(service: Service, who: Requester, job_id: int) -> SubmittedJob:
        data = (await service.archive.recipe(who, job_id)).encode()
        return await service.submissions.again_from_file(who, data, new_seed=new_seed)

    return f"/again {new_seed}", order


OF_VOTES = [
    FollowUp(kind=Origin.VARY, count=2, private=False),
    FollowUp(kind=Origin.REMIX, prompt="a cup in the snow", count=2, private=False, steps=1),
]
BUTTONS = [FollowUp(kind=kind) for kind in (Origin.AGAIN, Origin.VARY, Origin.CONTINUE, Origin.UPSCALE)]
FOLLOWUPS = st.one_of(
    st.sampled_from([*BUTTONS, *OF_VOTES]).map(going_on),
    st.builds(FollowUp, kind=st.just(Origin.REMIX), prompt=st.one_of(PROMPTS, st.just("x" * TEXT))).map(going_on),
    st.builds(
        remix.change_of,
        PROMPTS,
        st.lists(st.sampled_from(FILES), max_size=1),
        st.sampled_from([None, *FILES]),
        st.sampled_from([None, *FILES]),
    ).map(going_on),
    st.booleans().map(from_the_recipe),
)
ORDERS = st.one_of(
    given_options(imagine.command()).map(lambda options: (f"/imagine {options}", imagined(options))),
    given_options(blend.blend).map(lambda options: (f"/blend {options}", blended(options))),
    st.tuples(
        st.sampled_from(FILES), st.one_of(PROMPTS, st.just("")), st.sampled_from(["init", "prompt"]), st.booleans()
    ).map(lambda values: (f"modal {values}", alike(*values))),
    st.tuples(PROMPTS, TYPED, st.sampled_from(["", "2:1", "64", "2048", "9"])).map(
        lambda values: (f"preset {values}", with_preset(*values))
    ),
    st.tuples(
        st.one_of(PROMPTS, st.sampled_from(["{a, red} cup", "{fog:-1, a cup:2}", "__none__", "{,}"])),
        st.sampled_from([("steps", "1, 2"), ("size", "32, 64x32"), ("style", "oil, none"), ("cutouts", "2, 99")]),
        st.sampled_from([None, ("start", "random, prior"), ("steps", "1, x"), ("optimiser", "adam, radam")]),
    ).map(lambda values: (f"together {values}", together(*values))),
)
STORIES = st.builds(lambda order, followups: Story(*order, tuple(followups)), ORDERS, st.lists(FOLLOWUPS, max_size=2))
LEFT_OUT = {option.name: option.default for option in imagine.command().parameters}
NO_WORDS = dict.fromkeys(("third", "fourth", "size", "steps")) | {"prompt": ""}
BLENDED_WITHOUT_WORDS = Story("blend", blended(NO_WORDS | {"first": FILES[0], "second": FILES[0]}))
PRIOR_WITHOUT_WORDS = Story(
    "imagine",
    imagined(LEFT_OUT | {"prompt": "fog:-1", "image_prompt": FILES[0], "image_weight": 1.0, "start": "prior"}),
)
PRIOR = Story("imagine", imagined(LEFT_OUT | {"prompt": "a castle", "start": "prior"}))


async def carried_out(service: Service, story: Story) -> None:
    """Run the story to its end; each of its orders is painted, or refused with nothing queued."""
    job_id = 0
    orders: list[NextOrder] = [
        lambda service, who, _: story.order(service, who),
        *(each for _, each in story.followups),
    ]
    for order in orders:
        try:
            job_id = (await order(service, requester(), job_id)).job.id
        except Refused:
            assert await service.store.jobs.under_way() == []
            return
        for queued in await service.store.jobs.under_way():

            async def ended(job_id: int = queued.id) -> JobState | None:
                job = await service.store.jobs.get(job_id)
                assert job is not None
                assert job.state is not JobState.FAILED, (story, job.reason)
                return job.state if job.state is JobState.POSTING else None

            await until(ended, 60)
            assert await service.post.begin(queued.id, limit_bytes=10**7) is not None
            await service.post.done(queued.id, CHANNEL, queued.id)


class TinyDreamer(GeneratorEngine):
    """Dreams with given models instead of loading any."""

    def __init__(self, models: Models) -> None:
        super().__init__(models.name, "cpu")
        self._sets.put(models)


def service_with(models: Models, folder: Path) -> Service:
    engine, config = TinyDreamer(models), Config(models=ModelSets(default=models.name), limits=LIMITS, styles=STYLES)
    defaults = DEFAULTS if models.prior is not None else DEFAULTS | {"start": "random"}
    return Service(
        config, DataFolder(folder), WorkerPool([ThreadWorker(engine)]), settings=Settings().merged(defaults),
        starts=STARTS,
        request_warnings=engine.request_warnings,
    )  # fmt: skip


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_request_works_or_is_refused_before_it_is_queued(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    service = service_with(request.getfixturevalue(kind), tmp_path)
    with asyncio.Runner() as runner:
        runner.run(service.start())

        @settings(max_examples=EXAMPLES[kind], suppress_health_check=list(HealthCheck))
        @example(PRIOR)
        @example(PRIOR_WITHOUT_WORDS)
        @example(BLENDED_WITHOUT_WORDS)
        @given(STORIES)
        def check(story: Story) -> None:
            runner.run(carried_out(service, story))

        try:
            check()
        finally:
            runner.run(service.close())


async def test_a_button_on_a_picture_of_other_models_is_refused_before_it_is_queued(
    models: Models, tmp_path: Path
) -> None:
    service = service_with(models, tmp_path)
    await service.start()
    await carried_out(service, Story("imagine", imagined(LEFT_OUT | {"prompt": "a castle"})))
    await service.close()
    service = service_with(replace(models, name="others"), tmp_path)
    await service.start()
    try:
        for change in BUTTONS:
            with pytest.raises(InvalidJobSpec, match="The models “tiny” cannot be used here"):
                await service.submissions.go_on(requester(), 1, 1, change)
        assert await service.store.jobs.under_way() == []
    finally:
        await service.close()
