"""`python -m benchmarks.bot_load`: 1,000 /imagine from 200 servers within ten seconds, with Discord on loopback.

The bot is a separate process with the starter models; Discord, with its rate limits, and the users are simulated in
this one. Measured are each user's wait for the first answer, the fairness of the worker's time between the servers, the
lag of the bot's event loop while it generated, and its response time to the gateway's heartbeat requests. A table goes
to standard output, all figures to a JSON file. The exit status is 1 if a limit is missed.

`--beside COMMIT` runs an earlier version too, in turns with this one, so that other load on the machine meets both.
`--painters N` replaces the models by N workers that only wait, which shows the rest of the bot at the size of a
cluster. `--growing N` shows N pictures at once whose messages the bot edits by its own token, as after a restart.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path

from benchmarks._watched_bot import LAGS, STORE, watch
from benchmarks.earlier import ROOT, prompt_of_a_crowd, unpacked
from tests.discord_fake import BotProcess, Channel, FakeDiscord, Interaction, Member
from tests.discord_fake.limits import EVERYWHERE

GUILDS, REQUESTS, SPAN_S = 200, 1_000, 10.0
BUSY_GUILDS, BUSY_REQUESTS = 20, 29
"""This many servers request this many pictures each; the others share the rest, all in one random order."""
PER_PERSON = 5
ACKNOWLEDGED_S, LAG_S, HEARTBEAT_S = 0.6, 0.1, 0.5
"""Limits at the 99th percentile."""
PING_S = 1.0
"""Pause between two requests for a heartbeat: discord.py holds back what exceeds 110 messages a minute."""
TIMEOUT_S = 90.0
PICTURE = {"size": "64x64", "steps": 2, "cutouts": 4, "start": "random"}
CONFIG = "log: {level: warning}\n"
EXPIRED_S = 15 * 60.0
"""Age of an interaction whose token Discord takes no more."""
OPEN = ("/interactions/", "/webhooks/")
"""Paths of calls with an interaction's token, which Discord does not count."""
STEP_S = 0.2
"""Time of a step of a worker that only waits."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One kind of run: the code of the bot, the number of its workers that only wait (0: the models), and the requests.

    With `growing`, each request comes from another server, and its token is expired from the beginning.
    """

    name: str = "today"
    code: Path = ROOT
    painters: int = 0
    picture_s: float = 10.0
    growing: bool = False

    @property
    def picture(self) -> dict[str, object]:
        """Options of each request."""
        return PICTURE | ({"steps": max(1, round(self.picture_s / STEP_S))} if self.painters else {})

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables for the bot's process."""
        return {"WAITING_PAINTERS": str(self.painters), "WAITING_STEP_S": str(STEP_S)} if self.painters else {}


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
    full_answer_s: Spread
    """Until the message tells the job, after a sign of thinking or at once."""
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
    loop_cpu_s: float
    """Processor time of the event loop's thread while the requests were answered."""
    all_cpu_s: float
    """The same of the whole process."""
    lag_of_discord_s: Spread
    """Lag of the loop that simulates Discord and the people; every wait above contains it."""
    transactions_per_s: float
    store_s: Spread
    """Time of one more transaction, tried every tenth of a second."""
    calls_per_s: int
    """Most calls within one second that count for Discord's global limit."""
    refused_by_rate_limits: int
    problems: int
    exit_status: int


class Load:
    """One run: the servers, the users, the bot."""

    def __init__(self, fake: FakeDiscord, bot: BotProcess, case: Case, seed: int = 1) -> None:
        self.fake, self.bot, self.case = fake, bot, case
        rng = random.Random(seed)  # noqa: S311 - an order, no secret
        self.asks: list[tuple[Channel, Member]] = []
        for number in range(case.painters if case.growing else GUILDS):
            guild = fake.world.add_guild(f"server {number}")
            channel = guild.add_channel()
            count = 1 if case.growing else BUSY_REQUESTS if number < BUSY_GUILDS else _rest(number)
            people = [guild.add_member(f"person {number}-{each}") for each in range(-(-count // PER_PERSON))]
            self.asks += [(channel, people[each % len(people)]) for each in range(count)]
        rng.shuffle(self.asks)
        self.typed: list[Interaction] = []

    async def ask(self) -> float:
        """Send all commands, evenly over the ten seconds; returns the time taken."""
        began, age_s = time.monotonic(), EXPIRED_S if self.case.growing else 0.0
        for number, (channel, member) in enumerate(self.asks):
            await asyncio.sleep(max(0.0, began + number * SPAN_S / len(self.asks) - time.monotonic()))
            prompt = prompt_of_a_crowd(number)
            typed = await self.fake.type_command(
                channel, member, "imagine", age_s=age_s, prompt=prompt, **self.case.picture
            )
            self.typed.append(typed)
        return time.monotonic() - began

    async def answered(self) -> None:
        """Wait until all are answered in full, or expired, or the wait times out."""
        waits = [asyncio.create_task(_settled(item)) for item in self.typed]
        _, open_ones = await asyncio.wait(waits, timeout=TIMEOUT_S)
        for wait in open_ones:
            wait.cancel()

    def finished(self) -> list[int]:
        """Servers of the finished pictures, in order of generation."""
        with sqlite3.connect(f"file:{self.bot.folder / 'reverie.db'}?mode=ro", uri=True) as db:
            rows = db.execute("SELECT guild_id FROM jobs WHERE painted_at IS NOT NULL ORDER BY painted_at").fetchall()
        db.close()
        return [guild_id for (guild_id,) in rows]


async def measure(folder: Path, case: Case, pictures: int, most_s: float) -> Figures:
    """Run once: send the requests, generate up to a number of pictures or a time limit, stop."""
    async with FakeDiscord(heartbeat_s=2.0, rate_limits=True) as fake:
        bot = BotProcess(fake, folder, CONFIG, "benchmarks._watched_bot", code=case.code)
        load = Load(fake, bot, case)
        await bot.start(**case.environment)
        own_lags: list[tuple[float, float]] = []
        helpers = [asyncio.create_task(_ping(fake)), asyncio.create_task(watch(own_lags))]
        began, cpu = time.monotonic(), _cpu_s(bot.pid)
        try:
            asking_s = await load.ask()
            await load.answered()
            asked_at, cpu_after = time.monotonic(), _cpu_s(bot.pid)
            while len(load.finished()) < pictures and time.monotonic() < asked_at + most_s:
                await asyncio.sleep(1.0)
            ended = time.monotonic()
            for helper in helpers:
                helper.cancel()
            status = await bot.stop()
        finally:
            for helper in helpers:
                helper.cancel()
            await bot.close()
        spans = [(began, asked_at), (asked_at, ended)]
        return _figures(load, asking_s, spans, own_lags, status, [b - a for a, b in zip(cpu, cpu_after, strict=True)])


def fairness(counts: Sequence[int]) -> float:
    """Jain's index of the shares: (sum x)^2 / (n sum x^2); 1 for equal shares, 1/n if one got everything."""
    squares = sum(count * count for count in counts)
    return sum(counts) ** 2 / (len(counts) * squares) if squares else 0.0


def spread(values: Sequence[float]) -> Spread:
    """Summarise values."""
    ordered = sorted(values) or [0.0]
    return Spread(ordered[len(ordered) // 2], ordered[int(0.99 * (len(ordered) - 1))], ordered[-1], len(values))


async def _settled(item: Interaction) -> None:
    await item.done.wait()
    while item.loading:
        await asyncio.sleep(PING_S)


async def _ping(fake: FakeDiscord) -> None:
    while True:
        await fake.gateway.ping()
        await asyncio.sleep(PING_S)


def _rest(number: int) -> int:
    """Number of pictures an ordinary server requests: the others' rest, evenly."""
    left, servers = REQUESTS - BUSY_GUILDS * BUSY_REQUESTS, GUILDS - BUSY_GUILDS
    place = number - BUSY_GUILDS
    return (place + 1) * left // servers - place * left // servers


def _shares(order: Sequence[int], guilds: Sequence[int]) -> list[int]:
    counts = Counter(order)
    return [counts[guild] for guild in guilds]


def _cpu_s(pid: int) -> tuple[float, float]:
    """Processor seconds of a process's first thread, and of all its threads."""
    found = []
    for place in (f"/proc/{pid}/task/{pid}/stat", f"/proc/{pid}/stat"):
        values = Path(place).read_text("utf-8").rpartition(")")[2].split()
        found.append((int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK"))
    return found[0], found[1]


def _most_calls(load: Load) -> int:
    """The most calls within one second that count for the global limit: those without an interaction's token."""
    times, most, first = [call.at for call in load.fake.calls if not call.path.startswith(OPEN)], 0, 0
    for number, at in enumerate(times):
        while times[first] <= at - EVERYWHERE[1]:
            first += 1
        most = max(most, number - first + 1)
    return most


def _figures(
    load: Load,
    asking_s: float,
    spans: list[tuple[float, float]],
    own_lags: list[tuple[float, float]],
    status: int,
    cpu_s: Sequence[float],
) -> Figures:
    lags = json.loads((load.bot.folder / LAGS).read_text("utf-8"))
    place = load.bot.folder / STORE
    store = json.loads(place.read_text("utf-8")) if place.exists() else {"transactions": 0, "probes": []}
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
        full_answer_s=spread([item.told_after_s for item in load.typed]),
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
        loop_cpu_s=cpu_s[0],
        all_cpu_s=cpu_s[1],
        lag_of_discord_s=spread([lag for _, lag in own_lags]),
        transactions_per_s=store["transactions"] / (running[1] - asking[0]),
        store_s=spread([took for at, took in store["probes"] if asking[0] <= at < running[1]]),
        calls_per_s=_most_calls(load),
        refused_by_rate_limits=0 if fake.buckets is None else fake.buckets.refused,
        problems=len(fake.problems()),
        exit_status=status,
    )


def _table(figures: Figures) -> str:
    lines = [f"{'':34}{'p50':>10}{'p99':>10}{'most':>10}{'of':>8}"]
    spreads = {
        "first answer, ms": figures.acknowledgement_s,
        "full answer, ms": figures.full_answer_s,
        "lag of the loop while asked, ms": figures.lag_asking_s,
        "lag of the loop while painting, ms": figures.lag_painting_s,
        "heartbeat asked for, ms": figures.heartbeat_s,
        "one more transaction, ms": figures.store_s,
        "lag of the simulated Discord, ms": figures.lag_of_discord_s,
    }
    for name, item in spreads.items():
        cells = "".join(f"{1_000 * value:>10.1f}" for value in (item.p50, item.p99, item.most))
        lines.append(f"{name:34}{cells}{item.of:>8}")
    lines += [
        f"answered {figures.acknowledged} of {figures.asked} ({figures.deferred} first with a sign of thinking, "
        f"{figures.refused} refused), asked within {figures.asking_s:.1f} s",
        f"processor time while answering: {figures.loop_cpu_s:.1f} s of the loop, {figures.all_cpu_s:.1f} s in all; "
        f"{figures.transactions_per_s:.0f} transactions a second",
        f"{figures.pictures} pictures in {figures.painting_s:.0f} s; Jain's index over the first "
        f"{figures.fairness_after}: {figures.fairness:.4f} "
        f"(first come, first served: {figures.fairness_first_come:.4f})",
        f"late heartbeats: {figures.late_heartbeats}; most calls a second: {figures.calls_per_s}; refused by rate "
        f"limits: {figures.refused_by_rate_limits}; bodies that Discord would not take: {figures.problems}; "
        f"exit status {figures.exit_status}",
    ]
    return "\n".join(lines)


def _comparison(runs: dict[str, list[Figures]]) -> str:
    """Medians over the rounds, and their range, of each version's figures."""
    rows = [f"{'p99, ms, median (range)':34}" + "".join(f"{name:>24}" for name in runs)]
    for item in fields(Figures):
        first = getattr(next(iter(runs.values()))[0], item.name)
        if not isinstance(first, Spread | float):
            continue
        cells = ""
        for figures in runs.values():
            values = [getattr(each, item.name) for each in figures]
            shown = [1_000 * value.p99 if isinstance(value, Spread) else value for value in values]
            cells += f"{f'{statistics.median(shown):.1f} ({min(shown):.1f} to {max(shown):.1f})':>24}"
        rows.append(f"{item.name:34}{cells}")
    return "\n".join(rows)


def missed(figures: Figures) -> list[str]:
    """Missed limits, in words."""
    checks = {
        "every /imagine is answered": figures.acknowledged == figures.asked and not figures.refused,
        f"the first answer comes within {ACKNOWLEDGED_S} s": figures.acknowledgement_s.p99 < ACKNOWLEDGED_S,
        f"the loop is less than {LAG_S} s late while it paints": figures.lag_painting_s.p99 < LAG_S,
        f"a heartbeat comes within {HEARTBEAT_S} s": figures.heartbeat_s.p99 < HEARTBEAT_S,
        "no heartbeat is missed": figures.late_heartbeats == 0,
        "no call is refused by a rate limit": figures.refused_by_rate_limits == 0,
        "every body is as Discord describes it": figures.problems == 0,
    }
    return [name for name, kept in checks.items() if not kept]


def main() -> int:
    """Run, print the table, write the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bot_load", description=__doc__)
    parser.add_argument("--pictures", type=int, default=2 * GUILDS, help="how many pictures are painted before it ends")
    parser.add_argument("--seconds", type=float, default=300.0, help="or after how many seconds")
    parser.add_argument("--beside", metavar="COMMIT", help="an earlier version, run in turns with this one")
    parser.add_argument("--rounds", type=int, default=1, help="how often each version is run")
    parser.add_argument("--painters", type=int, default=0, metavar="N", help="N workers that only wait, and no models")
    parser.add_argument("--picture-s", type=float, default=10.0, help="how long such a worker waits for a picture")
    parser.add_argument("--growing", type=int, default=0, metavar="N", help="N pictures at once, without valid tokens")
    parser.add_argument("--output", type=Path, default=Path("out/bot_load.json"), help="where the figures go")
    given = parser.parse_args()
    painters = given.growing or given.painters
    cases = [Case(painters=painters, picture_s=given.picture_s, growing=bool(given.growing))]
    runs: dict[str, list[Figures]] = {}
    loads = []
    with tempfile.TemporaryDirectory() as base:
        if given.beside:
            cases.insert(0, Case(name=given.beside, code=unpacked(given.beside, Path(base) / "code")))
        for number in range(given.rounds * len(cases)):
            case, folder = cases[number % len(cases)], Path(base) / str(number)
            folder.mkdir()
            loads.append(os.getloadavg()[0])
            figures = asyncio.run(measure(folder, case, given.pictures, given.seconds))
            runs.setdefault(case.name, []).append(figures)
            print(f"{case.name}, load {loads[-1]:.1f}\n{_table(figures)}\n", flush=True)
    machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(), "loads": loads}
    found = {name: [asdict(figures) for figures in rounds] for name, rounds in runs.items()}
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps({"machine": machine, "runs": found}, indent=2), "utf-8")
    if len(loads) > 1:
        print(_comparison(runs))
    bad = dict.fromkeys(name for figures in runs["today"] for name in missed(figures))
    print("\n".join(f"Missed: {name}" for name in bad) or "All bars are met.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
