"""Pictures and films of the starter, by a thread and by Ray."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.cluster.load import at_work
from bot.config import Config, Painters
from bot.worker.kinds import open_engines, open_workers
from bot.worker.protocol import Executor, GeneratedPicture, Work, WorkerLost
from generator import GenerationRequest, Settings, plan_film
from tests.bot.real_service import until

PICTURES = 5
FILM_S, FPS, KILLED_AT = 1.0, 8, 3


async def _pools() -> tuple[dict[str, Executor], Settings]:
    """A thread and a worker on Ray, and the starter's settings."""
    pools: dict[str, Executor] = {}
    settings = Settings()
    for kind in ("local", "ray"):
        config = Config(device="cpu", painters=Painters(kind=kind))
        engines, settings = await asyncio.to_thread(open_engines, config)
        pools[kind] = open_workers(config, engines)
        await pools[kind].start()
        await until(partial(_has_painter, pools[kind]), 600)
    return pools, settings


async def overhead() -> dict[str, Any]:
    """Both make the same picture in turn, one after the other."""
    seconds: dict[str, list[float]] = {"local": [], "ray": []}
    pools, settings = await _pools()
    request = GenerationRequest(prompt="a red apple", settings=settings.merged({"seed": 7}))
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


async def film() -> dict[str, Any]:
    """Both make the same film; then Ray makes it while its worker is killed once."""
    pools, settings = await _pools()
    story, plan = plan_film("a red apple", {"seconds": FILM_S, "fps": FPS}, settings)
    request = GenerationRequest(prompt=story, settings=settings.merged({"seed": 7}), film=plan)
    took: dict[str, float] = {}
    frames: dict[str, list[bytes]] = {}
    kept = 0
    with tempfile.TemporaryDirectory() as root:
        for name, kind in (("local", "local"), ("ray", "ray"), ("killed", "ray")):
            folder, began = Path(root) / name, time.perf_counter()
            work = Work(job_id=1, request=request, folder=folder)
            if name == "killed":
                killing = asyncio.create_task(_kill_amid(folder))
                with suppress(WorkerLost):
                    await pools[kind].generate(work, lambda update: None)
                kept = await killing
                await until(partial(_has_painter, pools[kind]), 600)
            outcome = await pools[kind].generate(work, lambda update: None)
            took[name] = round(time.perf_counter() - began, 1)
            if isinstance(outcome, GeneratedPicture):
                frames[name] = [path.read_bytes() for path in outcome.frames]
    for pool in pools.values():
        await pool.close()
    return {
        "frames": len(frames["ray"]),
        **{f"{name}_s": seconds for name, seconds in took.items()},
        "frames_before_the_kill": kept,
        "same_bytes": frames["local"] == frames["ray"] == frames["killed"],
    }


async def _kill_amid(folder: Path) -> int:
    """Kill the worker once some frames of its film are here; return their number."""

    async def begun() -> int | None:
        there = len(list(folder.glob("frame-*.png")))
        return there if there >= KILLED_AT else None

    kept = await until(begun, 600)
    for pid in at_work():
        os.kill(pid, signal.SIGKILL)
    return kept


async def _has_painter(pool: Executor) -> bool | None:
    return True if pool.capacity else None
