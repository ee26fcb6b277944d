"""The real dream, with tiny models, under the real thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
import torch

from bot.config import Config, ModelSets, Timing
from bot.files import DataFolder, Kind
from bot.jobs import JobState, Origin
from bot.service import FollowUp, JobSpec, Service
from bot.texts import Sentence
from bot.worker.engine import GeneratorEngine
from bot.worker.pool import WorkerPool
from bot.worker.protocol import Suggestions
from bot.worker.thread import ThreadWorker
from generator import CheckpointError, DeviceFailed, GenerationRequest, InvalidRequest, Models, OutOfMemory, Settings
from generator.runtime.memory import MemoryBudget
from tests.bot.real_service import requester, until
from tests.generator.optimisation.test_moving import as_from_a_gpu

TINY = {"size": "64x64", "steps": 6, "cutouts": 4, "start": "random", "seed": 3}


class TinyDreamer(GeneratorEngine):
    """Dreams with given models instead of loading any."""

    def __init__(self, models: Models) -> None:
        super().__init__(models.name, "cpu")
        self._sets.put(models)


@pytest.fixture
def config() -> Config:
    return Config(models=ModelSets(default="tiny"), timing=Timing(preview_s=0.05, snapshot_s=0.05))


@pytest_asyncio.fixture
async def begin(tmp_path: Path, config: Config, models: Models) -> AsyncIterator[Callable[[], Awaitable[Service]]]:
    """Starts a service on the same data; stops the earlier one."""
    begun: list[Service] = []

    async def start() -> Service:
        for service in begun:
            await service.close()
        timing = config.timing
        executor = WorkerPool(
            [ThreadWorker(TinyDreamer(models), preview_s=timing.preview_s, snapshot_s=timing.snapshot_s)]
        )
        begun.append(Service(config, DataFolder(tmp_path / "data"), executor))
        await begun[-1].start()
        return begun[-1]

    yield start
    for service in begun:
        await service.close()


@pytest_asyncio.fixture
async def service(begin: Callable[[], Awaitable[Service]]) -> Service:
    return await begin()


async def paint(service: Service, spec: JobSpec) -> int:
    job_id = (await service.submissions.submit(requester(), spec)).job.id
    return await generated(service, job_id)


async def generated(service: Service, job_id: int) -> int:
    async def there() -> int | None:
        job = await service.store.jobs.get(job_id)
        assert job is not None
        assert job.state is not JobState.FAILED, job.reason
        return job.id if job.state is JobState.POSTING else None

    return await until(there, 240)


def picture(root: Path, job_id: int) -> bytes:
    data = DataFolder(root / "data").read(Kind.PICTURE, job_id, 1)
    assert data is not None
    return data


async def test_a_request_becomes_a_picture_and_its_follow_up_continues_from_the_saved_latent(
    service: Service, tmp_path: Path
) -> None:
    first = await paint(service, JobSpec(prompt="a red apple | fog:-0.5", settings=TINY))
    saved = (await service.submissions.go_on(requester(), first, 1, FollowUp(kind=Origin.CONTINUE, steps=3))).job
    await generated(service, saved.id)
    # The same request without the saved latent: the parent is generated first, to the same bytes.
    DataFolder(tmp_path / "data").remove(Kind.LATENT, first, 1)
    recipe = await service.archive.recipe(requester(), saved.id)
    anew = (await service.submissions.again_from_file(requester(), recipe.encode())).job
    await generated(service, anew.id)
    assert picture(tmp_path, anew.id) == picture(tmp_path, saved.id)
    assert picture(tmp_path, first) != picture(tmp_path, saved.id)


async def test_an_interrupted_picture_ends_as_the_same_bytes(
    begin: Callable[[], Awaitable[Service]], tmp_path: Path
) -> None:
    service = await begin()
    whole = await paint(service, JobSpec(prompt="a castle", settings=TINY | {"steps": 12}))
    job_id = (
        await service.submissions.submit(requester(), JobSpec(prompt="a castle", settings=TINY | {"steps": 12}))
    ).job.id

    async def moves() -> bool | None:
        view = await service.view(job_id)
        return True if view is not None and view.progress is not None and view.progress.step else None

    await until(moves, 240)
    again = await begin()
    await generated(again, job_id)
    assert picture(tmp_path, job_id) == picture(tmp_path, whole)


def test_models_that_are_not_these_are_refused_with_a_sentence(models: Models) -> None:
    with pytest.raises(InvalidRequest) as caught:
        TinyDreamer(models).begin(GenerationRequest(prompt="x", models="own-mine"), None)
    said = Sentence.of_generator(caught.value.message)
    assert (
        said.said() == "This picture needs the models 'own-mine', and this bot paints with 'tiny' now; ask for it anew."
    )
    assert said.said("de").startswith("Dieses Bild braucht die Modelle 'own-mine'")


def test_a_picture_that_became_smaller_for_want_of_memory_goes_on_after_a_crash(models: Models) -> None:
    asked = GenerationRequest(prompt="x", models="tiny", settings=Settings().merged({**TINY, "size": "128x128"}))
    cramped = replace(models, budget=MemoryBudget(lambda: 4_000_000))
    dream = TinyDreamer(cramped).begin(asked, None)
    dream.step()
    assert dream.request.settings.size.width < 128
    assert TinyDreamer(models).resume(asked, dream.snapshot()).request == dream.request
    with pytest.raises(CheckpointError, match="another picture"):
        TinyDreamer(models).resume(replace(asked, prompt="y"), dream.snapshot())


def test_a_dreamer_says_what_it_is_and_what_suits_it(models: Models) -> None:
    engine = TinyDreamer(models)
    assert "cpu" in engine.describe()
    assert (engine.load(), engine.suggested("tiny")) == (Settings(), Suggestions(has_prior=True))


class FailingDreamer(TinyDreamer):
    """Fails its GPU; the reload there ends as `then`."""

    def __init__(self, models: Models, then: Exception | None, *, fall_back: bool = False) -> None:
        super().__init__(models)
        self._fall_back_to_cpu, self._then = fall_back, then
        self.loaded: list[tuple[str, str]] = []

    def _load(self, name: str, device: str, precision: str) -> Models:
        self.loaded.append((device, precision))
        if len(self.loaded) == 1 and self._then is not None:
            raise self._then
        models = self._sets.get(name)
        assert models is not None
        return replace(models, device=torch.device("cpu"))


GONE = [
    DeviceFailed("The GPU failed."),
    OutOfMemory("The models do not fit."),
    InvalidRequest("This machine has no GPU.", "device"),
]
A_PICTURE = GenerationRequest(prompt="x", models="tiny", settings=Settings().merged(TINY))


def test_after_a_gpu_failed_its_models_are_loaded_onto_it_anew_before_the_next_picture(models: Models) -> None:
    engine = FailingDreamer(replace(models, device=torch.device("cuda", 1)), None)
    engine.renew()
    engine.request_warnings(A_PICTURE)
    assert engine.loaded == []  # other threads must not wait for that
    for _ in range(2):
        engine.begin(A_PICTURE, None)
    assert engine.loaded == [("cuda:1", "auto")]


@pytest.mark.parametrize("then", GONE, ids=lambda error: type(error).__name__)
def test_with_a_lost_gpu_every_picture_fails_with_a_message(models: Models, then: Exception) -> None:
    engine = FailingDreamer(replace(models, device=torch.device("cuda", 0)), then)
    engine.renew()
    with pytest.raises(DeviceFailed, match="The GPU failed; start the program again"):
        engine.begin(A_PICTURE, None)
    assert engine.loaded == [("cuda:0", "auto")]
    engine.begin(A_PICTURE, None)  # the next picture detects the failure
    assert engine.loaded == [("cuda:0", "auto")] * 2


@pytest.mark.parametrize("then", GONE, ids=lambda error: type(error).__name__)
def test_with_fallback_the_cpu_continues_from_the_gpus_snapshot(models: Models, then: Exception) -> None:
    dream = TinyDreamer(models).begin(A_PICTURE, None)
    for _ in range(3):
        dream.step()
    engine = FailingDreamer(replace(models, device=torch.device("cuda", 0)), then, fall_back=True)
    engine.renew()
    resumed = engine.resume(A_PICTURE, as_from_a_gpu(dream.snapshot()))
    assert engine.loaded == [("cuda:0", "auto"), ("cpu", "auto")]
    assert resumed.progress.step == 3
    assert Sentence.of_generator(resumed.warnings[-1]).said("de").startswith("Das Gerät, auf dem dieses Bild begann")
    while not resumed.finished:
        resumed.step()
    assert "on cpu" in engine.describe()


async def test_the_loop_stays_free_during_a_real_dream(service: Service) -> None:
    job_id = (
        await service.submissions.submit(requester(), JobSpec(prompt="a castle", settings=TINY | {"steps": 12}))
    ).job.id
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.001)
            beats += 1

    task = asyncio.create_task(beat())
    await generated(service, job_id)
    task.cancel()
    assert beats > 10
