"""The campaign of network faults: refusals, limits, cuts, a failing resolver, a lost gateway. Event loop."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tests.discord_fake import Cut, Fault
from tests.faults.campaign import Plan, Scene, scene
from tests.faults.ledger import Account

HOST = "discord.fake"
"""The name that the process must resolve."""
HIT_S, ANY_S = 3.0, 60.0
"""Longest wait of a fault for a call of the chosen kind, and after that for any call."""
BACK_S = 90.0
"""Longest time for the bot to connect again."""


class Ordeal(StrEnum):
    """Kinds of network fault."""

    LIMITED = "429 with Retry-After"
    LIMITED_BLINDLY = "429 without Retry-After"
    ERROR_500 = "500"
    ERROR_502 = "502"
    ERROR_503 = "503"
    SLOW = "a slow answer"
    CUT_BEFORE = "cut before the call is read"
    CUT_DURING = "cut in the middle of an upload"
    CUT_AFTER = "cut after the call took effect"
    DNS = "DNS fails, all connections cut"
    DROPPED = "gateway dropped, resumed"
    RECONNECT = "gateway asks to reconnect"
    INVALIDATED = "session invalidated"
    RESUME_REFUSED = "gateway dropped, resume refused"


STATUSES = {Ordeal.ERROR_500: 500, Ordeal.ERROR_502: 502, Ordeal.ERROR_503: 503}
CUTS = {Ordeal.CUT_BEFORE: Cut.BEFORE, Ordeal.CUT_DURING: Cut.DURING, Ordeal.CUT_AFTER: Cut.AFTER}
GATEWAY = (Ordeal.DROPPED, Ordeal.RECONNECT, Ordeal.INVALIDATED, Ordeal.RESUME_REFUSED)
WHERE = (
    ("*", "*"), ("PATCH", "*"), ("PATCH", "/webhooks/*"), ("PATCH", "/channels/*"), ("POST", "/interactions/*"),
    ("POST", "/channels/*"),
)  # fmt: skip
"""The calls that something happens to, by method and path."""


@dataclass
class Campaign:
    """Results of a campaign of network faults. `away_s`: duration of each time without a gateway."""

    happened: Counter[Ordeal] = field(default_factory=Counter)
    calls: Counter[Ordeal] = field(default_factory=Counter)
    away_s: dict[Ordeal, list[float]] = field(default_factory=dict)
    account: Account = field(default_factory=Account)
    seconds: float = 0.0


def ordeals(each: int, rng: random.Random) -> list[Ordeal]:
    """Draw each kind of fault `each` times, in random order."""
    drawn = [ordeal for ordeal in Ordeal for _ in range(each)]
    rng.shuffle(drawn)
    return drawn


async def run(
    plan: Plan, drawn: Sequence[Ordeal], folder: Path, tell: Callable[[str], None] = lambda text: None
) -> Campaign:
    """Cause all these faults while people request pictures, wait until everything has ended, and ask the ledger."""
    done, began = Campaign(), time.monotonic()
    async with scene(plan, folder, host=HOST) as here:
        names = folder / "names.txt"
        names.write_text(HOST, "utf-8")
        here.environment["FAKE_NAMES"] = str(names)
        await here.start()
        async with here.busy(at_once=3):
            for number, ordeal in enumerate(drawn, start=1):
                await asyncio.sleep(here.rng.uniform(0.0, 0.3))
                done.calls[ordeal] += await _inflict(here, ordeal, names, done)
                done.happened[ordeal] += 1
                tell(f"{number}/{len(drawn)} {ordeal.value}")
                assert here.bot.alive, f"the bot ended by itself:\n{''.join(here.bot.lines[-40:])}"
        here.fake.faults.clear()
        await here.rest()
        done.account = await here.account()
        (folder / "log.txt").write_text(here.bot.log, "utf-8")
    done.seconds = time.monotonic() - began
    return done


async def _inflict(here: Scene, ordeal: Ordeal, names: Path, done: Campaign) -> int:
    """Cause one fault until it is over; return the number of the bot's calls that it affected."""
    if ordeal is not Ordeal.DNS and ordeal not in GATEWAY:
        return await _happen(here, ordeal)
    began = time.monotonic()
    gateway = here.fake.gateway
    if ordeal is Ordeal.DNS:
        names.write_text("", "utf-8")
        gateway.forget()
        here.fake.cut_all()
        await asyncio.sleep(here.rng.uniform(0.5, 3.0))
        names.write_text(HOST, "utf-8")
    elif ordeal is Ordeal.DROPPED:
        gateway.drop()
    elif ordeal is Ordeal.RECONNECT:
        await gateway.ask_to_reconnect()
    elif ordeal is Ordeal.INVALIDATED:
        await gateway.invalidate()
    else:
        gateway.refuse_resumes()
    async with asyncio.timeout(BACK_S):
        await gateway.ready.wait()
    done.away_s.setdefault(ordeal, []).append(time.monotonic() - began)
    return 0


async def _happen(here: Scene, ordeal: Ordeal) -> int:
    """Cause a fault in the next call of a random kind, or in any call if none of that kind comes."""
    for (method, path), patience_s in ((here.rng.choice(WHERE), HIT_S), (("*", "*"), ANY_S)):
        fault = _fault(here, ordeal, method, path)
        began = time.monotonic()
        while time.monotonic() < began + (HIT_S if fault.hits else patience_s) and fault.hits < (fault.times or 1):
            await asyncio.sleep(0.02)
        here.fake.faults.remove(fault)
        if fault.hits:
            return fault.hits
    left = here.unsettled()
    raise AssertionError(f"no call for {ANY_S} s that {ordeal.value!r} could happen to; under way: {left}")


def _fault(here: Scene, ordeal: Ordeal, method: str, path: str) -> Fault:
    faults, rng = here.fake.faults, here.rng
    times = rng.randint(1, 3)
    if ordeal in STATUSES:
        return faults.refuse(method, path, STATUSES[ordeal], times=times)
    if ordeal is Ordeal.SLOW:
        return faults.slow(method, path, rng.uniform(0.5, 5.0), times=times)
    if ordeal is Ordeal.LIMITED:
        return faults.limit(method, path, round(rng.uniform(0.2, 2.0), 2), times=times)
    if ordeal is Ordeal.LIMITED_BLINDLY:
        return faults.limit(method, path, None, by_proxy=True, times=times)
    return faults.cut(method, path, CUTS[ordeal], uploads=ordeal is Ordeal.CUT_DURING)
