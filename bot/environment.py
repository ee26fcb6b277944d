"""Configuration from the machine: config.yaml, the token, the data folder. Nothing is read at import.

Secrets come from the environment (`DISCORD_TOKEN`) or a file named there (`DISCORD_TOKEN_FILE`), never from
config.yaml. Any thread, blocking.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # ships no types
from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from bot.config import Config, allowed, values_of
from bot.errors import ConfigError

TOKEN, TOKEN_FILE, DATA = "DISCORD_TOKEN", "DISCORD_TOKEN_FILE", "REVERIE_DATA"
MAX_CONFIG_BYTES = 2**20
MAX_DEPTH = 20
_GUESSED = tuple(f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "float", "null", "timestamp", "value", "str"))
"""Tags that YAML infers from a plain word; other tags are written out, or are `<<`."""


def load_config(path: Path) -> Config:
    """Read and check a config file.

    Raises:
        ConfigError: naming the file or the key, and what is allowed.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_CONFIG_BYTES + 1)
        readable = bool(text.strip()) and len(text) <= MAX_CONFIG_BYTES
        if readable and _too_deep(text.decode()):
            raise ConfigError("config_no_yaml", file=str(path), why="it is nested too deeply")
        given = OmegaConf.create(_with_words(text.decode())) if readable else None
    except FileNotFoundError as exc:
        raise ConfigError("config_missing", file=str(path)) from exc
    except OSError as exc:
        raise ConfigError("config_unreadable", file=str(path), why=exc.strerror or "?") from exc
    except (yaml.YAMLError, ValueError, OmegaConfBaseException, RecursionError) as exc:
        raise ConfigError("config_no_yaml", file=str(path), why=_first_line(exc)) from exc
    if given is None and not text.strip():
        return Config()
    if given is None or not OmegaConf.is_dict(given):
        raise ConfigError("config_no_mapping", file=str(path))
    return read_config(OmegaConf.to_container(given, resolve=False))  # type: ignore[arg-type]


def read_config(given: Mapping[Any, Any]) -> Config:
    """Check the content of config.yaml.

    Raises:
        ConfigError: naming the key, and what is allowed.
    """
    given = _expanded(given)
    schema = OmegaConf.structured(Config)
    OmegaConf.set_readonly(schema, False)
    for item in fields(Config):
        if OmegaConf.is_config(schema[item.name]):
            OmegaConf.set_readonly(schema[item.name], False)
            if item.name in given and not isinstance(given[item.name], Mapping | list):
                raise ConfigError("config_no_section", key=item.name)
    try:
        merged = OmegaConf.to_object(OmegaConf.merge(schema, OmegaConf.create(dict(given))))
    except ConfigKeyError as exc:
        raise _unknown(exc) from exc
    except (OmegaConfBaseException, TypeError, ValueError) as exc:
        key = str(getattr(exc, "full_key", None) or "?")
        raise ConfigError("config_wrong_type", key=key, allowed=_allowed_at(key)) from exc
    if not isinstance(merged, Config):
        raise ConfigError("config_no_mapping", file="config.yaml")
    return merged


def read_token(environ: Mapping[str, str]) -> str | None:
    """The bot's token from the environment or the file named there; None if neither is set.

    Raises:
        ConfigError: if the file cannot be read, or its content cannot be a token. The text is never quoted.
    """
    token = environ.get(TOKEN, "").strip()
    name = environ.get(TOKEN_FILE, "").strip()
    if not token and name:
        try:
            token = Path(name).read_text("utf-8").strip()
        except (OSError, ValueError) as exc:
            raise ConfigError("token_file", file=name) from exc
        if not token:
            raise ConfigError("token_file", file=name)
    if not token:
        return None
    if not re.fullmatch(r"[\w.=-]{8,200}", token, re.ASCII):
        raise ConfigError("token_malformed", name=TOKEN if environ.get(TOKEN, "").strip() else TOKEN_FILE)
    return token


def data_folder(config: Config, environ: Mapping[str, str]) -> Path:
    """The folder for everything the bot writes: `REVERIE_DATA`, else config.yaml's, else `./data`."""
    return Path(environ.get(DATA, "").strip() or config.data.strip() or "data").expanduser()


def _expanded(given: Mapping[Any, Any]) -> dict[Any, Any]:
    """The same content with every section in full: a single value in place of one stands for its main key."""
    short = {item.name: item.metadata["short"] for item in fields(Config) if "short" in item.metadata}
    return {
        key: {short[key]: value} if key in short and not isinstance(value, Mapping | list) else value
        for key, value in given.items()
    }


def _unknown(exc: ConfigKeyError) -> ConfigError:
    key = str(exc.full_key)
    section = key.rpartition(".")[0]
    if "token" in key.lower():
        return ConfigError("config_token", key=key, name=TOKEN)
    kind: Any = Config
    for part in filter(None, section.split(".")):
        kind = {item.name: item.default_factory for item in fields(kind)}[part]
    return ConfigError("config_unknown", key=key, known=", ".join(item.name for item in fields(kind)))


def _allowed_at(key: str) -> str:
    name = re.sub(r"\[.*", "", key)
    for known, item, _ in values_of(Config()):
        if name == known or name.startswith(f"{known}."):
            return allowed(item)
    return "a mapping"


def _too_deep(text: str) -> bool:
    """True if sections are nested deeper than MAX_DEPTH, which would crash the process in YAML's own reader."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            return True
    return False


def _with_words(text: str) -> str:
    """The same YAML with values of text keys kept as written: `no` is not a boolean there."""
    root = yaml.compose(text, yaml.SafeLoader)
    if isinstance(root, yaml.MappingNode):
        _keep_words(root, Config())
    return "" if root is None else str(yaml.serialize(root, Dumper=yaml.SafeDumper, allow_unicode=True))


def _keep_words(section: yaml.MappingNode, defaults: object) -> None:
    """Mark the values of text keys as text, in a section and its subsections."""
    known = {item.name: item for item in fields(defaults)}  # type: ignore[arg-type]  # called with dataclasses only
    for key, value in section.value:
        if not isinstance(key, yaml.ScalarNode) or key.value not in known:
            continue
        inner, kind = getattr(defaults, key.value), known[key.value].type
        if is_dataclass(inner) and isinstance(value, yaml.MappingNode):
            _keep_words(value, inner)
        elif kind == "str" or "short" in known[key.value].metadata:
            _keep(value)
        elif kind == "list[str]" and isinstance(value, yaml.SequenceNode):
            _keep(*value.value)
        elif kind == "dict[str, str]" and isinstance(value, yaml.MappingNode):
            _keep(*(node for pair in value.value for node in pair))


def _keep(*nodes: yaml.Node) -> None:
    for node in nodes:
        # An empty value is not text, and `<<` merges another section.
        if isinstance(node, yaml.ScalarNode) and node.value and node.tag in _GUESSED:
            node.tag, node.style = "tag:yaml.org,2002:str", node.style or "'"


def _first_line(exc: BaseException) -> str:
    mark = getattr(exc, "problem_mark", None)
    where = f"line {mark.line + 1}: " if mark is not None else ""
    return where + (str(getattr(exc, "problem", None) or exc).splitlines() or ["?"])[0][:200]
