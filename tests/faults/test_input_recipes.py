"""Hostile recipes, given to the whole service as by /again, are refused with a message and affect no one else."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.errors import Refused
from bot.jobs import JobState
from generator import InvalidRequest, Settings, read_recipe
from tests.bot.real_service import RealService, requester
from tests.faults.hostile_recipes import FILES, in_jpeg, in_png, in_webp, nested, recipe
from tests.faults.steps import in_short_steps

QUICK = Settings().merged({"size": "64x64", "steps": 4, "cutouts": 4}).as_dict()


@pytest.mark.parametrize("name", FILES)
async def test_a_hostile_recipe_is_refused_with_a_message_and_blocks_no_one(bench: RealService, name: str) -> None:
    data = FILES[name]()

    async def send() -> str:
        with pytest.raises(Refused) as refused:
            await bench.service.submissions.again_from_file(requester(), data)
        return refused.value.sentence.said("en")

    said = await in_short_steps(send())
    assert said.endswith(".") and len(said) < 600
    assert await bench.service.mine(requester()) == []


@pytest.mark.parametrize("wrap", [in_png, in_jpeg, in_webp, bytes])
async def test_a_valid_recipe_works_from_any_file(bench: RealService, wrap: Any) -> None:  # noqa: ANN401
    data = wrap(recipe(prompt="a boat", settings=QUICK))
    submitted = await bench.service.submissions.again_from_file(requester(), data)
    assert submitted.job.prompt == "a boat"
    await bench.reaches(submitted.job.id, JobState.POSTING)


async def test_the_person_who_uses_a_recipe_owns_the_job(bench: RealService) -> None:
    content = json.loads(recipe(settings=QUICK))
    for name in ("guild_id", "user_id", "channel_id", "parent_id", "private", "priority"):
        with pytest.raises(Refused, match="unknown key"):
            await bench.service.submissions.again_from_file(requester(), json.dumps({**content, name: 1}).encode())
    job = (await bench.service.submissions.again_from_file(requester(7), json.dumps(content).encode())).job
    assert (job.user_id, job.guild_id, job.parent_id, job.private) == (7, requester().guild_id, None, False)


async def test_the_longest_line_of_parents_is_looked_through_for_words_without_delay(bench: RealService) -> None:
    admin = requester(99, manages=True)
    for number in range(200):
        await bench.service.words.add_block(admin, f"w{number}* x y z")
    prompts = " ^ ".join(" | ".join(f"{chr(97 + n % 26)}{n}" for n in range(13)) for _ in range(28))[:1990]
    data = nested(30, prompt=prompts.rstrip("| ^"), settings=QUICK)

    async def send() -> int:
        return (await bench.service.submissions.again_from_file(requester(), data)).job.id

    bench.engine.open.clear()
    assert await in_short_steps(send())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
wraps = st.sampled_from([in_png, in_jpeg, in_webp, bytes])


@given(json_values, wraps, st.binary(max_size=12), st.integers(0, 2_000))
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_anything_in_a_picture_is_read_or_refused(value: object, wrap: Any, junk: bytes, at: int) -> None:  # noqa: ANN401
    content = json.loads(recipe())
    name = sorted(content["request"])[at % len(content["request"])]
    content["request"][name] = value
    data = wrap(json.dumps(content).encode())
    for attempt in (data, data[: at % len(data)], data[:at] + junk + data[at:]):
        try:
            read_recipe(attempt)
        except InvalidRequest as refused:
            assert str(refused).endswith(".")


async def test_no_file_comes_into_being_by_a_refusal(bench: RealService) -> None:
    for name in ("model is a path", "picture is a path", "parents beyond the limits"):
        with pytest.raises(Refused):
            await bench.service.submissions.again_from_file(requester(), FILES[name]())
    assert {path.name.split("-")[0] for path in bench.files.root.iterdir()} <= {"reverie.db", "reverie.lock"}
    with sqlite3.connect(bench.files.database) as db:
        assert db.execute("SELECT count(*) FROM jobs").fetchone() == (0,)
    db.close()
