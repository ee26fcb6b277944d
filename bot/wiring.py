"""Builds the bot from its parts. Event loop, before anything is started."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bot.config import Config
from bot.files import DataFolder
from bot.frontend.client import Reverie
from bot.service import Service, SetDefaults
from bot.waiting import ExternalWait, identity
from bot.worker.kinds import open_workers
from bot.worker.protocol import Check, Engine, Suggestions
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
    check: Check | None = None,
) -> Reverie:
    """Build the client with all its parts, without starting it.

    `engine` advises about requests; `engines` generate, by the names of their workers, or it alone.
    Without a check, the perceptors guess.
    """
    executor = open_workers(config, engines or {"local": engine}, external_wait)
    service = Service(
        config,
        DataFolder(folder),
        executor,
        settings=settings,
        starts=engine.suggested(config.model_name).starts,
        other_sets={name: _defaults_of(config, engine.suggested(name)) for name in config.model_names[1:]},
        request_warnings=engine.request_warnings,
        gpu_bytes=engine.gpu_bytes,
        checked_by=engine.checked_by,
        check=check,
        external_wait=external_wait,
    )
    return Reverie(config, service, config_path=config_path, external_wait=external_wait, shard_count=shard_count)


def _defaults_of(config: Config, suggested: Suggestions) -> SetDefaults:
    """Default settings of pictures with a set beside the usual one; a start that it cannot make becomes noise."""
    settings = config.settings_over(Settings().merged(suggested.defaults))
    if settings.start == "prior" and not suggested.has_prior:
        settings = settings.merged({"start": "random"})
    return SetDefaults(settings=settings, starts=config.starts_over(suggested.starts))
