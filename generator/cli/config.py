"""Effective settings: code defaults, model defaults, config.yaml, in this order.

The bot reads config.yaml by its own schema; only values that affect a picture are read here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

from generator.checkpoints.catalogue import STARTER
from generator.checkpoints.sources import OwnModels
from generator.errors import InvalidRequest
from generator.settings import Settings, suggestions_for

STARTER_FILE = Path(__file__).parents[1] / "starter" / "starter.yaml"


class HostDefaults(NamedTuple):
    """Values from config.yaml: settings by name, the models, and where and how they compute; None if not set."""

    settings: Mapping[str, object] = {}
    models: str | None = None
    device: str | None = None
    precision: str | None = None
    memory_share: float | None = None
    own: OwnModels | None = None
    digests: Mapping[str, str] = {}
    upscaler: str | None = None


def resolve_settings(
    models: Mapping[str, object],
    host: Mapping[str, object],
    person: Mapping[str, object],
    starts: Mapping[str, Mapping[str, object]] | None = None,
) -> Settings:
    """Settings of a picture: the code's defaults, overridden by the models', the host's, then the requester's.

    `starts` holds the models' deviating defaults by start, and those for losses: noise needs more steps than a
    proposal.

    Raises:
        InvalidRequest: for a value out of range.
    """
    start = person.get("start") or host.get("start") or models.get("start") or Settings().start
    suggested = {**models, **suggestions_for(str(start), {**host, **person}, starts or {})}
    return Settings().merged(suggested).merged(host).merged(person)


@cache
def read_suggestions() -> tuple[Mapping[str, object], Mapping[str, Mapping[str, object]]]:
    """The starter's `defaults` and `starts`, for the help; empty if its file cannot be read, as the loader will say."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError  # type: ignore[import-untyped]  # ships no types

    try:
        config: Any = OmegaConf.load(STARTER_FILE)
        defaults, starts = (OmegaConf.to_container(config[name]) for name in ("defaults", "starts"))
    except (OSError, OmegaConfBaseException, YAMLError, KeyError, TypeError, ValueError):
        return {}, {}
    return cast("tuple[Mapping[str, object], Mapping[str, Mapping[str, object]]]", (defaults, starts))


def read_host_defaults(path: Path) -> HostDefaults:
    """Read `generator`, `models` and `device` of a config.yaml.

    Raises:
        InvalidRequest: if it cannot be read, or a value is wrong; the message names file and key.
    """
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        config = OmegaConf.load(path)
        content = OmegaConf.to_container(config, resolve=True) if isinstance(config, DictConfig) else None
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidRequest(f"{path} cannot be read; name a config.yaml.", "config") from exc
    except (OmegaConfBaseException, YAMLError) as exc:
        raise InvalidRequest(f"{path} is not valid YAML: {' '.join(str(exc).split())[:200]}.", "config") from exc
    if not isinstance(content, dict):
        raise InvalidRequest(f"{path} holds no keys; name a config.yaml.", "config")
    settings = content.get("generator") or {}
    if not isinstance(settings, dict):
        raise InvalidRequest(f"In {path} the key generator must hold settings by name.", "config")
    named = {str(name): value for name, value in settings.items()}
    try:
        Settings().merged(named)
    except InvalidRequest as exc:
        raise InvalidRequest(f"In {path} under generator: {exc}", exc.field) from exc
    if isinstance(content.get("models"), dict):  # the bot's own form, which offers several sets
        content["models"] = content["models"].get("default")
    models, device, precision = (_text(content, key, path) for key in ("models", "device", "precision"))
    share = content.get("gpu_memory_share")
    if share is not None and (isinstance(share, bool) or not isinstance(share, int | float) or not 0.1 <= share <= 1):
        raise InvalidRequest(f"In {path} the key gpu_memory_share must be a number from 0.1 to 1.", "config")
    digests = _digests(content, path)
    own, upscaler = _own_models(content, path, models, digests), _text(content, "upscaler", path)
    return HostDefaults(named, models, device, precision, share, own, digests, upscaler or None)


def _own_models(
    content: Mapping[Any, Any], path: Path, models: str | None, digests: Mapping[str, str]
) -> OwnModels | None:
    vqgan, config = (_text(content, key, path) for key in ("vqgan", "vqgan_config"))
    perceptors = content.get("perceptors") or []
    if not isinstance(perceptors, list) or not all(isinstance(item, str) for item in perceptors):
        raise InvalidRequest(f"In {path} the key perceptors must be a list of names or files.", "config")
    vqgan_file, yaml_file = (Path(text) if text else None for text in (vqgan, config))
    return OwnModels.of(models or STARTER, vqgan_file, yaml_file, perceptors, digests)


def _digests(content: Mapping[Any, Any], path: Path) -> dict[str, str]:
    digests = content.get("digests") or {}
    if not isinstance(digests, dict) or not all(isinstance(text, str) for pair in digests.items() for text in pair):
        raise InvalidRequest(f"In {path} the key digests must hold SHA-256 digests by the names of files.", "config")
    return digests


def _text(content: Mapping[Any, Any], key: str, path: Path) -> str | None:
    value = content.get(key)
    if value is None or isinstance(value, str):
        return value
    raise InvalidRequest(f"In {path} the key {key} must be text.", "config")
