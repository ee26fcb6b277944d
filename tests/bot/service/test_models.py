"""Model sets by job: offered by the host, narrowed by a server, kept by follow-ups and recipes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from bot.config import Config, ModelSets
from bot.errors import InvalidJobSpec, NotFound, NotOwner, WrongState
from bot.jobs import Origin
from bot.service import FollowUp, JobSpec
from tests.bot.real_service import GUILD, QUICK, RealService, requester

ADMIN = requester(manages=True)


@pytest_asyncio.fixture
async def bench(tmp_path: Path, config: Config) -> AsyncIterator[RealService]:
    models, limits = ModelSets(offered=["faceshq", "wikiart-1024"]), replace(config.limits, queue_user=20)
    config = replace(config, models=models, limits=limits)
    bench = RealService(tmp_path / "data", config)
    await bench.start()
    yield bench
    await bench.service.close()


async def test_a_job_has_the_chosen_models_or_the_usual_ones(bench: RealService) -> None:
    submit = bench.service.submissions.submit
    chosen = (await submit(requester(), JobSpec(prompt="a face", settings=QUICK, model="faceshq"))).job
    typed = (await submit(requester(), JobSpec(prompt="a face --model wikiart-1024", settings=QUICK))).job
    assert (chosen.models, typed.models, (await bench.imagine()).models) == ("faceshq", "wikiart-1024", "starter")
    with pytest.raises(InvalidJobSpec, match="starter, faceshq, wikiart-1024"):
        await submit(requester(), JobSpec(prompt="a face", model="imagenet-1024"))


async def test_follow_ups_and_recipes_keep_the_models(bench: RealService) -> None:
    service = bench.service
    spec = JobSpec(prompt="a face", settings=QUICK, model="faceshq")
    job = await bench.post((await service.submissions.submit(requester(), spec)).job.id)
    for kind in (Origin.AGAIN, Origin.VARY):
        assert (await service.submissions.go_on(requester(), job.id, 1, FollowUp(kind=kind))).job.models == "faceshq"
    recipe = (await service.archive.recipe(requester(), job.id)).encode()
    assert (await service.submissions.again_from_file(requester(), recipe)).job.models == "faceshq"
    with pytest.raises(InvalidJobSpec, match="model"):
        other = FollowUp(kind=Origin.REMIX, prompt="a sea --model starter")
        await service.submissions.go_on(requester(), job.id, 1, other)
    await service.guilds.allow_models(ADMIN, "faceshq", allowed=False)
    with pytest.raises(InvalidJobSpec, match="cannot be used here"):
        await service.submissions.go_on(requester(), job.id, 1, FollowUp(kind=Origin.AGAIN))
    with pytest.raises(InvalidJobSpec, match="cannot be used here"):
        await service.submissions.again_from_file(requester(), recipe)


async def test_a_server_narrows_the_models_and_chooses_its_usual_ones(bench: RealService) -> None:
    guilds = bench.service.guilds
    assert (await guilds.models(GUILD)).allowed == ("starter", "faceshq", "wikiart-1024")
    assert (await guilds.set_usual_models(ADMIN, "wikiart-1024")).usual == "wikiart-1024"
    assert (await bench.imagine()).models == "wikiart-1024"
    left = await guilds.allow_models(ADMIN, "wikiart-1024", allowed=False)
    assert (left.allowed, left.usual) == (("starter", "faceshq"), "starter")
    await guilds.allow_models(ADMIN, "starter", allowed=False)
    with pytest.raises(WrongState):
        await guilds.allow_models(ADMIN, "faceshq", allowed=False)
    assert (await guilds.set_usual_models(ADMIN, "starter")).allowed == ("starter", "faceshq")
    with pytest.raises(NotFound):
        await guilds.allow_models(ADMIN, "imagenet-1024", allowed=True)
    with pytest.raises(NotOwner):
        await guilds.set_usual_models(requester(), "faceshq")
    assert (await guilds.models(GUILD + 1)).allowed == ("starter", "faceshq", "wikiart-1024")


async def test_a_persons_default_counts_where_it_is_allowed_and_changes_no_recipe(bench: RealService) -> None:
    service = bench.service
    before = await bench.post((await bench.imagine()).id)
    await service.personal_settings.change(requester().user_id, "model", "faceshq")
    assert (await bench.imagine()).models == "faceshq"
    typed = JobSpec(prompt="a face --model wikiart-1024", settings=QUICK)
    assert (await service.submissions.submit(requester(), typed)).job.models == "wikiart-1024"
    for kind in (Origin.AGAIN, Origin.VARY, Origin.UPSCALE, Origin.FILM):
        assert (await service.submissions.go_on(requester(), before.id, 1, FollowUp(kind=kind))).job.models == "starter"
    recipe = (await service.archive.recipe(requester(), before.id)).encode()
    assert (await service.submissions.again_from_file(requester(), recipe)).job.models == "starter"
    await service.guilds.set_usual_models(ADMIN, "wikiart-1024")
    assert (await bench.imagine()).models == "faceshq"
    await service.guilds.allow_models(ADMIN, "faceshq", allowed=False)
    assert (await bench.imagine()).models == "wikiart-1024"
    assert (await bench.imagine(who=requester(3))).models == "wikiart-1024"
