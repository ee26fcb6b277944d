"""`python -m benchmarks.soak`: run thousands of jobs through the real process and measure its growth.

The bot is a separate process; Discord and its users are simulated in this one. At regular intervals the process's
memory, file handles and threads and its database's size are recorded. A table goes to standard output, all samples to a
JSON file; the growth is that of the second half, by least squares, per thousand jobs.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import conditions, write_report
from tests.discord_fake import Channel, Member
from tests.faults.campaign import Plan, Scene, scene

JOBS, SAMPLES, GUILDS = 2_000, 40, 5
WAITING = 20
"""This many jobs wait at any time."""
PICTURE: dict[str, Any] = {"size": "64x64", "steps": 2, "cutouts": 4, "start": "random"}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Resources of the process after a number of jobs."""

    jobs: int
    at_s: float
    memory_mib: float
    handles: int
    threads: int
    database_mib: float
    log_mib: float


async def measure(folder: Path, jobs: int, starter: bool) -> tuple[list[Sample], list[str]]:
    """Generate and post this many jobs; return samples over time and the faults found at the end."""
    async with scene(Plan(starter=starter, guilds=GUILDS), folder) as here:
        await here.start()
        began, asked, samples = time.monotonic(), 0, [_sample(here, 0, 0.0)]
        places = [(guild.channels[0], guild.members[0]) for guild in here.people.guilds]
        while (done := _count(here, "state = 'done'")) < jobs:
            if here.bot.alive is False:
                return samples, [f"the bot ended by itself: {here.bot.lines[-1]}"]
            room = min(jobs - asked, WAITING - _count(here, "state = 'queued'"))
            await asyncio.gather(*(_ask(here, places[(asked + n) % GUILDS], asked + n) for n in range(room)))
            asked += max(0, room)
            if done >= samples[-1].jobs + jobs / SAMPLES:
                samples.append(_sample(here, done, time.monotonic() - began))
                _show(samples[-1])
            await asyncio.sleep(0.1)
        await here.rest()
        samples.append(_sample(here, jobs, time.monotonic() - began))
        wrong = _wrong(here, jobs)
        if await here.bot.stop() != 0:
            wrong.append("it did not end well")
        return samples, wrong


def slope(samples: Sequence[Sample], name: str) -> float:
    """Growth per thousand jobs, by least squares over the second half."""
    half = [item for item in samples if item.jobs >= samples[-1].jobs / 2]
    jobs, values = [item.jobs for item in half], [float(getattr(item, name)) for item in half]
    mean_x, mean_y = sum(jobs) / len(jobs), sum(values) / len(values)
    spread = sum((x - mean_x) ** 2 for x in jobs)
    return 1_000 * sum((x - mean_x) * (y - mean_y) for x, y in zip(jobs, values, strict=True)) / spread


def rows_of(samples: Sequence[Sample]) -> list[list[str]]:
    """Some of the samples, and the growth."""
    shown = [*samples[:: max(1, len(samples) // 8)], samples[-1]]
    names = ("memory_mib", "handles", "threads", "database_mib", "log_mib")
    rows = [[str(item.jobs), f"{item.at_s:.0f}", *(f"{getattr(item, name):.4g}" for name in names)] for item in shown]
    return [*rows, ["growth", "", *(f"{slope(samples, name):+.3g}" for name in names)]]


async def _ask(here: Scene, place: tuple[Channel, Member], number: int) -> None:
    channel, member = place
    typed = await here.fake.type_command(channel, member, "imagine", prompt="a red apple", seed=number, **PICTURE)
    await typed.answered(60.0)


def _count(here: Scene, where: str) -> int:
    return int(here.select(f"SELECT count(*), '' FROM jobs WHERE {where}")[0][0])  # noqa: S608 - our own words


def _sample(here: Scene, jobs: int, at_s: float) -> Sample:
    process = Path("/proc") / str(here.bot.pid)
    facts = dict(line.split(":", 1) for line in (process / "status").read_text("utf-8").splitlines())
    size = sum(path.stat().st_size for path in here.bot.folder.glob("reverie.db*"))
    return Sample(
        jobs=jobs,
        at_s=at_s,
        memory_mib=int(facts["VmRSS"].split()[0]) / 2**10,
        handles=len(os.listdir(process / "fd")),
        threads=int(facts["Threads"]),
        database_mib=size / 2**20,
        log_mib=sum(map(len, here.bot.lines)) / 2**20,
    )


def _wrong(here: Scene, jobs: int) -> list[str]:
    """Missing or duplicate pictures, and calls that Discord would reject."""
    names = [file.filename for message in here.people.messages() for file in message.attachments]
    wrong = [] if sorted(names) == sorted(f"reverie-{n}-1.png" for n in range(1, jobs + 1)) else ["not all posted once"]
    return wrong + here.fake.problems()


def _show(sample: Sample) -> None:
    print(f"{time.strftime('%H:%M:%S')} {sample}", file=sys.stderr, flush=True)


def main() -> int:
    """Run, print the table, write the samples."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"how many ({JOBS})")
    parser.add_argument(
        "--starter", action=argparse.BooleanOptionalAction, default=True, help="paint with the starter models, or not"
    )
    parser.add_argument("--json", type=Path, default=Path("build/bench/soak.json"), help="where the samples go")
    given = parser.parse_args()
    about = conditions(threads=1, device="cpu") | {"starter": given.starter, "picture": PICTURE}
    with tempfile.TemporaryDirectory() as folder:
        samples, wrong = asyncio.run(measure(Path(folder), given.jobs, given.starter))
    head = ["jobs", "after, s", "memory, MiB", "handles", "threads", "database, MiB", "log, MiB"]
    write_report(given.json, about, head, rows_of(samples), [asdict(item) for item in samples])
    print("\n".join(wrong) or "Every picture was posted once.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
