"""`python -m tests.bot.worker.first_fault ADDRESS`: join a Ray cluster, and print the first sentence about a fault."""

from __future__ import annotations

import asyncio
import sys

from bot.config import Painters
from bot.worker.cluster.pool import RayCluster
from tests.bot.worker.troubled import fit


async def main(address: str) -> None:
    """Wait for the sentence; there is none if the cluster can be used."""
    pool = RayCluster(Painters(kind="ray", address=address), fit)
    await pool.start()
    while not pool.faults():
        await asyncio.sleep(0.05)
    sys.stdout.write(pool.faults()[0].said())
    await pool.close()


asyncio.run(main(sys.argv[1]))
