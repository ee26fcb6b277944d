"""`python -m bot`: read the configuration, build the bot, run until a signal, shut down cleanly.

With a token it connects to Discord, without one it opens the local preview.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an older Python gets a sentence, not a trace from the imports below
    have = "{}.{}".format(*sys.version_info)
    sys.exit(f"Reverie needs Python 3.11 or 3.12, and this is {have}. See docs/hosting.md.")

import argparse
import asyncio
import gc
import logging
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from bot import log
from bot.config import Config
from bot.environment import data_folder, load_config, read_token
from bot.errors import BotError
from bot.files import DataFolder
from bot.monitoring.heartbeat import Heartbeat
from bot.store import Store
from bot.store.backup import back_up
from bot.texts import say
from bot.waiting import ExternalWait
from bot.worker.protocol import Check, Engine
from generator import GeneratorError, Settings

if TYPE_CHECKING:
    from bot.frontend.client import Reverie

PREVIEW_PORT, MAX_PORT = 8765, 65_535
PREVIEW = "preview"
"""Folder of the preview in the data folder."""
MADE_AT = datetime(2026, 1, 1, tzinfo=UTC)
"""A clock that is before this is wrong: the program is younger."""
WRONG_USE = 2
T = TypeVar("T")
Load = Callable[[Config], Awaitable[tuple[Mapping[str, Engine], Settings, Check | None]]]
_log = logging.getLogger(__name__)


class SentenceParser(argparse.ArgumentParser):
    """Argument parser that explains an error in one sentence, without a usage text."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence and exit."""
        self.exit(WRONG_USE, f"{message[:1].upper()}{message[1:]}. See {self.prog} --help.\n")


def main(arguments: Sequence[str] | None = None, load: Load | None = None) -> int:
    """Run a subcommand; return 0, or 1 after a message on standard error. Wrong arguments exit with 2.

    `load` returns the engines, the default settings and the trained check; None loads what the configuration names.
    """
    given = _parser().parse_args(arguments)
    try:
        if given.command == "doctor":
            return _doctor(given.config, given.online)
        config = load_config(given.config)
        token = read_token(os.environ)
        log.configure(config.log.level, config.log.format, token)
        folder = data_folder(config, os.environ)
        if given.command == "backup":
            asyncio.run(back_up(_backed_up(folder, given.preview), given.file, pictures=given.pictures))
            print(say("backup_with_pictures" if given.pictures else "backup_done", file=str(given.file)))
        elif given.command == "invite":
            print(_invitation(token, given.application, for_everybody=config.for_everybody))
        elif given.command == "health":
            Heartbeat(folder).check()
            print(say("health_good"))
        elif token is None or given.preview:
            _check_clock()
            asyncio.run(_show_preview(config, folder, given.config, given.port, load or _load))
        else:
            _check_clock()
            # A start leaves next to nothing to collect, and searching all that it loads takes a tenth of its time.
            gc.disable()
            asyncio.run(_serve(config, folder, token, given.config, load or _load))
    except (BotError, GeneratorError) as exc:
        print(exc, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        gc.enable()
    return 0


def stop_on_signals() -> asyncio.Event:
    """An event set by SIGTERM and SIGINT; call it on the event loop."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _serve(config: Config, folder: Path, token: str, config_path: Path, load: Load) -> None:
    from bot import wiring as building
    from bot.frontend import client

    stop = stop_on_signals()
    await _check_folder(folder)
    engines, settings, check = await load(config)
    bot = building.build(
        config, folder, _first(engines), settings, engines=engines, config_path=config_path, check=check
    )
    client.favour_loop()
    await client.run(bot, token, stop, Heartbeat(folder))


async def _show_preview(config: Config, folder: Path, config_path: Path, port: int, load: Load) -> None:
    """Run the preview in a separate data folder: its server and people are not those of a real bot."""
    from bot import wiring as building
    from bot.frontend.preview import server as preview

    own = folder / PREVIEW
    await _check_folder(own)
    # While models are read, Ctrl-C ends the process at once: nothing is written yet, and that thread cannot be stopped.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with preview.listen(port) as listener:
        engines, settings, check = await load(config)
        stop = stop_on_signals()

        def build(wait: ExternalWait) -> Reverie:
            return building.build(
                config,
                own,
                _first(engines),
                settings,
                engines=engines,
                config_path=config_path,
                external_wait=wait,
                shard_count=1,
                check=check,
            )

        await preview.show(build, listener, stop, own)


async def _check_folder(folder: Path) -> None:
    """Check, before models are loaded, that the data folder can be used and no other process uses it.

    Two sets of models might not fit in memory.
    """
    files = DataFolder(folder)
    await Store(files.database).see_free()
    await asyncio.to_thread(files.prepare)


def _check_clock() -> None:
    now = datetime.fromtimestamp(time.time(), UTC)
    if now < MADE_AT:
        _log.warning(say("clock_behind", date=now.date().isoformat()))


async def _load(config: Config) -> tuple[Mapping[str, Engine], Settings, Check | None]:
    """Load the models, the default settings from the models' suggestions and config.yaml, and the trained check."""
    _log.info("loading the models", extra=log.about(models=config.model_name))
    from bot.worker.kinds import open_engines
    from bot.worker.trained_check import trained_check

    engines, suggested = await asyncio.to_thread(open_engines, config)
    check = await asyncio.to_thread(trained_check)
    return engines, suggested.merged({str(name): value for name, value in config.generator.items()}), check


def _first(engines: Mapping[str, T]) -> T:
    return next(iter(engines.values()))


def _backed_up(folder: Path, preview: bool) -> DataFolder:
    """The data to back up: those of the bot, or of the preview if it is asked for or has run alone."""
    files, tried = DataFolder(folder), DataFolder(folder / PREVIEW)
    return tried if preview or (not files.has_database() and tried.has_database()) else files


def _doctor(config: Path, online: bool) -> int:
    """Print the doctor's findings; return 1 if one of them prevents the bot from working."""
    from bot.doctor import State, examine, table

    findings = examine(config, os.environ, online=online)
    print(table(findings))
    return int(any(item.state is State.FAIL for item in findings))


def _invitation(token: str | None, application_id: int | None, *, for_everybody: bool) -> str:
    """The link for servers, and below it the one for people, if the host allows that."""
    from bot.frontend.invite import invitation, personal_invitation

    lines = [invitation(token, application_id)]
    if for_everybody:
        lines.append(say("invite_personal", link=personal_invitation(token, application_id)))
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = SentenceParser(
        prog="python -m bot",
        description="Reverie, a Discord bot that dreams pictures. With DISCORD_TOKEN (or DISCORD_TOKEN_FILE) set it "
        "connects to Discord, without it opens a preview in the browser.",
    )
    parser.add_argument("--config", type=Path, default=Path("config.yaml"), help="config file (default: config.yaml)")
    parser.add_argument("--preview", action="store_true", help="use the local preview even if a token is set")
    parser.add_argument(
        "--port", type=_port, default=PREVIEW_PORT, help=f"port of the preview (default: {PREVIEW_PORT}; 0: any)"
    )
    commands = parser.add_subparsers(dest="command", metavar="{backup,doctor,health,invite}")
    copy = commands.add_parser("backup", help="copy the database to a file; the bot may be running")
    copy.add_argument("file", type=Path, help="the file to write")
    copy.add_argument("--pictures", action="store_true", help="write a zip archive of database, pictures and snapshots")
    doctor = commands.add_parser("doctor", help="check everything that the bot needs, and say how to fix problems")
    doctor.add_argument("--online", action="store_true", help="also test the token with Discord")
    invite = commands.add_parser("invite", help="print the link that adds the bot to a server")
    invite.add_argument("--application", type=_application, help="ID of the application, if no token is set")
    commands.add_parser("health", help="exit with 0 if the bot runs with this data folder and is connected")
    return parser


def leave(code: int) -> NoReturn:
    """End the process at once: nothing is open any more, and to tear torch down takes seconds on a busy machine."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text[:9]) > MAX_PORT:
        raise argparse.ArgumentTypeError(say("port_malformed", given=repr(text[:20]), most=str(MAX_PORT)))
    return int(text)


def _application(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,20}", text.strip()):
        raise argparse.ArgumentTypeError(say("application_malformed", given=repr(text[:40])))
    return int(text)


if __name__ == "__main__":
    leave(main())
