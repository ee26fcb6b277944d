"""The local preview: the same client behind a page."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import pytest

from bot.config import Config, Discord, Timing
from bot.frontend.preview import server
from bot.frontend.preview.server import GUILD_ID, Waits, staged
from bot.service import Requester
from bot.wiring import build
from tests.bot.fake_dream import FakeDreamer
from tests.bot.frontend.client_in_simcord import SETTINGS
from tests.bot.real_service import until


async def test_progress_and_the_picture_are_published_without_anybodys_doing(tmp_path: Path, config: Config) -> None:
    config = replace(config, timing=Timing(preview_s=0.5, snapshot_s=1.0), discord=Discord(edit_interval_s=1.0))
    engine, waits = FakeDreamer(step_s=0.02), Waits()
    client = build(config, tmp_path, engine, SETTINGS, external_wait=waits, shard_count=1)
    async with staged(client, waits, 0) as scene:
        assert scene.page.url.startswith("http://127.0.0.1:")
        assert [viewer.name for viewer in scene.page.viewers] == ["you", "admin"]
        assert abs(scene.env.now().timestamp() - time.time()) < 5
        member = scene.page.viewers[0]
        await member.slash(scene.channel, "imagine", prompt="a red apple", steps=400)
        seen = set[str]()
        end = time.time() + 30
        while time.time() < end and not any(text.startswith("**Done**") for text in seen):
            await asyncio.sleep(0.1)
            published = next(iter(scene.page._pages.values())).snapshot
            seen |= {str(message["content"]) for message in published["messages"].values()}
        assert any("` step " in text for text in seen), seen
        assert any(text.startswith("**Done**") for text in seen), seen
        assert abs(scene.env.now().timestamp() - time.time()) < 5


async def test_it_begins_without_a_warning(tmp_path: Path, config: Config, caplog: pytest.LogCaptureFixture) -> None:
    waits = Waits()
    client = build(config, tmp_path, FakeDreamer(), SETTINGS, external_wait=waits, shard_count=1)
    async with staged(client, waits, 0):
        assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_second_start_knows_the_commands_and_whose_pictures_there_are(tmp_path: Path, config: Config) -> None:
    for start in (1, 2):
        waits = Waits()
        client = build(config, tmp_path, FakeDreamer(), SETTINGS, external_wait=waits, shard_count=1)
        async with staged(client, waits, 0) as scene:
            member = scene.page.viewers[0]
            assert "imagine" in member.available_commands(scene.channel)
            assert scene.env.bot.user is not None and scene.env.bot.user.name == "Reverie"
            if start == 1:
                answer = await member.slash(scene.channel, "imagine", prompt="a red apple")
                assert answer.response is not None and "a red apple" in str(answer.response.embeds[0].description)
                while await client.service.store.jobs.under_way():
                    await asyncio.sleep(0.05)
            else:
                requester = Requester(guild_id=GUILD_ID, channel_id=scene.channel.id, user_id=member.id)
                assert (await client.service.archive.gallery(requester, mine=True)).total == 1


@pytest.mark.parametrize("year", [1971, 2004, 2300])
async def test_pictures_are_painted_although_the_clock_is_wrong_by_years(
    year: int, tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    shift_s = datetime(year, 1, 1, tzinfo=UTC).timestamp() - time.time()

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(seconds=shift_s)

    monkeypatch.setattr(server, "datetime", Wrong)
    waits = Waits()
    client = build(config, tmp_path, FakeDreamer(), SETTINGS, external_wait=waits, shard_count=1)
    async with staged(client, waits, 0) as scene:
        await scene.page.viewers[0].slash(scene.channel, "imagine", prompt="a red apple")

        async def posted() -> bool | None:
            return any(message.attachments for message in scene.channel.history()) or None

        await until(posted)
