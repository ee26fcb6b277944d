"""Hostile pictures, given to the whole service, are refused or used without effect on other people."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from bot.errors import InvalidJobSpec
from bot.jobs import JobState
from bot.service import ImageInput, JobSpec
from generator import InvalidRequest, normalise
from generator.images.files import KEPT_PIXELS
from tests.bot.real_service import QUICK, RealService, requester
from tests.faults.hostile_pictures import FILES, flat_png, saved
from tests.faults.steps import in_short_steps

GOOD = {
    "polyglot", "png of 16 megapixels", "png of 16 bits", "png of 16 bits and four channels", "png of one bit",
    "png with palette", "jpeg of 16 megapixels", "jpeg in cmyk", "jpeg of fifty scans", "jpeg turned",
    "jpeg turned in an unknown way",
    "gif of 16 megapixels", "gif animated", "webp animated", "webp of 49 megapixels",
}  # fmt: skip
"""Hostile pictures that can be used all the same."""


@pytest.mark.parametrize("name", FILES)
async def test_a_hostile_picture_is_used_or_refused_and_blocks_no_one(bench: RealService, name: str) -> None:
    data = FILES[name]()

    async def attach() -> str:
        spec = JobSpec(prompt="a", settings=QUICK, image_prompts=(ImageInput(data=data),))
        try:
            job = (await bench.service.submissions.submit(requester(), spec)).job
        except InvalidJobSpec as exc:
            return exc.sentence.said("en")
        await bench.service.cancel(requester(), job.id)
        return ""

    bench.engine.open.clear()
    said = await in_short_steps(attach())
    bench.engine.open.set()
    if name in GOOD:
        assert said == ""
    else:
        assert said.endswith(".") and len(said) < 300
        assert "took" not in said and "Error" not in said


async def test_many_bombs_at_once_leave_the_bot_to_the_others(bench: RealService) -> None:
    data = flat_png(3_000, 3_000, 16, 6)
    spec = JobSpec(prompt="a", settings=QUICK, init_image=data)
    attached = [
        asyncio.create_task(bench.service.submissions.submit(requester(10 + number), spec)) for number in range(5)
    ]
    # A request meanwhile does not wait for the five.
    job = await bench.imagine(who=requester(9))
    assert not all(task.done() for task in attached)
    assert {submitted.job.state for submitted in await asyncio.gather(*attached)} == {JobState.QUEUED}
    await bench.reaches(job.id, JobState.POSTING)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_file_that_ends_anywhere_is_read_or_refused(file_format: str) -> None:
    data = saved("RGB", (24, 16), file_format)
    outcomes = {True: 0, False: 0}
    for end in range(len(data)):
        try:
            picture = Image.open(BytesIO(normalise(data[:end])))
        except InvalidRequest as exc:
            assert str(exc).endswith(".")
            outcomes[False] += 1
        else:
            assert picture.size == (24, 16) and picture.mode == "RGB"
            outcomes[True] += 1
    assert outcomes[False] > len(data) // 2
    assert sum(outcomes.values()) == len(data)


def test_every_accepted_picture_is_small_afterwards() -> None:
    with Image.open(BytesIO(normalise(FILES["jpeg of 16 megapixels"]()))) as picture:
        assert picture.width * picture.height <= KEPT_PIXELS


async def test_nothing_is_written_but_into_the_data_folder(bench: RealService, tmp_path: Path) -> None:
    before = set(Path.cwd().iterdir())
    for name in ("polyglot", "eps", "svg", "gif animated"):
        with suppress(InvalidJobSpec):
            await bench.service.submissions.submit(
                requester(), JobSpec(prompt="a", settings=QUICK, init_image=FILES[name]())
            )
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    # Others may work in this folder; pictures they do not leave there.
    assert not [path for path in set(Path.cwd().iterdir()) - before if path.suffix in (".png", ".jpg", ".php", ".part")]
