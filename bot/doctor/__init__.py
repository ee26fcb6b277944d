"""`python -m bot doctor`: check everything that the bot needs, and say how to fix it. Blocking.

It changes nothing: it makes no folder, converts no model and does not migrate the database.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bot.doctor import belongings, machine
from bot.doctor.finding import Finding, State, table
from bot.environment import data_folder
from generator import look_at_memory

__all__ = ["Finding", "State", "examine", "table"]


def examine(config_path: Path, environ: Mapping[str, str], *, online: bool = False) -> list[Finding]:
    """Run every check, in the order in which to fix things; `online` tries the token with Discord."""
    checked_config, config = belongings.check_config(config_path)
    token, secret = belongings.check_token(environ)
    folder = data_folder(config, environ)
    return [
        machine.check_python(),
        checked_config,
        *machine.check_gpu_support(config.device, machine.driver_version()),
        machine.check_memory(look_at_memory()),
        belongings.check_disk(folder),
        *belongings.check_models(config),
        belongings.check_painters(config),
        belongings.check_database(folder),
        token,
        belongings.check_login(secret, online),
    ]
