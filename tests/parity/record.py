"""Record the data of the parity tests by the code of this checkout: `python -m pytest tests/parity/record.py`.

See data/README.md for when to do that. Everything here runs on the layout of the version that the data are from, too.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import string
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bot.environment import load_config
from bot.files import DataFolder, Kind
from bot.jobs import Job, JobState, Origin
from bot.service import FollowUp, ImageInput, JobSpec, ReportReason, Requester, Safety
from bot.texts import Sentence, texts
from generator import (
    Dream,
    GenerationRequest,
    GeneratorError,
    ImagePrompt,
    Message,
    Models,
    Recipe,
    Settings,
    encode,
    recipe_to_json,
)
from tests.bot.real_service import BEN, CHANNEL, GUILD, RealService, requester, until
from tests.parity.facts import database_facts
from tests.parity.machine import this_machine
from tests.parity.tiny_dreamer import TinyDreamer

DATA = Path(__file__).parent / "data"
SNAPSHOTS = {"tiny-story": 4, "starter-apple": 3}
"""Number of steps after which a snapshot is taken, by picture."""
GROUP = {"ensemble-groups": 3}
"""Number of cutouts that are judged at a time, by picture; all for other pictures."""
RUNNING, REMARKS = "a tower in the mist", "every message"

Png = Callable[..., bytes]


def tiny(prompt: str = "a red apple", **values: object) -> GenerationRequest:
    """A request for the tiny models; parts of the request and settings by their names."""
    parts = {name: values.pop(name) for name in ("image_prompts", "init_image", "parent") if name in values}
    settings = {"size": "64x64", "steps": 8, "cutouts": 6, "start": "random", "seed": 3, **values}
    return GenerationRequest(prompt=prompt, models="tiny", settings=Settings().merged(settings), **parts)


def starter(prompt: str, suggested: Settings, **values: object) -> GenerationRequest:
    """A request for the starter by the settings that it suggests."""
    parts = {"parent": values.pop("parent")} if "parent" in values else {}
    settings = {"size": "128x128", "steps": 6, "seed": 1, **values}
    return GenerationRequest(prompt=prompt, models="starter", settings=suggested.merged(settings), **parts)


def requests(png: Png, suggested: Settings) -> dict[str, GenerationRequest]:
    """The twelve requests by the name of their picture, which begins with the models."""
    child = {"start": "parent", "seed": 5}
    augmented = {"flip": 0.5, "affine": 0.9, "perspective": 0.9, "colour": 0.9, "sharpness": 0.9, "noise": 0.2}
    pictures = ImagePrompt(image=png()), ImagePrompt(image=png(48, 32, (20, 160, 60)), weight=-0.5, stop=-0.2)
    apple = starter("a red apple at night", suggested)
    return {
        "tiny-random": tiny(),
        "tiny-story": tiny("dawn ^ noon | heat:-0.5 ^ dusk:2:0.3", scene_steps=3, learning_rate_end=0.2),
        "tiny-image-prompts": tiny("a castle", image_prompts=pictures, overview=0.5, overview_end=0.0),
        "tiny-init": tiny(start="init", init_image=png(), init_weight=0.5, total_variation=0.5, variation=0.2),
        "tiny-varied": tiny(**child, variation=0.4, parent=tiny(steps=3, ema=0.5)),
        "tiny-prior": tiny("an apple and a castle", start="prior", pull=0.5),
        "tiny-coarse": tiny(size="96x64", coarse=0.5, ema=0.6, optimiser="adamw"),
        "tiny-pixels": tiny(start="pixels", cut_power=2.0, cut_min=0.1, **augmented),
        "ensemble-two": tiny("a castle | fog:-1", optimiser="radam"),
        "ensemble-groups": tiny("a blue boat", cutouts=7),
        "starter-apple": apple,
        "starter-child": starter("a green apple", suggested, **child, parent=apple, coarse=0.0, init_weight=0.0),
    }


def save(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_record_pictures_and_snapshots(request: pytest.FixtureRequest, png: Png) -> None:
    shutil.rmtree(DATA / "pictures", ignore_errors=True)
    sets: dict[str, Models] = {
        kind: request.getfixturevalue(fixture)
        for kind, fixture in {"tiny": "models", "ensemble": "ensemble", "starter": "starter"}.items()
    }
    losses = {}
    for name, wanted in requests(png, Settings().merged(sets["starter"].defaults)).items():
        dream = Dream(wanted, sets[name.partition("-")[0]], cutouts_at_once=GROUP.get(name))
        while not dream.finished:
            if dream.progress.step == SNAPSHOTS.get(name):
                save(DATA / "snapshots" / f"{name}.safetensors", dream.snapshot())
            dream.step()
        picture, losses[name] = dream.picture(), dream.losses
        recipe = recipe_to_json(Recipe(request=picture.request, made_with=picture.made_with))
        save(DATA / "pictures" / f"{name}.png", encode(picture.image, "png", recipe))
        if name == "tiny-image-prompts":
            small = picture.image.resize((32, 32))
            for kind in ("png", "jpeg", "webp"):
                save(DATA / "recipes" / f"recipe.{kind}", encode(small, kind, recipe))
            save(DATA / "recipes" / "recipe.json", recipe.encode())
    save(DATA / "losses.json", json.dumps(losses, indent=1).encode() + b"\n")
    save(DATA / "machine.json", json.dumps(this_machine(), indent=1).encode() + b"\n")


async def test_record_what_a_bot_leaves_behind(tmp_path: Path, models: Models, png: Png) -> None:
    target = DATA / "bot"
    bench = RealService(tmp_path, load_config(target / "config.yaml"))
    bench.engine = engine = TinyDreamer(models)
    await bench.start()
    await decide(bench)
    await paint(bench, png)
    await leave_under_way(bench)
    for kind in Kind:
        folder = kind.value[0]
        shutil.rmtree(target / folder, ignore_errors=True)
        shutil.copytree(tmp_path / folder, target / folder)
    await bench.service.store.backup(DataFolder(target).database)
    shrink(DataFolder(target).database)
    facts = await database_facts(bench.service.store)
    save(target / "facts.json", json.dumps(facts, indent=1, sort_keys=True).encode() + b"\n")
    engine.open.set()
    await bench.service.close()


async def decide(bench: RealService) -> None:
    """Apply the settings that admins of two servers make."""
    admin, guilds, words = requester(BEN, manages=True), bench.service.guilds, bench.service.words
    await guilds.set_limit(admin, "steps", 300)
    await guilds.set_limit(admin, "count", 2)
    await guilds.set_limit(admin, "count", 4, role_id=77)
    await guilds.set_limit(admin, "priority", 3, role_id=77)
    await guilds.set_channel(admin, CHANNEL, True)
    await guilds.set_channel(admin, CHANNEL + 1, False)
    await guilds.set_safety(admin, mode=Safety.SPOILER, report_channel_id=CHANNEL + 2)
    await guilds.set_retention(admin, 30)
    await words.add_style(admin, "Ink", "an ink drawing:0.5")
    await words.add_block(admin, "Bad  word*")
    await guilds.pause(requester(BEN, manages=True, guild_id=GUILD + 1))
    await bench.service.store.figures.put_note("commands", "a digest")


async def paint(bench: RealService, png: Png) -> None:
    """Jobs that have come to an end, of each kind."""
    service, engine = bench.service, bench.engine
    roles = requester(role_ids=frozenset({77}), locale="de")
    first = await order(bench, JobSpec(prompt="a red apple | fog:-0.5", settings={"seed": 11}, count=2), roles)
    await bench.post(first.id, 901)
    second = (
        await service.submissions.go_on(requester(BEN), first.id, 2, FollowUp(kind=Origin.VARY, strength=0.4))
    ).job
    await bench.post(second.id, 902)
    third = (
        await service.submissions.go_on(
            requester(), second.id, 1, FollowUp(kind=Origin.REMIX, prompt="a castle ^ a ruin")
        )
    ).job
    await bench.post(third.id, 903)
    pictured = JobSpec(
        prompt="a boat",
        settings={"steps": 4},
        style="ink",
        negative="rain",
        image_prompts=(ImageInput(data=png(), weight=0.5),),
        init_image=png(),
        private=True,
        timelapse=True,
    )
    await bench.post((await order(bench, pictured)).id, 904)
    await service.reports.add(requester(BEN), first.id, 1, ReportReason.OTHER, "not an apple")

    engine.faults = [GeneratorError(Message("The loss is no number any more; choose a lower learning rate."))]
    await bench.reaches((await order(bench, JobSpec(prompt="a runaway"))).id, JobState.FAILED)
    engine.faults = [ZeroDivisionError()]
    broken = await bench.reaches((await order(bench, JobSpec(prompt="a fault"))).id, JobState.FAILED)
    await service.post.mark_told(broken.id)

    engine.remarks[REMARKS], engine.held[REMARKS] = tuple(every_message()), 2
    early = await order(bench, JobSpec(prompt=REMARKS, settings={"steps": 50}))
    await until(lambda: held(bench))
    cancelled = await order(bench, JobSpec(prompt="unwanted"))
    await service.cancel(requester(BEN, manages=True), cancelled.id)
    await service.finish_early(requester(), early.id)
    engine.open.set()
    await bench.post(early.id, 905)


async def leave_under_way(bench: RealService) -> None:
    """Jobs that are posted, running and queued when the process ends."""
    service, engine = bench.service, bench.engine
    posting, closed = (
        await order(bench, JobSpec(prompt="a letter")),
        await order(bench, JobSpec(prompt="a closed door")),
    )
    for job in (posting, closed):
        await bench.reaches(job.id, JobState.POSTING)
    await service.post.wait_for_access(closed.id, Sentence.of("channel_closed", channel="<#200>"))
    engine.step_s, engine.held[RUNNING] = 0.1, 3
    running = await order(bench, JobSpec(prompt=RUNNING, settings={"steps": 6, "seed": 21, "ema": 0.5}))
    await until(lambda: held(bench))
    await until(lambda: snapshot_of(bench, running))
    await service.submissions.go_on(requester(), 1, 1, FollowUp(kind=Origin.UPSCALE))
    await service.submissions.go_on(requester(), 2, 1, FollowUp(kind=Origin.AGAIN))
    await order(bench, JobSpec(prompt="a secret", private=True), requester(BEN, guild_id=GUILD + 1))


async def order(bench: RealService, spec: JobSpec, who: Requester | None = None) -> Job:
    return (await bench.service.submissions.submit(who or requester(), spec)).job


async def held(bench: RealService) -> bool | None:
    """True once a dream waits before the step at which it is held."""
    await asyncio.sleep(0.2)  # news of the steps before it are on their way
    return None if bench.engine.open.is_set() else True


async def snapshot_of(bench: RealService, job: Job) -> bytes | None:
    data = bench.files.read(Kind.SNAPSHOT, job.id, 1)
    now = await bench.service.store.jobs.get(job.id)
    return data if now is not None and now.attempts == 0 else None


def shrink(database: Path) -> None:
    """Copy a database into small pages, so that its empty tables take less room."""
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        for statement in ("PRAGMA journal_mode = DELETE", "PRAGMA page_size = 1024", "VACUUM"):
            db.execute(statement)


def every_message() -> list[Message]:
    """All messages of the generator for Discord, each placeholder filled with a number."""
    templates = sorted(texts("de").keys() - texts("en").keys())
    assert len(templates) > 50
    return [
        Message(template, **{name: 7 for _, name, _, _ in string.Formatter().parse(template) if name})
        for template in templates
    ]
