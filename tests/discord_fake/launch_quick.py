"""`python -m tests.discord_fake.launch_quick --config FILE`: as `launch`, but with a dream without models.

For tests in which the picture does not matter: it starts within a second, since no torch is loaded. `FAKE_STEP_S` is
the duration of a step, at whatever rate time passes; from step `FAKE_HELD` on, steps wait while there is no file
`FAKE_GATE`. The rest is the bot's own `main`.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from bot.__main__ import leave, main
from bot.config import Config
from bot.worker.protocol import Check, Engine
from generator import Settings
from tests.bot.fake_dream import FakeDreamer
from tests.discord_fake.launch import prepare

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


async def load(config: Config) -> tuple[Mapping[str, Engine], Settings, Check | None]:
    """The one engine, which has nothing to load."""
    logging.getLogger("tests").setLevel(config.log.level.upper())
    engine = FakeDreamer(float(os.environ.get("FAKE_STEP_S", "0")))
    if "FAKE_HELD" in os.environ:
        engine.open = FileGate(Path(os.environ["FAKE_GATE"]))
        engine.hold(int(os.environ["FAKE_HELD"]))
    return {"local": engine}, SETTINGS, None


if __name__ == "__main__":
    prepare()
    leave(main(load=load))
