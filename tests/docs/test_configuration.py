"""docs/configuration.md against the schemas of bot/config.py and generator/settings.py, in both directions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any

import yaml

import bot.environment
from bot.config import Config, allowed, values_of
from bot.environment import load_config, read_config
from generator import Settings
from tests.docs.conftest import ROOT, Document


def documented(document: Document) -> dict[str, list[str]]:
    """Columns of each key: allowed, default, meaning."""
    rows = [row for row in document.rows() if len(row) == 4]
    found = {row[0].strip("`"): row[1:] for row in rows}
    assert len(found) == len(rows), "a key stands there twice"
    return found


def allowed_in_settings(item: Field[Any]) -> str:
    if item.name == "size":
        return f"width x height, each from {item.metadata['low']} to {item.metadata['high']}"
    if "choices" in item.metadata:
        return ", ".join(item.metadata["choices"])
    if item.type == "bool":
        return "true or false"
    if "colours" in item.metadata:
        most = item.metadata["colours"]
        return "one colour, or none" if most == 1 else f"up to {most} colours, or none"
    if "read" in item.metadata:
        named = {"outpaint": "sides, or none", "schedules": "text", "upscaler": "an upscaler's name, or none"}
        return named.get(item.name, "a region, or none")
    kind = "a whole number" if item.type == "int" else "a number"
    return f"{kind} from {plain(item.metadata['low'])} to {plain(item.metadata['high'])}"


def plain(number: float) -> str:
    return f"{number:.10g}"


def schema() -> Mapping[str, tuple[str, str]]:
    """Allowed values and default of each key, in the bot's schema and the generator's settings."""
    found = {}
    for key, item, value in values_of(Config()):
        text = allowed(item)
        if "low" in item.metadata:
            text = re.sub(r"from .*", f"from {plain(item.metadata['low'])} to {plain(item.metadata['high'])}", text)
        found[key] = (text, json.dumps(value))
    defaults = Settings().as_dict()
    for item in fields(Settings):
        found[f"generator.{item.name}"] = (allowed_in_settings(item), json.dumps(defaults[item.name]))
    return found


def test_every_key_is_documented_and_every_documented_key_is_there(document: dict[str, Document]) -> None:
    assert set(documented(document["configuration.md"])) == set(schema())


def test_ranges_and_defaults_are_those_of_the_code(document: dict[str, Document]) -> None:
    said = {key: (row[0], row[1].strip("`")) for key, row in documented(document["configuration.md"]).items()}
    assert said == schema()


def test_every_key_is_explained(document: dict[str, Document]) -> None:
    assert [key for key, row in documented(document["configuration.md"]).items() if len(row[2]) < 8] == []


def test_the_examples_are_valid(document: dict[str, Document]) -> None:
    examples = document["configuration.md"].blocks("yaml")
    assert examples
    for example in examples:
        read_config(yaml.safe_load(example))


def test_the_shipped_file_says_the_defaults_wherever_it_does_not_say_otherwise() -> None:
    shipped, defaults = load_config(ROOT / "config.yaml"), Config()
    given = {key: value for key, _, value in values_of(shipped)}
    assert {key for key, _, value in values_of(defaults) if given[key] != value} == {"styles"}


def test_every_variable_of_the_environment_is_documented(document: dict[str, Document]) -> None:
    names = {bot.environment.TOKEN, bot.environment.TOKEN_FILE, bot.environment.DATA}
    sources = [path for part in ("bot", "generator") for path in (ROOT / part).rglob("*.py")]
    read = re.compile(r"environ(?:\.get\(|\[)\"(\w+)\"")
    names |= {name for path in sources for name in read.findall(path.read_text("utf-8"))}
    rows = {row[0].strip("`") for row in document["configuration.md"].rows() if len(row) == 2}
    assert names <= rows
