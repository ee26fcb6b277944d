"""The real bot with the starter models in a separate process, for bot_load: it records the delays of its event loop.

It is assembled and run like `python -m bot`. In addition one task sleeps for PERIOD_S repeatedly; any extra time is the
lag of the loop. Another one writes a row every PROBE_S and takes the time. At the end the lags are written to
`lags.json` in the data folder, the times of the rows and the number of transactions to `store.json`.

With WAITING_PAINTERS in its environment it has so many workers that only wait, instead of the models.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from bot import log
from bot import wiring as building
from bot.__main__ import stop_on_signals
from bot.config import Config
from bot.environment import data_folder, load_config, read_token
from bot.frontend import client
from bot.frontend.client import Reverie
from bot.monitoring.heartbeat import Heartbeat
from bot.worker.engine import GeneratorEngine
from bot.worker.protocol import Engine
from generator import Settings
from tests.bot.fake_dream import FakeDreamer
from tests.discord_fake.pointing import point_at

PERIOD_S = 0.01
PROBE_S = 0.1
LAGS, STORE = "lags.json", "store.json"


async def watch(lags: list[tuple[float, float]]) -> None:
    """Record the loop's lag in seconds with its time (`time.monotonic`, the same in all processes of a machine)."""
    while True:
        began = time.monotonic()
        await asyncio.sleep(PERIOD_S)
        now = time.monotonic()
        lags.append((now, now - began - PERIOD_S))


class StoreWatch:
    """Number of committed transactions, and the time of one more, with its moment."""

    def __init__(self) -> None:
        self.transactions = 0
        self.probes: list[tuple[float, float]] = []

    async def watch(self, bot: Reverie) -> None:
        """Count and probe, as soon as the bot is connected."""
        while not bot.is_ready():
            await asyncio.sleep(PROBE_S)
        store = bot.service.store
        async with store.transaction() as db:
            await db.set_trace_callback(self._count)
        while True:
            await asyncio.sleep(PROBE_S)
            began = time.monotonic()
            await store.figures.put_note("probe", str(began))
            self.probes.append((began, time.monotonic() - began))

    def _count(self, statement: str) -> None:
        self.transactions += statement.startswith("COMMIT")


def open_engines(config: Config) -> tuple[dict[str, Engine], Settings]:
    """The engines by the names of their workers, and the default settings."""
    if count := int(os.environ.get("WAITING_PAINTERS", 0)):
        step_s = float(os.environ["WAITING_STEP_S"])
        return {f"waits-{number}": FakeDreamer(step_s) for number in range(count)}, Settings()
    engine = GeneratorEngine(config.models.default, config.device)
    return {"local": engine}, engine.load()


async def serve(config_path: Path) -> None:
    """Run the bot until a signal."""
    config, token = load_config(config_path), read_token(os.environ) or ""
    folder = data_folder(config, os.environ)
    log.configure(config.log.level, config.log.format, token)
    stop = stop_on_signals()
    engines, settings = await asyncio.to_thread(open_engines, config)
    first = next(iter(engines.values()))
    bot = building.build(config, folder, first, settings, engines=engines, config_path=config_path)
    lags: list[tuple[float, float]] = []
    store = StoreWatch()
    watchers = [asyncio.create_task(watch(lags)), asyncio.create_task(store.watch(bot))]
    client.favour_loop()
    await client.run(bot, token, stop, Heartbeat(folder))
    for watcher in watchers:
        watcher.cancel()
    await asyncio.to_thread((folder / LAGS).write_text, json.dumps(lags), "utf-8")
    found = {"transactions": store.transactions, "probes": store.probes}
    await asyncio.to_thread((folder / STORE).write_text, json.dumps(found), "utf-8")


if __name__ == "__main__":
    point_at(os.environ["FAKE_DISCORD"])
    asyncio.run(serve(Path(sys.argv[sys.argv.index("--config") + 1])))
