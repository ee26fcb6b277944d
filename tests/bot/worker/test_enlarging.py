"""Finished pictures enlarged by the real upscaler, under the real thread."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
import pytest_asyncio
import torch
from PIL import Image

from bot.config import Config, ModelSets, Timing
from bot.doctor.belongings import check_models
from bot.doctor.finding import State
from bot.errors import InvalidJobSpec
from bot.files import DataFolder, Kind
from bot.jobs import Origin
from bot.service import FollowUp, JobSpec, Service
from bot.worker.engine import GeneratorEngine
from bot.worker.pool import WorkerPool
from bot.worker.thread import ThreadWorker
from generator import Models, read_recipe
from tests.bot.real_service import requester
from tests.bot.worker.test_engine import TINY, generated, paint
from tests.generator.models.test_upscaler import network, saved


class Enlarging(GeneratorEngine):
    """Dreams with given models and the host's upscaler; counts what it begins."""

    def __init__(self, models: Models, config: Config) -> None:
        source = config.upscaler_source
        assert source is not None
        super().__init__(models.name, "cpu", upscaler=source)
        self._sets.put(replace(models, upscaler=source.load(torch.device("cpu"))))
        self.begun = 0

    def begin(self, *arguments: object) -> object:
        self.begun += 1
        return super().begin(*arguments)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("REVERIE_DATA", str(tmp_path))
    file = saved(tmp_path / "tiny.pth", network("Compact"))
    timing = Timing(preview_s=0.05, snapshot_s=0.05)
    return Config(models=ModelSets(default="tiny"), timing=timing, upscaler=str(file))


@pytest.fixture
def engine(models: Models, config: Config) -> Enlarging:
    return Enlarging(models, config)


@pytest_asyncio.fixture
async def service(tmp_path: Path, config: Config, engine: Enlarging) -> AsyncIterator[Service]:
    executor = WorkerPool([ThreadWorker(engine, preview_s=0.05, snapshot_s=0.05)])
    service = Service(config, DataFolder(tmp_path / "data"), executor, request_warnings=engine.request_warnings)
    await service.start()
    yield service
    await service.close()


def picture(root: Path, job_id: int) -> bytes:
    data = DataFolder(root / "data").read(Kind.PICTURE, job_id, 1)
    assert data is not None
    return data


async def test_a_picture_is_enlarged_from_its_end_and_its_recipe_gives_the_same_bytes(
    service: Service, engine: Enlarging, tmp_path: Path
) -> None:
    first = await paint(service, JobSpec(prompt="a red apple", settings=TINY))
    job = (await service.submissions.go_on(requester(), first, 1, FollowUp(kind=Origin.ENLARGE))).job
    await generated(service, job.id)
    assert engine.begun == 1
    large = picture(tmp_path, job.id)
    with Image.open(BytesIO(large)) as image:
        assert image.size == (128, 128)
    made_with = read_recipe(large).made_with
    assert made_with is not None and [*made_with.files] == ["tiny.pth"]
    again = await service.submissions.again_from_file(requester(), large)
    assert again.notes == (await service.submissions.again_from_file(requester(), picture(tmp_path, first))).notes
    await generated(service, again.job.id)
    assert picture(tmp_path, again.job.id) == large
    # Without the saved end it is painted again, to the same bytes.
    DataFolder(tmp_path / "data").remove(Kind.LATENT, first, 1)
    job = (await service.submissions.go_on(requester(), first, 1, FollowUp(kind=Origin.ENLARGE))).job
    await generated(service, job.id)
    assert picture(tmp_path, job.id) == large


async def test_another_upscaler_is_refused_with_a_sentence(service: Service) -> None:
    with pytest.raises(InvalidJobSpec, match="needs the upscaler 'RealESRGAN_x4plus', and here is only 'own-tiny'"):
        await service.submissions.submit(
            requester(), JobSpec(prompt="a cat --upscaler RealESRGAN_x4plus", settings=TINY)
        )


def test_the_doctor_looks_at_the_upscaler(config: Config) -> None:
    config = replace(config, models=ModelSets())
    assert [finding.state for finding in check_models(config)] == [State.OK, State.OK]
    missing, unknown = (replace(config, upscaler=name) for name in ("RealESRGAN_x2plus", "gone.pth"))
    assert "models fetch RealESRGAN_x2plus" in str(check_models(missing)[1].advice)
    assert "'gone.pth' is no file" in check_models(unknown)[1].found
