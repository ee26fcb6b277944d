"""Heartbeat file for `python -m bot health` and the health check of a container. Event loop; tiny files.

The running bot rewrites one small file in its data folder every few seconds. It stops when the event loop hangs.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from bot.errors import BotError

BEAT_S = 5.0
STALE_S = 60.0
_log = logging.getLogger(__name__)


class Heartbeat:
    """The file `pulse.json` of a data folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "pulse.json"

    async def beat(self, is_ready: Callable[[], bool]) -> None:
        """Write the file at intervals until cancelled; `is_ready` returns True while Discord is connected."""
        missed = False
        while True:
            try:
                if self._path.parent.is_dir():
                    await asyncio.to_thread(self.write, is_ready())
                missed = False
            except OSError as exc:  # A full disk, for one: the next write may succeed.
                if not missed:
                    _log.warning("no sign of life can be written: %s", exc)
                missed = True
            await asyncio.sleep(BEAT_S)

    def stop(self) -> None:
        """Mark that the bot ends on purpose."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as exc:
            _log.warning("the sign of life stays: %s", exc)

    def check(self) -> None:
        """Check that the bot is alive and connected.

        Raises:
            BotError: with a sentence that says what is wrong.
        """
        try:
            values = json.loads(self._path.read_text("utf-8"))
            age_s, ready = time.time() - float(values["at"]), bool(values["ready"])
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError) as exc:
            raise BotError("health_not_running", file=str(self._path)) from exc
        except OSError as exc:
            raise BotError("files_unusable", file=str(self._path), why=exc.strerror or "?") from exc
        if age_s > STALE_S:
            raise BotError("health_stale", seconds=round(age_s))
        if not ready:
            raise BotError("health_not_connected")

    def write(self, ready: bool) -> None:
        """Write one heartbeat; `ready` is True if Discord is connected. Blocking."""
        beside = self._path.with_name(".pulse.json.part")
        try:
            beside.write_text(json.dumps({"at": time.time(), "ready": ready, "process": os.getpid()}), "utf-8")
            beside.replace(self._path)
        finally:
            beside.unlink(missing_ok=True)
