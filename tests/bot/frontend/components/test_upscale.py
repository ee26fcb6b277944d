"""The button Upscale of a host who has an upscaler."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.config import Config
from bot.jobs import Origin
from tests.bot.frontend.client_in_simcord import ClientInSimcord, reply_of


@pytest.fixture
def config(config: Config) -> Config:
    return replace(config, upscaler="models/4x Sharp.pth")


async def test_upscale_asks_which_way_and_does_it(stage: ClientInSimcord) -> None:
    message = await stage.finished_job()
    asked = reply_of(await stage.ann.click(message, label="Upscale"))
    assert "**Subtle** enlarges the picture as it is, by own-4x-Sharp" in asked.content
    await stage.ann.click(asked, label="Upscale (Subtle)")
    job = await stage.ended(2)
    assert (job.origin, str(job.settings.size), job.settings.upscaler) == (Origin.ENLARGE, "64x64", "own-4x-Sharp")
    first, second = stage.engine.begun
    assert second == replace(first, settings=first.settings.merged({"upscaler": "own-4x-Sharp"}))
    await stage.ann.click(asked, label="Upscale (Creative)")
    job = await stage.ended(3)
    assert (job.origin, str(job.settings.size)) == (Origin.UPSCALE, "128x128")


async def test_an_enlarged_picture_is_not_enlarged_again_and_its_children_are_small(stage: ClientInSimcord) -> None:
    await stage.finished_job()
    message = stage.message()
    asked = reply_of(await stage.ann.click(message, label="Upscale"))
    await stage.ann.click(asked, label="Upscale (Subtle)")
    await stage.ended(2)
    asked = reply_of(await stage.ann.click(stage.message(), label="Upscale"))
    refused = await stage.ann.click(asked, label="Upscale (Subtle)")
    assert "This picture is already enlarged." in reply_of(refused).content
    await stage.ann.click(stage.message(), label="Vary")
    assert (await stage.ended(3)).settings.upscaler == "none"
    await stage.ann.click(stage.message(1), label="Again")
    assert (await stage.ended(4)).settings.upscaler == "own-4x-Sharp"
