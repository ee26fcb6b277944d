"""Four pictures by the starter in a process that gets no more memory from the second picture's second step on.

It stays denied for the third, and is there again for the fourth. Each picture's outcome is a line of JSON: the digest
of its pixels, or the name and the words of its error.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import resource
import sys
from pathlib import Path

from bot.worker.engine import GeneratorEngine
from bot.worker.protocol import Dream, GeneratedPicture, Work
from bot.worker.thread import ThreadWorker
from generator import GenerationRequest, GeneratorError, Settings

SETTINGS = Settings().merged({"size": "128x128", "steps": 3, "cutouts": 4, "start": "random", "seed": 1})
REQUEST = GenerationRequest(prompt="a red apple", settings=SETTINGS, models="starter")
FREE = resource.getrlimit(resource.RLIMIT_AS)


def deny() -> None:
    """Limit this process to its current address space."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize(), FREE[1]))


class Denied:
    """A dream without further memory from its second step on."""

    def __init__(self, dream: Dream) -> None:
        self._dream = dream

    def __getattr__(self, name: str) -> object:
        return getattr(self._dream, name)

    def step(self) -> object:
        if self._dream.progress.step == 1:
            deny()
        return self._dream.step()


class Dreamer(GeneratorEngine):
    """The generator; its second dream gets no further memory."""

    begun = 0

    def begin(self, request: GenerationRequest, parent: bytes | None) -> Dream:
        self.begun += 1
        dream = super().begin(request, parent)
        return Denied(dream) if self.begun == 2 else dream  # type: ignore[return-value]


async def main() -> None:
    """Make a picture, limit memory, make one, lift the limit, make one."""
    executor = ThreadWorker(Dreamer("starter", "cpu"))
    for number in range(1, 5):
        if number == 4:
            resource.setrlimit(resource.RLIMIT_AS, FREE)
        try:
            work = Work(job_id=number, request=REQUEST, parent=None, snapshot=None)
            outcome = await executor.generate(work, lambda _: None)
            assert isinstance(outcome, GeneratedPicture)
            reported = hashlib.sha256(outcome.picture.image.tobytes()).hexdigest()
        except GeneratorError as exc:
            reported = f"{type(exc).__name__}: {exc}"
        sys.stdout.write(json.dumps(reported) + "\n")
    sys.stdout.write(json.dumps(executor.deaths) + "\n")
    await executor.close()


if __name__ == "__main__":
    asyncio.run(main())
