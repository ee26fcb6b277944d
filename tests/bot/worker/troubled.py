"""Dreams without models that end or hang their process, once, if their prompt says so: `die MARK` or `hang MARK`.

With `tell MARK` they write the numbers of their process and of Ray's on its machine, and from HELD_STEP on wait until
the file MARK.go exists.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from generator import CheckpointError, GenerationRequest, OutOfMemory
from tests.bot.fake_dream import FakeDreamer

FATAL_STEP = 12
HELD_STEP = 20


class Troubled(FakeDreamer):
    """Fake dreams in a process of a cluster. `unfit`: its model files are missing."""

    def __init__(self, step_s: float = 0.02, *, unfit: bool = False) -> None:
        super().__init__(step_s)
        self.unfit = unfit

    def prepare(self) -> None:
        if self.unfit:
            raise CheckpointError("model.ckpt is missing.")

    def before_step(self, request: GenerationRequest, step: int) -> None:
        what, _, rest = request.prompt.partition(" ")
        mark = Path(rest)
        if what in ("die", "hang") and step == FATAL_STEP and not mark.exists():
            mark.touch()
            if what == "die":
                os._exit(1)
            time.sleep(3600)
        if what == "tell":
            mark.write_text(f"{os.getpid()} {os.getppid()}")
            while step >= HELD_STEP and not mark.with_suffix(".go").exists():
                time.sleep(0.01)
        if what == "swell":
            raise OutOfMemory("It does not fit.")
        super().before_step(request, step)


def fit(gpu: bool, threads: int) -> Troubled:
    return Troubled()


def unfit(gpu: bool, threads: int) -> Troubled:
    return Troubled(unfit=True)
