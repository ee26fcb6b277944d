"""docs/using.md and docs/privacy.md match the code: options with their ranges, buttons, all stored data.

Documentation of all commands and options is tested in tests/docs.
"""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import discord
import pytest
from PIL import Image

from bot.files import Kind
from bot.frontend.commands import imagine
from bot.frontend.messages.job_buttons import STYLES
from bot.texts import say
from docs.strips import CELL_PX, PICTURES, STRIPS, TIMELAPSE, shown
from generator import Settings

ROOT = Path(__file__).parent.parent
USING = (ROOT / "docs" / "using.md").read_text("utf-8")
PRIVACY = (ROOT / "docs" / "privacy.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
IMAGES = ROOT / "docs" / "images"
ROW = re.compile(r"^\|(.+?)\|", re.MULTILINE)


def test_the_options_of_imagine_are_described_and_no_others() -> None:
    table = USING.split("## Options of /imagine")[1].split("\n## ")[0]
    named = {name for cell in ROW.findall(table) for name in re.findall(r"`(\w+)`", cell)}
    assert named == {option.name for option in imagine.command().parameters}


def test_ranges_and_choices_are_those_of_the_code() -> None:
    table = USING.split("## Options of /imagine")[1].split("\n## ")[0]
    for item in fields(Settings):
        lines = [line for line in table.splitlines() if re.match(rf"\|.*`{item.name}`.*?\|", line)]
        if not lines or item.name in ("size", "start"):
            continue
        values = lines[0].split("|")[2]
        if "read" in item.metadata:
            assert values.strip() == "a file; text"
        elif "choices" in item.metadata:
            assert re.findall(r"`(\w+)`", values) == list(item.metadata["choices"])
        else:
            assert values.strip() == f"{item.metadata['low']:g} to {item.metadata['high']:.10g}"


@pytest.mark.parametrize("action", [name for name in STYLES if name != "erase"])
def test_every_button_is_described(action: str) -> None:
    assert f"**{say(f'button_{action}', discord.Locale.british_english.value)}**" in USING


def test_everything_that_is_kept_of_a_person_is_in_the_privacy_document() -> None:
    sql = "".join(path.read_text("utf-8") for path in (ROOT / "bot" / "store" / "migrations").glob("*.sql"))
    tables = re.findall(r"CREATE TABLE (\w+) \((.*?)\n\)", sql, re.DOTALL)
    personal = {name for name, columns in tables if re.search(r"\b(user_id|job_id)\b", columns)}
    assert personal
    assert {name for name in personal if f"`{name}`" not in PRIVACY} == set()
    assert {kind for kind in Kind if f"`{kind.value[0]}/`" not in PRIVACY} == set()


@pytest.mark.parametrize("name", [*PICTURES, TIMELAPSE[0]])
def test_every_picture_of_readme_is_there_and_small(name: str) -> None:
    path = IMAGES / f"{name}.webp"
    assert path.stat().st_size < (1_000_000 if name == TIMELAPSE[0] else 150_000)
    with Image.open(path) as image:
        assert image.format == "WEBP"
        assert getattr(image, "n_frames", 1) > 10 if name == TIMELAPSE[0] else image.width >= 256
    assert f"docs/images/{name}.webp" in README


@pytest.mark.parametrize("name", STRIPS)
def test_every_generated_strip_is_small_and_shown_in_its_place(name: str) -> None:
    path = IMAGES / f"{name}.webp"
    assert f"<!-- strip {name} -->" in USING
    assert path.exists() == (f"(images/{name}.webp)" in USING)
    if path.exists():
        assert path.stat().st_size < 150_000
        assert shown(USING, name) == USING
        with Image.open(path) as image:
            assert image.width > CELL_PX * len(STRIPS[name])


def test_a_strip_takes_the_place_of_the_one_before_and_of_no_other() -> None:
    old = "a\n<!-- strip seed -->\n![old](images/seed.webp)\nb\n<!-- strip steps -->\nc\n"
    new = shown(old, "seed")
    assert (
        new
        == "a\n<!-- strip seed -->\n![seed 1, seed 2, seed 3, seed 4](images/seed.webp)\nb\n<!-- strip steps -->\nc\n"
    )
    assert "![steps 4, steps 16, steps 64](images/steps.webp)\nc" in shown(new, "steps")


def test_the_captions_in_the_readme_are_the_generated_prompts() -> None:
    for name, cell in PICTURES.items():
        assert f"![{cell.prompt}](docs/images/{name}.webp)" in README
