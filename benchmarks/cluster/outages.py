"""Faults of the network and of machines, in a cluster of namespaces: see `benchmarks.cluster.machines`. Takes root."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cluster.bot import EVENTS, WRONG
from benchmarks.cluster.machines import Container, Network, head
from bot.worker.cluster.environment import MODE, TOKEN

ROOT = Path("build/bench/outages")
STEP_S, STEPS = 0.25, 40
LIMIT_S = 420.0
STRUCK = "reverie-0"
"""Name of the machine that the fault hits; names of workers begin with it."""


@dataclass
class Scene:
    """A cluster at work: head with bot, two machines with a worker each."""

    network: Network
    bot: Container
    workers: list[Container]

    def events(self) -> list[dict[str, Any]]:
        """Everything that the bot wrote so far."""
        path = ROOT / EVENTS
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    def until(self, there: Callable[[], bool], limit_s: float = LIMIT_S) -> bool:
        """Keep the containers running until something is there; return False if it does not come."""
        ends_at = time.monotonic() + limit_s
        while not there():
            if time.monotonic() > ends_at:
                return False
            for container in (self.bot, *self.workers):
                container.tend()
            time.sleep(0.2)
        return True

    def workers_now(self) -> dict[str, int | None]:
        """Jobs by worker as the bot saw them last."""
        return next((event["workers"] for event in reversed(self.events()) if "workers" in event), {})


@contextmanager
def _scene(jobs: int) -> Iterator[Scene]:
    shutil.rmtree(ROOT, ignore_errors=True)
    ROOT.mkdir(parents=True)
    os.environ |= {MODE: "token", TOKEN: secrets.token_hex(32)}
    bot = head(f"{sys.executable} -m benchmarks.cluster.bot {ROOT} {STEP_S} {jobs} {STEPS}")
    with Network(2) as network:
        scene = Scene(network, bot, [network.worker(0), network.worker(1)])
        try:
            for container in (bot, *scene.workers):
                container.start()
            yield scene
        finally:
            for container in (bot, *scene.workers):
                container.kill(stay=True)


def outage(name: str, jobs: int, strike: Callable[[Scene], None]) -> dict[str, Any]:
    """Strike a cluster that works on jobs, which also heals it, and tell what became of the jobs."""
    with _scene(jobs) as scene:
        busy = scene.until(lambda: len(scene.workers_now()) == 2 and all(scene.workers_now().values()))
        time.sleep(3)
        hit = next((job for worker, job in scene.workers_now().items() if worker.startswith(STRUCK)), None)
        struck_at = time.time()
        strike(scene)
        healed_at = time.time()
        whole = scene.until(lambda: (ROOT / WRONG).exists())
        events = scene.events()
        wrong = json.loads((ROOT / WRONG).read_text("utf-8")) if whole else None
        starts = [container.starts - 1 for container in (scene.bot, *scene.workers)]
    ends = Counter(event["job"] for event in events if event.get("after") == "posting")
    left = [event["at"] for event in events if event["at"] > struck_at and event.get("job") == hit]
    returned = [
        event["at"]
        for event in events
        if event["at"] > healed_at and len(event.get("workers", {})) == 2 and _on(event["workers"], STRUCK)
    ]
    return {
        "fault": name,
        "jobs": jobs,
        "began": busy,
        "lost": sum(not ends[job] for job in range(1, jobs + 1)),
        "twice": sum(ends[job] > 1 for job in range(1, jobs + 1)),
        "wrong": wrong,
        "hit_job_moved_s": round(left[0] - struck_at, 1) if left else None,
        "hit_job": [event["after"] for event in events if event.get("job") == hit],
        "machine_back_s": round(returned[0] - healed_at, 1) if returned else None,
        "restarts": starts,
        "took_s": round(events[-1]["at"] - struck_at, 1),
    }


def _on(workers: dict[str, int | None], machine: str) -> bool:
    return any(name.startswith(machine) and job for name, job in workers.items())


def _cut(seconds: float) -> Callable[[Scene], None]:
    def cut(scene: Scene) -> None:
        scene.network.cut(0)
        scene.until(lambda: False, seconds)
        scene.network.mend(0)

    return cut


def _machine_dies(scene: Scene) -> None:
    scene.network.cut(0)  # Nobody says goodbye.
    scene.workers[0].kill(stay=True)
    scene.until(lambda: False, 60)
    scene.network.mend(0)
    scene.workers[0].start()


def _head_dies(scene: Scene) -> None:
    scene.bot.kill()


def _head_loses_its_store(scene: Scene) -> None:
    scene.bot.kill_part("gcs_server")


FAULTS: dict[str, tuple[int, Callable[[Scene], None]]] = {
    "network cut for 5 s": (10, _cut(5)),
    "network cut for 60 s": (16, _cut(60)),
    "machine dies for 60 s": (20, _machine_dies),
    "head and bot die": (12, _head_dies),
    "Ray's server on the head dies": (40, _head_loses_its_store),
}


async def outages(name: str) -> dict[str, Any]:
    """One fault; in a thread, since it waits for processes."""
    if os.geteuid() != 0:
        return {"fault": name, "skipped": "only root can make networks"}
    jobs, strike = FAULTS[name]
    return await asyncio.to_thread(outage, name, jobs, strike)
