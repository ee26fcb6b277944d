"""`python -m tests.discord_fake.launch_quick --config FILE`: as `launch`, but with a dream without models.

For tests in which the picture does not matter: it starts within seconds, since no torch is loaded. `FAKE_STEP_S` is the
duration of a step, at whatever rate time passes; from step `FAKE_HELD` on, steps wait while there is no file
`FAKE_GATE`. The rest is the bot's own, built and run as in `python -m bot`.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import threading
import time
from pathlib import Path

from bot import log
from bot.__main__ import leave, stop_on_signals
from bot.environment import data_folder, load_config, read_token
from bot.monitoring.heartbeat import Heartbeat
from generator import Settings
from tests.bot.fake_dream import FakeDreamer
from tests.discord_fake.haste import hurry
from tests.discord_fake.pointing import point_at, resolve_by

SETTINGS = Settings().merged({"size": "64x64", "steps": 4, "cutouts": 4})


class FileGate(threading.Event):
    """An event that is set while a file exists."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the file."""
        while not self._file.exists():
            time.sleep(0.01)
        return True


async def serve(config_path: Path) -> None:
    """Run the bot until a signal."""
    # Their classes keep the clock that they find when they are imported.
    from bot import wiring as building
    from bot.frontend import client

    config, token = load_config(config_path), read_token(os.environ) or ""
    folder = data_folder(config, os.environ)
    log.configure(config.log.level, config.log.format, token)
    logging.getLogger("tests").setLevel(config.log.level.upper())
    engine = FakeDreamer(float(os.environ.get("FAKE_STEP_S", "0")))
    if "FAKE_HELD" in os.environ:
        engine.open = FileGate(Path(os.environ["FAKE_GATE"]))
        engine.hold(int(os.environ["FAKE_HELD"]))
    stop = stop_on_signals()
    bot = building.build(config, folder, engine, SETTINGS, config_path=config_path)
    client.favour_loop()
    await client.run(bot, token, stop, Heartbeat(folder))


if __name__ == "__main__":
    point_at(os.environ["FAKE_DISCORD"])
    if "FAKE_NAMES" in os.environ:
        resolve_by(Path(os.environ["FAKE_NAMES"]))
    hurry(float(os.environ.get("FAKE_RATE", "1")))
    gc.disable()
    asyncio.run(serve(Path(sys.argv[sys.argv.index("--config") + 1])))
    leave(0)
