"""Damage to each page of the database in turn: the start refuses it, or all data is intact."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from bot.errors import StoreError
from bot.jobs import Job, JobState
from bot.store import Store
from generator import Settings

PAGE = 4_096
JOBS = 12


async def make(path: Path) -> None:
    """A database with jobs in several states, large enough for some pages."""
    store = Store(path)
    await store.open()
    draft = Job(guild_id=1, channel_id=2, user_id=3, prompt="x" * 900, models="starter", settings=Settings(seed=7))
    for number in range(JOBS):
        job = await store.jobs.add(draft, "{" + "y" * 3_000 + "}", lambda load: None)
        if number % 2:
            await store.jobs.move(job.id, JobState.RUNNING)
    await store.close()


async def read_all(path: Path) -> None:
    """Open it and read everything that the bot reads at a start.

    Raises:
        StoreError: with a sentence.
    """
    store = Store(path)
    await store.open()
    try:
        jobs = await store.jobs.under_way()
        assert len(jobs) == JOBS
        assert all([await store.jobs.recipe(job.id) for job in jobs])
        await store.guilds.settings(1)
        await store.figures.speeds()
    finally:
        await store.close()


@pytest.mark.parametrize("harm", [b"\xff" * PAGE, bytes(PAGE)], ids=["ones", "zeros"])
async def test_a_damaged_page_is_refused_with_what_to_do_or_does_no_harm(tmp_path: Path, harm: bytes) -> None:
    whole, hurt = tmp_path / "whole.db", tmp_path / "reverie.db"
    await make(whole)
    pages = whole.stat().st_size // PAGE
    refused = 0
    for page in range(pages):
        await asyncio.to_thread(shutil.copy, whole, hurt)
        with hurt.open("r+b") as file:
            file.seek(page * PAGE)
            file.write(harm)
        try:
            await read_all(hurt)
        except StoreError as exc:
            assert exc.sentence.key in ("store_damaged", "store_foreign") and str(hurt) in str(exc)
            refused += 1
        for beside in tmp_path.glob("reverie.db-*"):
            beside.unlink()
    assert pages > 15 and refused > pages // 2, f"{refused} of {pages}"
    await read_all(whole)
