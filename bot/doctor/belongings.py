"""Checks of the bot's own parts: configuration, models, data folder, database, token. Blocking."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bot.config import Config
from bot.doctor.finding import Finding, State
from bot.doctor.machine import GB
from bot.environment import TOKEN, TOKEN_FILE, load_config, read_token
from bot.errors import BotError, ConfigError, StoreError
from bot.files import DataFolder
from bot.store import Store
from bot.texts import say
from bot.worker.cluster.environment import check_address
from bot.worker.kinds import RAY, check_ray
from generator import Condition, InvalidRequest, ModelFile, UpscalerSource, look_at_set, look_at_upscaler

LEAST_DISK_GB = 2.0
FULL_DISK_GB = 0.2


def check_config(path: Path) -> tuple[Finding, Config]:
    """Check that every key is valid; return the configuration too, or the defaults if it is not."""
    try:
        config = load_config(path)
    except ConfigError as exc:
        return Finding("config", State.FAIL, str(exc), say("do_config")), Config()
    return Finding("config", State.OK, say("found_config", file=str(path))), config


def check_models(config: Config) -> list[Finding]:
    """Check that the files of all model sets, and of the upscaler, are there and whole."""
    found = [_check_set(config, name) for name in config.model_names]
    return found if config.upscaler_name is None else [*found, _check_upscaler(config)]


def _check_upscaler(config: Config) -> Finding:
    try:
        source = UpscalerSource.of(config.upscaler, config.digests)
    except InvalidRequest as exc:
        return Finding("models", State.FAIL, str(exc))
    return _finding(source.name, source.name, [look_at_upscaler(source)])


def _check_set(config: Config, name: str) -> Finding:
    own_name = config.models.default if name == config.model_name else name
    try:
        own = config.own_models if name == config.model_name else None
        perceptors = config.perceptors if name == config.model_name else []
        files = look_at_set(own_name, perceptors, own.vqgan if own is not None else None, digests=config.digests)
    except InvalidRequest as exc:
        return Finding("models", State.FAIL, str(exc))
    return _finding(name, own_name, files)


def _finding(name: str, own_name: str, files: Sequence[ModelFile]) -> Finding:
    """The finding about the files of a model set or upscaler, which is fetched by its own name."""
    by_condition = {each: [file for file in files if file.condition is each] for each in Condition}
    if broken := by_condition[Condition.BROKEN]:
        faults = " ".join(file.fault for file in broken)
        return Finding("models", State.FAIL, say("found_models_faulty", name=name, fault=faults), say("do_models"))
    if missing := by_condition[Condition.MISSING]:
        found = say("found_models_missing", name=name, files=", ".join(file.name for file in missing))
        advice = say("do_models_fetch", name=own_name, folder=str(missing[0].path.parent))
        return Finding("models", State.FAIL, found, advice)
    key = "found_models_new" if by_condition[Condition.NEW] else "found_models"
    return Finding("models", State.OK, say(key, name=name))


def check_painters(config: Config) -> Finding:
    """Check that the painters of config.yaml can be used: for Ray, its version and the address."""
    painters = config.painters
    if painters.kind != RAY:
        return Finding("painters", State.OK, say("found_painters_local"))
    try:
        check_ray()
        check_address(painters.address)
    except BotError as exc:
        return Finding("painters", State.FAIL, str(exc))
    return Finding("painters", State.OK, say("found_painters_ray", address=painters.address))


def check_disk(folder: Path) -> Finding:
    """Check that the data folder, or the place where it will be made, is writable and has room."""
    place = folder
    try:
        place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(b"reverie")
        free = shutil.disk_usage(place).free / GB
    except OSError as exc:
        why = exc.strerror or type(exc).__name__
        return Finding("disk", State.FAIL, say("files_unusable", file=str(place), why=why), say("do_disk"))
    key = "found_disk" if place == folder else "found_disk_new"
    found = say(key, folder=str(folder), free=f"{free:.1f}")
    if free >= LEAST_DISK_GB:
        return Finding("disk", State.OK, found)
    state = State.FAIL if free < FULL_DISK_GB else State.WARN
    return Finding("disk", state, found, say("do_disk_full", least=LEAST_DISK_GB))


def check_database(folder: Path) -> Finding:
    """Check that the database is whole, ours, and of a version that this code knows; it is only read."""
    path = DataFolder(folder).database
    try:
        if not path.exists():
            return Finding("database", State.OK, say("found_database_none"))
        if path.is_dir():
            found = say("files_unusable", file=str(path), why=os.strerror(errno.EISDIR))
            return Finding("database", State.FAIL, found, say("do_database"))
        version, known = asyncio.run(Store(path).inspect())
    except (StoreError, OSError) as exc:
        return Finding("database", State.FAIL, str(exc), say("do_database"))
    found = say("found_database", version=version, known=known)
    if version < known:
        return Finding("database", State.WARN, found, say("do_database_old"))
    return Finding("database", State.OK, found)


def check_token(environ: Mapping[str, str]) -> tuple[Finding, str | None]:
    """Check that something can be a token, and return that token. It is never part of the finding."""
    try:
        token = read_token(environ)
    except ConfigError as exc:
        return Finding("token", State.FAIL, str(exc)), None
    if token is None:
        return Finding("token", State.WARN, say("found_token_none"), say("do_token_none")), None
    place = TOKEN if environ.get(TOKEN, "").strip() else f"{TOKEN_FILE} ({environ[TOKEN_FILE].strip()})"
    return Finding("token", State.OK, say("found_token", place=place)), token


def check_login(token: str | None, online: bool) -> Finding:
    """Check that Discord accepts the token, only if requested."""
    if token is None or not online:
        advice = "" if token is None else say("do_login_skipped")
        return Finding("login", State.OK, say("found_login_skipped"), advice)
    from bot.frontend.login import try_login

    try:
        name = asyncio.run(try_login(token))
    except BotError as exc:
        return Finding("login", State.FAIL, str(exc), say("do_login"))
    return Finding("login", State.OK, say("found_login", name=name))
