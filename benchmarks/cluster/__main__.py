"""`python -m benchmarks.cluster`: workers on Ray under load and under faults.

Parts: `scaling` (jobs an hour), `fairness` (between servers), `kills` (of workers), `memory` (of the bot's process),
`overhead` (against the thread), `film` (the same, and a kill), `threads`
(against processes), `outages` (of the network, of machines and of the head; as root).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from benchmarks.cluster.load import fairness, kills, memory, scaling
from benchmarks.cluster.outages import FAULTS, outages
from benchmarks.cluster.overhead import film, overhead
from benchmarks.cluster.threads import threads, waiting_threads
from benchmarks.report import conditions, options, write_report

PARTS: Mapping[str, Sequence[Callable[[], Awaitable[dict[str, Any]]]]] = {
    "scaling": [partial(scaling, painters) for painters in (1, 2, 4)],
    "fairness": [partial(fairness, painters) for painters in (1, 2, 4)],
    "kills": [kills],
    "memory": [memory],
    "overhead": [overhead],
    "film": [film],
    "threads": [waiting_threads, threads],
    "outages": [partial(outages, name) for name in FAULTS],
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the parts that are asked for, and write the figures."""
    parser = options(__doc__, "cluster.json")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to measure")
    args = parser.parse_args(arguments)
    about = conditions(args.threads, "cpu")
    figures: dict[str, list[dict[str, Any]]] = {}
    rows = []
    for part in args.parts:
        for measure in PARTS[part]:
            values = asyncio.run(_awaited(measure))
            figures.setdefault(part, []).append(values)
            rows.append([part, ", ".join(f"{name} {value}" for name, value in values.items())])
    write_report(args.json, about, ("part", "figures"), rows, figures)
    return 0


async def _awaited(measure: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    return await measure()


if __name__ == "__main__":
    sys.exit(main())
