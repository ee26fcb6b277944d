"""`python -m benchmarks.faults`: kill and disconnect the real process repeatedly, then check the pictures.

Two campaigns with Discord on loopback, one of kills and one of network faults, defined in tests/faults. Tables go to
standard output, all figures to JSON files; the exit status is 1 if a guarantee was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.report import conditions, write_report
from tests.faults import kills, network, report
from tests.faults.campaign import Plan
from tests.faults.ledger import Account

KILLS, EACH = 100, 50


def main() -> int:
    """Run the requested campaigns."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS, help=f"how many kills; 0 for none ({KILLS})")
    parser.add_argument("--network", type=int, default=EACH, help=f"how many network faults of each kind ({EACH})")
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn")
    parser.add_argument(
        "--starter", action=argparse.BooleanOptionalAction, default=True, help="paint with the starter models, or not"
    )
    parser.add_argument("--folder", type=Path, help="where data and log stay, for whoever wants to look into them")
    parser.add_argument("--json", type=Path, default=Path("build/bench"), help="the folder that the figures go to")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        return _run(given, given.folder or Path(scratch))


def _run(given: argparse.Namespace, folder: Path) -> int:
    plan, broken = Plan(seed=given.seed, starter=given.starter), 0
    about = conditions(threads=1, device="cpu") | {"seed": plan.seed, "starter": plan.starter}
    if given.kills:
        killed = asyncio.run(kills.run(plan, given.kills, folder / "kills", _show))
        _report(given.json / "faults-kills.json", about, report.KILL_HEAD, report.kill_rows(killed), killed)
        broken += len(killed.account.broken)
    if given.network:
        drawn = network.ordeals(given.network, random.Random(plan.seed))  # noqa: S311 - an order, no secret
        cut_off = asyncio.run(network.run(plan, drawn, folder / "network", _show))
        _report(given.json / "faults-network.json", about, report.ORDEAL_HEAD, report.ordeal_rows(cut_off), cut_off)
        broken += len(cut_off.account.broken)
    return 1 if broken else 0


def _report(
    path: Path,
    about: dict[str, Any],
    head: list[str],
    rows: report.Rows,
    campaign: kills.Campaign | network.Campaign,
) -> None:
    write_report(path, about, head, rows, report.plain(campaign))
    account: Account = campaign.account
    for row in (report.OUTCOME_HEAD, ["---"] * len(report.OUTCOME_HEAD), *report.outcome_rows(account)):
        print("| " + " | ".join(row) + " |")
    print("\n" + "\n".join(report.in_words(account)))
    print(f"It took {campaign.seconds / 60:.0f} minutes.\n")


def _show(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
