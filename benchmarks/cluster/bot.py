"""The bot's process in a container: `python -m benchmarks.cluster.bot ROOT STEP_S JOBS STEPS`.

It queues jobs if there are none, and writes each change of a job and of the workers to `ROOT/events.jsonl`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from benchmarks.cluster.machines import ADDRESS
from benchmarks.cluster.waiting import OnRay
from bot.jobs import Event

LOOK_S = 0.2
EVENTS, WRONG = "events.jsonl", "wrong.json"


async def main(root: Path, step_s: float, count: int, steps: int) -> None:
    """Run until all jobs have their pictures; then compare these, and write the numbers of wrong ones."""
    with (root / EVENTS).open("a", encoding="utf-8", buffering=1) as file:

        def write(**facts: object) -> None:
            file.write(json.dumps({"at": time.time(), **facts}) + "\n")

        def note(event: Event) -> None:
            if event.before is not None and event.before.state is not event.job.state:
                write(job=event.job.id, before=event.before.state.value, after=event.job.state.value)

        bench = OnRay(root, 0, step_s, ADDRESS)
        await bench.start()
        bench.watch(note)
        if not (await bench.service.store.figures.states()):
            await bench.ask(count, steps)
        shown: dict[str, int | None] = {}
        while (await bench.service.store.figures.states()).get("posting", 0) < count:
            workers = {worker.name: worker.job_id for worker in bench.executor.workers()}
            if workers != shown:
                shown = workers
                write(workers=workers)
            await asyncio.sleep(LOOK_S)
        (root / WRONG).write_text(json.dumps(await bench.differing(range(1, count + 1))))
        await bench.service.close()
        await asyncio.sleep(3600)  # else it would be started again


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
