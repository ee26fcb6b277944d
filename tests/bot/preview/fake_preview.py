"""The real preview with a dream that needs no models: `python -m tests.bot.preview.fake_preview DATA_FOLDER`.

Everything else is real: client, commands, queue, database, simulated Discord and page. Event loop.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

from bot.__main__ import stop_on_signals
from bot.config import Config, Discord, Gallery, Timing
from bot.frontend.client import Reverie
from bot.frontend.preview import server
from bot.waiting import ExternalWait
from bot.wiring import build
from generator import Settings, Size
from tests.bot.fake_dream import FakeDreamer

SETTINGS = Settings(size=Size(64, 64), steps=20, cutouts=4)


async def main(folder: Path) -> None:
    """Show the preview, with web galleries and for people without a server, until a signal."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        gallery = Gallery(port=probe.getsockname()[1])
    config = Config(
        timing=Timing(preview_s=0.2, snapshot_s=1.0),
        discord=Discord(edit_interval_s=1.0),
        gallery=gallery,
        install="everybody",
    )

    def built(wait: ExternalWait) -> Reverie:
        return build(config, folder, FakeDreamer(step_s=0.02), SETTINGS, external_wait=wait, shard_count=1)

    await server.show(built, server.listen(0), stop_on_signals(), folder)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
