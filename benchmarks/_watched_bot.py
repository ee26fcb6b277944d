"""The real bot with the starter models in a separate process, for bot_load: it records the delays of its event loop.

It is assembled and run like `python -m bot`. In addition one task sleeps for PERIOD_S repeatedly; any extra time is the
lag of the loop. At the end the lags are written to `lags.json` in the data folder.
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
from bot.environment import data_folder, load_config, read_token
from bot.frontend import client
from bot.monitoring.heartbeat import Heartbeat
from bot.worker.engine import GeneratorEngine
from tests.discord_fake.pointing import point_at

PERIOD_S = 0.01
LAGS = "lags.json"


async def watch(lags: list[tuple[float, float]]) -> None:
    """Record the loop's lag in seconds with its time (`time.monotonic`, the same in all processes of a machine)."""
    while True:
        began = time.monotonic()
        await asyncio.sleep(PERIOD_S)
        now = time.monotonic()
        lags.append((now, now - began - PERIOD_S))


async def serve(config_path: Path) -> None:
    """Run the bot until a signal."""
    config, token = load_config(config_path), read_token(os.environ) or ""
    folder = data_folder(config, os.environ)
    log.configure(config.log.level, config.log.format, token)
    stop = stop_on_signals()
    engine = GeneratorEngine(config.models.default, config.device)
    settings = await asyncio.to_thread(engine.load)
    bot = building.build(config, folder, engine, settings, config_path=config_path)
    lags: list[tuple[float, float]] = []
    watcher = asyncio.create_task(watch(lags))
    await client.run(bot, token, stop, Heartbeat(folder))
    watcher.cancel()
    await asyncio.to_thread((folder / LAGS).write_text, json.dumps(lags), "utf-8")


if __name__ == "__main__":
    point_at(os.environ["FAKE_DISCORD"])
    asyncio.run(serve(Path(sys.argv[sys.argv.index("--config") + 1])))
