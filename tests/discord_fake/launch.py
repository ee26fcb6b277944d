"""`python -m tests.discord_fake.launch [arguments of python -m bot]`: the real bot, as a process, against the fake.

`FAKE_DISCORD` holds the fake's address, such as `http://127.0.0.1:4711`. The two places with Discord's addresses in
discord.py are set to it, then `python -m bot` begins as usual. The bot itself is unchanged. With `FAKE_NAMES` the
process can resolve only the hosts in that file; `FAKE_RATE` is the rate at which time passes for all that waits.
"""

from __future__ import annotations

import os
from pathlib import Path

from bot.__main__ import leave, main
from tests.discord_fake.haste import hurry
from tests.discord_fake.pointing import point_at, resolve_by


def prepare() -> None:
    """Do to this process what its environment says."""
    point_at(os.environ["FAKE_DISCORD"])
    if "FAKE_NAMES" in os.environ:
        resolve_by(Path(os.environ["FAKE_NAMES"]))
    hurry(float(os.environ.get("FAKE_RATE", "1")))


if __name__ == "__main__":
    prepare()
    leave(main())
