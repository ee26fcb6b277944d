"""`python -m benchmarks.bot_load`: 1,000 /imagine from 200 servers within ten seconds, with Discord on loopback.

The bot is a separate process with the starter models; Discord, with its rate limits, and the users are simulated in
this one. Measured are each user's wait for the first answer, the fairness of the worker's time between the servers, the
lag of the bot's event loop while it generated, and its response time to the gateway's heartbeat requests. A table goes
to standard output, all figures to a JSON file. The exit status is 1 if a limit is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks._watched_bot import LAGS
from tests.discord_fake import BotProcess, Channel, FakeDiscord, Interaction, Member

GUILDS, REQUESTS, SPAN_S = 200, 1_000, 10.0
BUSY_GUILDS, BUSY_REQUESTS = 20, 29
"""This many servers request this many pictures each; the others share the rest, all in one random order."""
PER_PERSON = 5
ACKNOWLEDGED_S, LAG_S = 1.0, 0.1
"""Limits at the 99th percentile."""
TIMEOUT_S = 90.0
PICTURE = {"size": "64x64", "steps": 2, "cutouts": 4, "start": "random"}
CONFIG = "log: {level: warning}\n"


@dataclass(frozen=True)
class Spread:
    """Seconds: median, 99th percentile, maximum; and the number of values."""

    p50: float
    p99: float
    most: float
    of: int


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Measured figures. `fairness` is Jain's index, 1 if all servers got the same."""

    asked: int
    acknowledged: int
    refused: int
    acknowledgement_s: Spread
    deferred: int
    asking_s: float
    """Time taken to send the requests; more than the ten seconds on a slow machine."""
    pictures: int
    painting_s: float
    fairness: float
    fairness_first_come: float
    """Fairness if the jobs had been generated in order of arrival."""
    fairness_after: int
    """Number of pictures evaluated: as long as every server still had one waiting."""
    lag_asking_s: Spread
    lag_painting_s: Spread
    heartbeat_s: Spread
    late_heartbeats: int
    refused_by_rate_limits: int
    problems: int
    exit_status: int


class Load:
    """One run: the servers, the users, the bot."""

    def __init__(self, fake: FakeDiscord, bot: BotProcess, seed: int = 1) -> None:
        self.fake, self.bot = fake, bot
        rng = random.Random(seed)  # noqa: S311 - an order, no secret
        self.asks: list[tuple[Channel, Member]] = []
        for number in range(GUILDS):
            guild = fake.world.add_guild(f"server {number}")
            channel = guild.add_channel()
            count = BUSY_REQUESTS if number < BUSY_GUILDS else _rest(number)
            people = [guild.add_member(f"person {number}-{each}") for each in range(-(-count // PER_PERSON))]
            self.asks += [(channel, people[each % len(people)]) for each in range(count)]
        rng.shuffle(self.asks)
        self.typed: list[Interaction] = []
        self.first_done_at = 0.0

    async def ask(self) -> float:
        """Send all commands, evenly over the ten seconds; returns the time taken."""
        began = time.monotonic()
        for number, (channel, member) in enumerate(self.asks):
            await asyncio.sleep(max(0.0, began + number * SPAN_S / len(self.asks) - time.monotonic()))
            typed = await self.fake.type_command(channel, member, "imagine", prompt="a red apple", **PICTURE)
            self.typed.append(typed)
        return time.monotonic() - began

    async def answered(self) -> None:
        """Wait until all are answered or the wait times out."""
        waits = [asyncio.create_task(item.done.wait()) for item in self.typed]
        _, open_ones = await asyncio.wait(waits, timeout=TIMEOUT_S)
        for wait in open_ones:
            wait.cancel()

    def finished(self) -> list[int]:
        """Servers of the finished pictures, in order of generation."""
        with sqlite3.connect(f"file:{self.bot.folder / 'reverie.db'}?mode=ro", uri=True) as db:
            rows = db.execute("SELECT guild_id FROM jobs WHERE painted_at IS NOT NULL ORDER BY painted_at").fetchall()
        db.close()
        return [guild_id for (guild_id,) in rows]


async def measure(folder: Path, pictures: int, most_s: float) -> Figures:
    """Run once: send the requests, generate up to a number of pictures or a time limit, stop."""
    async with FakeDiscord(heartbeat_s=2.0, rate_limits=True) as fake:
        bot = BotProcess(fake, folder, CONFIG, "benchmarks._watched_bot")
        load = Load(fake, bot)
        await bot.start()
        began = time.monotonic()
        pings = asyncio.create_task(_ping(fake))
        try:
            asking_s = await load.ask()
            await load.answered()
            asked_at = time.monotonic()
            while len(load.finished()) < pictures and time.monotonic() < asked_at + most_s:
                await asyncio.sleep(1.0)
            ended = time.monotonic()
            pings.cancel()
            status = await bot.stop()
        finally:
            pings.cancel()
            await bot.close()
        lags = json.loads((bot.folder / LAGS).read_text("utf-8"))
        return _figures(load, asking_s, [(began, asked_at), (asked_at, ended)], lags, status)


def fairness(counts: Sequence[int]) -> float:
    """Jain's index of the shares: (sum x)^2 / (n sum x^2); 1 for equal shares, 1/n if one got everything."""
    squares = sum(count * count for count in counts)
    return sum(counts) ** 2 / (len(counts) * squares) if squares else 0.0


def spread(values: Sequence[float]) -> Spread:
    """Summarise values."""
    ordered = sorted(values) or [0.0]
    return Spread(ordered[len(ordered) // 2], ordered[int(0.99 * (len(ordered) - 1))], ordered[-1], len(values))


async def _ping(fake: FakeDiscord) -> None:
    while True:
        await fake.gateway.ping()
        await asyncio.sleep(0.25)


def _rest(number: int) -> int:
    """Number of pictures an ordinary server requests: the others' rest, evenly."""
    left, servers = REQUESTS - BUSY_GUILDS * BUSY_REQUESTS, GUILDS - BUSY_GUILDS
    place = number - BUSY_GUILDS
    return (place + 1) * left // servers - place * left // servers


def _shares(order: Sequence[int], guilds: Sequence[int]) -> list[int]:
    counts = Counter(order)
    return [counts[guild] for guild in guilds]


def _figures(
    load: Load, asking_s: float, spans: list[tuple[float, float]], lags: list[tuple[float, float]], status: int
) -> Figures:
    fake, (asking, running) = load.fake, spans
    answered = [item for item in load.typed if item.answered_at is not None]
    guilds = list(fake.world.guilds)
    order = load.finished()
    # While even the server with the fewest requests still waits, and in whole rounds.
    fewest = min(Counter(channel.guild.id for channel, _ in load.asks).values())
    counted = min(len(order), fewest * len(guilds))
    counted = counted // len(guilds) * len(guilds) or counted
    came = [item.channel.guild.id for item in load.typed]
    beats = fake.gateway.heartbeats
    return Figures(
        asked=len(load.typed),
        acknowledged=len(answered),
        refused=sum(item.ephemeral for item in answered),
        acknowledgement_s=spread([item.latency_s for item in load.typed]),
        deferred=sum((item.callback or {}).get("type") == 5 for item in answered),
        asking_s=asking_s,
        pictures=len(order),
        painting_s=running[1] - asking[0],
        fairness=fairness(_shares(order[:counted], guilds)),
        fairness_first_come=fairness(_shares(came[:counted], guilds)),
        fairness_after=counted,
        lag_asking_s=spread([lag for at, lag in lags if asking[0] <= at < asking[1]]),
        lag_painting_s=spread([lag for at, lag in lags if running[0] <= at < running[1]]),
        heartbeat_s=spread(fake.gateway.pings_s),
        late_heartbeats=sum(later - earlier > 4.0 for earlier, later in pairwise(beats)),
        refused_by_rate_limits=0 if fake.buckets is None else fake.buckets.refused,
        problems=len(fake.problems()),
        exit_status=status,
    )


def _table(figures: Figures) -> str:
    lines = [f"{'':34}{'p50':>10}{'p99':>10}{'most':>10}{'of':>8}"]
    spreads = {
        "first answer, ms": figures.acknowledgement_s,
        "lag of the loop while asked, ms": figures.lag_asking_s,
        "lag of the loop while painting, ms": figures.lag_painting_s,
        "heartbeat asked for, ms": figures.heartbeat_s,
    }
    for name, item in spreads.items():
        cells = "".join(f"{1_000 * value:>10.1f}" for value in (item.p50, item.p99, item.most))
        lines.append(f"{name:34}{cells}{item.of:>8}")
    lines += [
        f"answered {figures.acknowledged} of {figures.asked} ({figures.deferred} first with a sign of thinking, "
        f"{figures.refused} refused), asked within {figures.asking_s:.1f} s",
        f"{figures.pictures} pictures in {figures.painting_s:.0f} s; Jain's index over the first "
        f"{figures.fairness_after}: {figures.fairness:.4f} "
        f"(first come, first served: {figures.fairness_first_come:.4f})",
        f"late heartbeats: {figures.late_heartbeats}; refused by rate limits: {figures.refused_by_rate_limits}; "
        f"bodies that Discord would not take: {figures.problems}; exit status {figures.exit_status}",
    ]
    return "\n".join(lines)


def missed(figures: Figures) -> list[str]:
    """Missed limits, in words."""
    checks = {
        "every /imagine is answered": figures.acknowledged == figures.asked and not figures.refused,
        f"the first answer comes within {ACKNOWLEDGED_S} s": figures.acknowledgement_s.p99 < ACKNOWLEDGED_S,
        f"the loop is less than {LAG_S} s late while it paints": figures.lag_painting_s.p99 < LAG_S,
        "no heartbeat is missed": figures.late_heartbeats == 0,
        "every body is as Discord describes it": figures.problems == 0,
    }
    return [name for name, kept in checks.items() if not kept]


def main() -> int:
    """Run, print the table, write the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bot_load", description=__doc__)
    parser.add_argument("--pictures", type=int, default=2 * GUILDS, help="how many pictures are painted before it ends")
    parser.add_argument("--seconds", type=float, default=300.0, help="or after how many seconds")
    parser.add_argument("--output", type=Path, default=Path("out/bot_load.json"), help="where the figures go")
    given = parser.parse_args()
    machine = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
    }
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(Path(folder), given.pictures, given.seconds))
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps({"machine": machine} | asdict(figures), indent=2), "utf-8")
    print(_table(figures))
    bad = missed(figures)
    print("\n".join(f"Missed: {name}" for name in bad) or "All bars are met.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
