"""Seconds a picture of the starter by a thread and by Ray."""

from __future__ import annotations

import asyncio
import statistics
import time
from functools import partial
from typing import Any

from bot.config import Config, Painters
from bot.worker.kinds import open_engines, open_workers
from bot.worker.protocol import Executor, GeneratedPicture, Work
from generator import GenerationRequest, Settings
from tests.bot.real_service import until

PICTURES = 5


async def overhead() -> dict[str, Any]:
    """Both make the same picture in turn, one after the other."""
    request = GenerationRequest(prompt="a red apple", settings=Settings())
    seconds: dict[str, list[float]] = {"local": [], "ray": []}
    pools: dict[str, Executor] = {}
    for kind in seconds:
        config = Config(device="cpu", painters=Painters(kind=kind))
        engines, suggested = await asyncio.to_thread(open_engines, config)
        request = GenerationRequest(prompt="a red apple", settings=suggested.merged({"seed": 7}))
        pools[kind] = open_workers(config, engines)
        await pools[kind].start()
        await until(partial(_has_painter, pools[kind]), 600)
    pictures: dict[str, bytes] = {}
    for number in range(PICTURES + 1):
        for kind, pool in pools.items():
            began = time.perf_counter()
            outcome = await pool.generate(Work(job_id=number, request=request), lambda update: None)
            if isinstance(outcome, GeneratedPicture):
                pictures[kind] = outcome.picture.image.tobytes()
            if number:  # the first one warms up
                seconds[kind].append(time.perf_counter() - began)
    for pool in pools.values():
        await pool.close()
    medians = {kind: statistics.median(values) for kind, values in seconds.items()}
    return {
        **{f"{kind}_s": round(value, 2) for kind, value in medians.items()},
        "overhead_percent": round(100 * (medians["ray"] / medians["local"] - 1), 1),
        "same_bytes": pictures["local"] == pictures["ray"],
    }


async def _has_painter(pool: Executor) -> bool | None:
    return True if pool.capacity else None
