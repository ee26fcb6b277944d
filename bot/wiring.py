"""Builds the bot from its parts. Event loop, before anything is started."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bot.config import Config
from bot.files import DataFolder
from bot.frontend.client import Reverie
from bot.service import Service
from bot.waiting import ExternalWait, identity
from bot.worker.kinds import open_workers
from bot.worker.protocol import Engine
from generator import Settings


def build(
    config: Config,
    folder: Path,
    engine: Engine,
    settings: Settings,
    *,
    engines: Mapping[str, Engine] | None = None,
    config_path: Path = Path("config.yaml"),
    external_wait: ExternalWait = identity,
    shard_count: int | None = None,
) -> Reverie:
    """Build the client with all its parts, without starting it.

    `engine` advises about requests; `engines` generate, by the names of their workers, or it alone.
    """
    executor = open_workers(config, engines or {"local": engine}, external_wait)
    service = Service(
        config,
        DataFolder(folder),
        executor,
        settings=settings,
        starts=engine.starts,
        request_warnings=engine.request_warnings,
        gpu_bytes=engine.gpu_bytes,
        checked_by=engine.checked_by,
        external_wait=external_wait,
    )
    return Reverie(config, service, config_path=config_path, external_wait=external_wait, shard_count=shard_count)
