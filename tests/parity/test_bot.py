"""The data folder of an earlier version: today's bot reads it and finishes its jobs."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from bot.environment import load_config
from bot.errors import NotFound
from bot.files import DataFolder, Kind
from bot.frontend.components.buttons import ACTIONS as BUTTON_ACTIONS
from bot.frontend.messages.job_buttons import JobButton, job_button
from bot.frontend.registry import DYNAMIC_ITEMS
from bot.jobs import JobState, Origin
from bot.service import FollowUp, Whose
from bot.store import Store
from bot.texts import AS_IT_IS, LANGUAGES, Sentence
from generator import Models, read_recipe, request_from_json, request_to_json
from tests.bot.real_service import GUILD, RealService, requester
from tests.parity.facts import database_facts, keeps
from tests.parity.tiny_dreamer import TinyDreamer

RECORD = Path(__file__).parent / "data" / "bot"
CONFIG = RECORD / "config.yaml"
LETTER, CLOSED, RUNNING, UPSCALED, AGAIN, PAUSED = 9, 10, 11, 12, 13, 14
"""The jobs that were under way."""
PLACEHOLDER = re.compile(r"{\w+}")
ACTIONS = (
    "again", "vary", "continue", "remix", "upscale", "timelapse", "recipe", "delete", "report", "finish", "cancel",
    "show", "erase",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """A copy of the recorded data folder."""
    shutil.copytree(RECORD, tmp_path / "data")
    return DataFolder(tmp_path / "data")


@pytest_asyncio.fixture
async def bench(folder: DataFolder, models: Models) -> AsyncIterator[RealService]:
    """A bot that begins with that copy."""
    bench = RealService(folder.root, load_config(CONFIG))
    bench.engine = TinyDreamer(models)
    await bench.start()
    yield bench
    await bench.service.close()


@pytest_asyncio.fixture
async def store(folder: DataFolder) -> AsyncIterator[Store]:
    """The database of that copy, brought up to date."""
    store = Store(folder.database)
    await store.open()
    yield store
    await store.close()


def stored(column: str, table: str) -> list[str]:
    """All values of a column of the recorded database."""
    with closing(sqlite3.connect(f"{RECORD.as_uri()}/reverie.db?immutable=1", uri=True)) as db:
        return [value for (value,) in db.execute(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")]  # noqa: S608


REASONS = [Sentence.from_json(text) for text in stored("reason", "jobs")]
SAID_BY_GENERATOR = [
    *(Sentence.from_json(text) for warnings in stored("warnings", "pictures") for text in json.loads(warnings)),
    *(value for reason in REASONS for _, value in reason.values if isinstance(value, Sentence)),
]


async def test_all_that_was_in_the_database_is_read_as_it_was(store: Store) -> None:
    facts = await database_facts(store)
    assert keeps(json.loads(json.dumps(facts)), json.loads((RECORD / "facts.json").read_text("utf-8")))


def test_every_stored_recipe_is_written_as_it_was() -> None:
    recipes = stored("recipe", "recipes")
    assert len(recipes) == 14
    for recipe in recipes:
        assert keeps(json.loads(request_to_json(request_from_json(recipe))), json.loads(recipe))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_stored_reason_still_has_its_text(language: str) -> None:
    assert len(REASONS) == 4
    assert [reason.key for reason in REASONS if reason.said(language) == reason.key] == []
    assert [reason.key for reason in REASONS if PLACEHOLDER.search(reason.said(language))] == []


def test_every_stored_message_of_the_generator_is_still_translated() -> None:
    assert len(SAID_BY_GENERATOR) > 50
    assert AS_IT_IS not in {message.key for message in SAID_BY_GENERATOR}
    assert [message.key for message in SAID_BY_GENERATOR if message.said("de") == message.said("en")] == []
    assert [message.key for message in SAID_BY_GENERATOR if PLACEHOLDER.search(message.said("de"))] == []


async def test_unfinished_jobs_are_resumed_and_finished(bench: RealService) -> None:
    service = bench.service
    for job_id in (RUNNING, UPSCALED, AGAIN):
        await bench.reaches(job_id, JobState.POSTING)
    assert bench.engine.resumed == [3]
    waiting = [job.id for job in await service.store.jobs.under_way() if job.state is JobState.QUEUED]
    assert waiting == [PAUSED]
    for job_id in (LETTER, CLOSED, RUNNING, UPSCALED, AGAIN):
        assert (await bench.post(job_id)).state is JobState.DONE
    picture = bench.files.read(Kind.PICTURE, UPSCALED, 1)
    assert picture is not None
    request = read_recipe(picture).request
    assert str(request.settings.size) == "64x64"
    assert request.parent == await service.archive.request(requester(), 1, 1)


async def test_finished_pictures_are_shown_gone_on_from_and_deleted(bench: RealService) -> None:
    service = bench.service
    page = await service.archive.gallery(requester(), whose=Whose.SERVER)
    assert {entry.job.id for entry in page.entries} >= {1, 2, 3, 4, 7}
    for job_id, number in ((1, 0), (1, 2), (2, 1), (3, 1), (4, 1), (7, 1)):
        shown = await service.archive.file(requester(), job_id, number, limit_bytes=10**7)
        assert shown.data.startswith(b"\x89PNG")
    vary = await service.submissions.go_on(requester(), 3, 1, FollowUp(kind=Origin.VARY))
    await bench.post(vary.job.id)
    await service.archive.delete(requester(), 1)
    with pytest.raises(NotFound):
        await service.archive.file(requester(), 1, 1, limit_bytes=10**7)


async def test_admin_settings_still_apply(bench: RealService) -> None:
    service = bench.service
    own = await service.guilds.limits(GUILD)
    assert (own.steps, own.count, own.priority, own.cutouts) == (300, 2, 1, 48)
    role = await service.guilds.limits(GUILD, frozenset({77}))
    assert (role.count, role.priority) == (4, 3)
    assert await service.guilds.retention_days(GUILD) == 30
    safety, reports = await service.guilds.safety(GUILD)
    assert (safety.value, reports) == ("spoiler", 202)
    assert not await service.guilds.is_open(requester(channel_id=201))
    assert await service.guilds.paused(GUILD + 1)
    assert (await service.words.style(GUILD, "ink")).text == "an ink drawing:0.5"
    assert await service.words.find_block(GUILD, "a BAD word's end") is not None


def test_every_key_of_config_yaml_is_read() -> None:
    given = yaml.safe_load(CONFIG.read_text("utf-8"))
    given["models"] = {"default": given["models"], "offered": []}  # a name alone stands for the section
    read = asdict(load_config(CONFIG))
    # Later versions add keys; those of this file mean what they meant.
    for key, value in given.items():
        found = {name: read[key][name] for name in value} if isinstance(value, dict) and key != "styles" else read[key]
        assert found == value


@pytest.mark.parametrize("action", ACTIONS)
async def test_a_button_below_an_old_message_finds_its_job_and_action(action: str) -> None:
    custom_id = f"reverie:{action}:123456789012345678:4"
    match = JobButton.__discord_ui_compiled_template__.fullmatch(custom_id)
    assert match is not None
    made = job_button(action, 123456789012345678, "en", 4)
    button = await JobButton.from_custom_id(None, made.item, match)
    assert (button.action, button.job_id, button.number) == (action, 123456789012345678, 4)
    assert action in BUTTON_ACTIONS
    assert made.custom_id == custom_id


@pytest.mark.parametrize(
    "custom_id",
    ["reverie-gallery:mine:2", "reverie-gallery:server:1", "reverie-open", "reverie-own:export", "reverie-own:forget",
     "reverie-own:sure", *(f"reverie:{action}:1:1" for action in ACTIONS)],
)  # fmt: skip
def test_every_old_custom_id_belongs_to_one_kind_of_item(custom_id: str) -> None:
    found = [item for item in DYNAMIC_ITEMS if item.__discord_ui_compiled_template__.fullmatch(custom_id)]
    assert len(found) == 1
