"""Threads against processes for several workers of one machine."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from functools import partial
from typing import Any

from bot.config import Config, Painters
from bot.worker.kinds import open_engines, open_workers
from bot.worker.pool import WorkerPool
from bot.worker.protocol import Executor, Work
from bot.worker.thread import ThreadWorker
from generator import GenerationRequest, Settings, set_thread_count
from tests.bot.fake_dream import FakeDreamer
from tests.bot.real_service import until

STEP_S, STEPS, WAITING_JOBS = 0.2, 20, 8
PICTURES, ROUNDS = 4, 3
SMALL = {"size": "64x64", "steps": 20, "start": "random", "composition": "fixed", "seed": 7}
"""The smaller the picture, the larger the share of Python in a step."""


async def waiting_threads() -> dict[str, Any]:
    """Pictures an hour of threads of one process that wait in each step."""
    request = GenerationRequest(prompt="waits", settings=Settings().merged({"size": "64x64", "steps": STEPS}))
    hourly = {}
    for count in (1, 2, 4):
        pool = WorkerPool(ThreadWorker(FakeDreamer(STEP_S), f"worker {number}") for number in range(count))
        hourly[f"threads_{count}"] = round(3600 * WAITING_JOBS / await _took_s(pool, request, WAITING_JOBS))
        await pool.close()
    return hourly


async def threads() -> dict[str, Any]:
    """The starter's pictures with one thread, two threads, and two processes, each on one thread of the CPU."""
    set_thread_count(1)
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - so named by Ray, whose processes would yield to all others
    pools: dict[str, Executor] = {}
    request = GenerationRequest(prompt="a red apple", settings=Settings())
    for name, kind, count in (("one_thread", "local", 1), ("two_threads", "local", 2), ("two_processes", "ray", 2)):
        config = Config(device="cpu", painters=Painters(kind=kind, count=count))
        engines, suggested = await asyncio.to_thread(open_engines, config)
        request = GenerationRequest(prompt="a red apple", settings=suggested.merged(SMALL))
        pools[name] = open_workers(config, engines)
        await pools[name].start()
        await until(partial(_has, pools[name], count), 600)
        await _took_s(pools[name], request, PICTURES)  # warms up
    seconds: dict[str, list[float]] = {name: [] for name in pools}
    for _ in range(ROUNDS):
        for name, pool in pools.items():
            seconds[name].append(await _took_s(pool, request, PICTURES))
    for pool in pools.values():
        await pool.close()
    return {f"{name}_s": round(statistics.median(values), 2) for name, values in seconds.items()}


async def _took_s(pool: Executor, request: GenerationRequest, count: int) -> float:
    began = time.perf_counter()
    works = [Work(job_id=number, request=request) for number in range(count)]
    await asyncio.gather(*(pool.generate(work, lambda update: None) for work in works))
    return time.perf_counter() - began


async def _has(pool: Executor, count: int) -> bool | None:
    return True if pool.capacity == count else None
