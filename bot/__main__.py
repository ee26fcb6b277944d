"""`python -m bot`: read the configuration, build the bot, run until a signal, shut down cleanly.

With a token it connects to Discord, without one it opens the local preview.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bot import log
from bot.backup import back_up
from bot.config import Config
from bot.environment import data_folder, load_config, read_token
from bot.errors import BotError
from bot.files import DataFolder
from bot.monitoring.heartbeat import Heartbeat
from bot.store import Store
from bot.texts import say
from bot.waiting import ExternalWait
from bot.worker.protocol import Engine
from generator import GeneratorError, Settings

if TYPE_CHECKING:
    from bot.frontend.client import Reverie

PREVIEW_PORT = 8765


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; return 0, or 1 after a message on standard error."""
    given = _parser().parse_args(arguments)
    try:
        if given.command == "doctor":
            return _doctor(given.config, given.online)
        config = load_config(given.config)
        token = read_token(os.environ)
        log.configure(config.log.level, config.log.format, token)
        folder = data_folder(config, os.environ)
        if given.command == "backup":
            asyncio.run(back_up(DataFolder(folder), given.file, pictures=given.pictures))
            print(say("backup_with_pictures" if given.pictures else "backup_done", file=str(given.file)))
        elif given.command == "invite":
            print(_invitation(token, given.application))
        elif given.command == "health":
            Heartbeat(folder).check()
            print(say("health_good"))
        elif token is None or given.preview:
            asyncio.run(_show_preview(config, folder, given.config, given.port))
        else:
            asyncio.run(_serve(config, folder, token, given.config))
    except (BotError, GeneratorError) as exc:
        print(exc, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def stop_on_signals() -> asyncio.Event:
    """An event set by SIGTERM and SIGINT; call it on the event loop."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _serve(config: Config, folder: Path, token: str, config_path: Path) -> None:
    from bot import wiring as building
    from bot.frontend import client

    stop = stop_on_signals()
    engine, settings = await _load(config, folder)
    bot = building.build(config, folder, engine, settings, config_path=config_path)
    await client.run(bot, token, stop, Heartbeat(folder))


async def _show_preview(config: Config, folder: Path, config_path: Path, port: int) -> None:
    """Run the preview in a separate data folder: its server and people are not those of a real bot."""
    from bot import wiring as building
    from bot.frontend.preview import server as preview

    stop, own = stop_on_signals(), folder / "preview"
    engine, settings = await _load(config, own)

    def build(wait: ExternalWait) -> Reverie:
        return building.build(config, own, engine, settings, config_path=config_path, external_wait=wait, shard_count=1)

    await preview.show(build, port, stop)


async def _load(config: Config, folder: Path) -> tuple[Engine, Settings]:
    """Load the models and the default settings, from the models' suggestions and config.yaml.

    Models are not loaded if another process uses the data folder: both sets might not fit in memory.
    """
    from bot.worker.engine import GeneratorEngine

    await Store(DataFolder(folder).database).see_free()
    engine = GeneratorEngine(
        config.models,
        config.device,
        config.safety.threshold,
        own=config.own_models,
        precision=config.precision,
        memory_share=config.gpu_memory_share,
        fall_back_to_cpu=config.gpu_fall_back_to_cpu,
    )
    suggested = await asyncio.to_thread(engine.load)
    return engine, suggested.merged({str(name): value for name, value in config.generator.items()})


def _doctor(config: Path, online: bool) -> int:
    """Print the doctor's findings; return 1 if one of them prevents the bot from working."""
    from bot.doctor import State, examine, table

    findings = examine(config, os.environ, online=online)
    print(table(findings))
    return int(any(item.state is State.FAIL for item in findings))


def _invitation(token: str | None, application_id: int | None) -> str:
    from bot.frontend.invite import invitation

    return invitation(token, application_id)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bot",
        description="Reverie, a Discord bot that dreams pictures. With DISCORD_TOKEN (or DISCORD_TOKEN_FILE) set it "
        "connects to Discord, without it opens a preview in the browser.",
    )
    parser.add_argument("--config", type=Path, default=Path("config.yaml"), help="config file (default: config.yaml)")
    parser.add_argument("--preview", action="store_true", help="open the local preview even if a token is set")
    parser.add_argument(
        "--port", type=int, default=PREVIEW_PORT, help=f"port of the preview (default: {PREVIEW_PORT}; 0: any)"
    )
    commands = parser.add_subparsers(dest="command", metavar="{backup,doctor,health,invite}")
    copy = commands.add_parser("backup", help="copy the database to a file; the bot may be running")
    copy.add_argument("file", type=Path, help="the file to write")
    copy.add_argument("--pictures", action="store_true", help="write a zip archive of database, pictures and snapshots")
    doctor = commands.add_parser("doctor", help="check everything that the bot needs, and say how to fix problems")
    doctor.add_argument("--online", action="store_true", help="also test the token with Discord")
    invite = commands.add_parser("invite", help="print the link that adds the bot to a server")
    invite.add_argument("--application", type=int, help="ID of the application, if no token is set")
    commands.add_parser("health", help="exit with 0 if the bot runs with this data folder and is connected")
    return parser


if __name__ == "__main__":
    sys.exit(main())
