"""The real process loses no job or picture and posts none twice, for every network fault."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults.campaign import Plan
from tests.faults.network import Ordeal, run

pytestmark = pytest.mark.waits

QUIETER = (Ordeal.DROPPED, Ordeal.LIMITED, Ordeal.SLOW)
"""Each is had by the tests of tests/bot/discord too, one by one; here is time for ten."""


@pytest.mark.slow
async def test_ten_network_faults_lose_no_picture(tmp_path: Path) -> None:
    drawn = [ordeal for ordeal in Ordeal if ordeal not in (*QUIETER, Ordeal.ERROR_500)]
    random.Random(3).shuffle(drawn)
    found = await run(Plan(seed=3, guilds=2, rate=5), drawn, tmp_path)
    assert found.account.broken == []
    assert found.happened.total() == len(drawn) == 10
    assert found.account.outcomes["done"] > 0 and found.account.pictures > 0
