"""Lack of memory in the middle of a picture: the job fails with a reason, and the next one works."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="denies memory as Linux does")
async def test_the_starter_survives_lack_of_memory_and_gives_the_same_picture_afterwards() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.cramped"),
        cwd=ROOT,
        # Memory freed by the first picture returns to the system, so that the others cannot reuse it.
        env=os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"},
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    before, denied, still_denied, after, deaths = map(json.loads, said.splitlines())
    assert len(before) == 64 and after == before
    for outcome in (denied, still_denied):
        assert outcome.startswith("OutOfMemory: There is too little memory even for a small picture")
    assert deaths == 0
