"""`tests.discord_fake.launch_quick` on a machine with a clock that is wrong by the seconds in `SHIFT_FILE`.

Only `time.time` is replaced, which is all that the bot asks for the date; the clock that measures durations goes on.
"""

from __future__ import annotations

import os
import runpy
import sys
import time
from pathlib import Path


def shift(file: Path) -> None:
    """Shift `time.time` by the seconds that the file holds at each call."""
    right = time.time

    def wrong() -> float:
        return right() + float(file.read_text() or 0)

    time.time = wrong


if __name__ == "__main__":
    shift(Path(os.environ["SHIFT_FILE"]))
    sys.argv[0] = ""
    runpy.run_module("tests.discord_fake.launch_quick", run_name="__main__", alter_sys=True)
