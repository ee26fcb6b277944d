"""Builds the bot from its parts. Event loop, before anything is started."""

from __future__ import annotations

from pathlib import Path

from bot.config import Config
from bot.files import DataFolder
from bot.frontend.client import Reverie
from bot.service import Service
from bot.waiting import ExternalWait, identity
from bot.worker.protocol import Check, Engine
from bot.worker.thread import LocalExecutor
from generator import Settings


def build(
    config: Config,
    folder: Path,
    engine: Engine,
    settings: Settings,
    *,
    config_path: Path = Path("config.yaml"),
    external_wait: ExternalWait = identity,
    shard_count: int | None = None,
    check: Check | None = None,
) -> Reverie:
    """Build the client with all its parts, without starting it; without a check, the perceptors guess."""
    timing = config.timing
    executor = LocalExecutor(
        engine,
        preview_s=timing.preview_s,
        snapshot_s=timing.snapshot_s,
        stall_s=timing.stall_s,
        external_wait=external_wait,
    )
    service = Service(
        config,
        DataFolder(folder),
        executor,
        settings=settings,
        starts=engine.starts,
        request_warnings=engine.request_warnings,
        gpu_bytes=engine.gpu_bytes,
        checked_by=engine.checked_by,
        check=check,
        external_wait=external_wait,
    )
    return Reverie(config, service, config_path=config_path, external_wait=external_wait, shard_count=shard_count)
