"""The drawings of the training data: names by WordNet, icons and clip art as sprites, and the things held out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from training.compositor import Compositor
from training.drawings.icons import IconSet
from training.drawings.nouns import Nouns, lines, plain
from training.drawings.raster import fit, render, with_filled_outlines, without_paper
from training.drawings.store import is_held_out
from training.lexicon import PLAIN_TINT, lexicon
from training.sprites import Source, draw


@pytest.fixture(scope="module")
def nouns(tmp_path_factory: pytest.TempPathFactory) -> Nouns:
    """A WordNet of a few words, in its own format."""
    folder = tmp_path_factory.mktemp("nouns")
    (folder / "dict").mkdir()
    kinds = {"monkey": 5, "bus": 6, "teddy bear": 6, "idea": 9, "cherry": 13}
    numbers = {word: f"{number:08}" for number, word in enumerate(kinds)}
    rows = [f"{numbers[word]} {kind:02} n 01 {word} 0 000 | a gloss" for word, kind in kinds.items()]
    (folder / "dict/data.noun").write_text("  1 licence\n" + "\n".join(rows), "utf-8")
    rows = [f"{word.replace(' ', '_')} n 1 0 1 1 {numbers[word]}" for word in kinds]
    (folder / "dict/index.noun").write_text("\n".join(rows), "utf-8")
    (folder / "dict/index.adj").write_text("crazy a 1 0 1 0 00000001", "utf-8")
    return Nouns(folder)


@pytest.mark.parametrize(
    ("title", "thing"),
    [
        ("Crazy Monkey 01", "monkey"),
        ("buses", "bus"),
        ("2 Cherries", "cherry"),
        ("cherries", "cherry"),
        ("Teddy Bear!", "teddy bear"),
        ("an idea", ""),
        ("monkey business", ""),
        ("", ""),
    ],
)
def test_a_title_gives_a_plain_noun_or_none(nouns: Nouns, title: str, thing: str) -> None:
    assert nouns.described(plain(title)) == thing


def test_a_lexicon_tells_firm_words_from_loose_ones_and_knows_kinds_and_tints(tmp_path: Path) -> None:
    (tmp_path / "dict").mkdir()
    rows = [
        "00000001 05 n 02 dog 0 hound 0 001 @ 00000004 n 0000 | a gloss",
        "00000002 05 n 01 beagle 0 001 @ 00000001 n 0000 | a gloss",
        "00000003 12 n 01 love 0 000 | a gloss",
        "00000004 05 n 01 mammal 0 000 | a gloss",
        "00000005 05 n 02 puppy 0 seal 0 000 | a gloss",
    ]
    (tmp_path / "dict/data.noun").write_text("\n".join(rows), "utf-8")
    index = [f"{row.split()[at]} n 1 0 1 1 {row[:8]}" for row in rows for at in range(4, 3 + 2 * int(row[14:16]), 2)]
    (tmp_path / "dict/index.noun").write_text("\n".join(index), "utf-8")
    (tmp_path / "dict/index.adj").write_text("above a 1 0 1 0 00000001", "utf-8")
    table = [
        {"name": "dog", "emoji": "🐕", "aliases": ["dog", "puppy", "love", "above"], "rows": {"noto": 0}},
        {"name": "seal", "emoji": "", "aliases": ["seal"], "rows": {"line": 0}},
        {"name": "old hound", "emoji": "", "aliases": ["old hound"], "rows": {"stencil": 0}},
    ]
    found = lexicon(table, Nouns(tmp_path))
    assert found["loose"] == ["above", "love", "old"]
    assert found["kinds"] == {"dog": "beagle"}
    assert found["tints"] == {"1": PLAIN_TINT, "2": "brown"}


def test_an_icon_set_finds_things_and_keeps_the_shortest_name(nouns: Nouns, tmp_path: Path) -> None:
    names = ("bus-stop-2", "bus-2", "bus", "bus-filled", "bus-outline", "idea", "monkey-outline", "pirate-hat")
    icons = {name: {"body": "<path d='M0 0h9v9z'/>"} for name in names}
    (tmp_path / "icons.json").write_text(json.dumps({"width": 24, "height": 24, "icons": icons}), "utf-8")
    icon_set = IconSet(tmp_path)
    plainly = {"bus": "bus", "monkey": "monkey-outline", "pirate hat": "pirate-hat"}
    assert icon_set.things(nouns, frozenset()) == plainly
    assert icon_set.things(nouns, frozenset(["bus stop"])) == plainly | {"bus stop": "bus-stop-2"}
    assert icon_set.things(nouns, frozenset(), outlined=True) == {"bus": "bus-outline", "monkey": "monkey-outline"}
    assert icon_set.things(nouns, frozenset(), outlined=False) == {"bus": "bus", "pirate hat": "pirate-hat"}
    assert 'viewBox="0 0 24 24"' in icon_set.svg("bus")


def test_the_lists_name_each_thing_and_each_file_once() -> None:
    for name in ("clipart.tsv", "freehand.tsv"):
        files, things = zip(*(row.split("\t") for row in lines(name)), strict=True)
        assert len(set(files)) == len(files)
        assert len(set(things)) == len(things), [thing for thing in things if things.count(thing) > 1]


HEAD = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 20">'
RING = f'{HEAD}<circle cx="8" cy="8" r="5" fill="none" stroke="#00f"/></svg>'
SHEET = f'{HEAD}<rect width="20" height="20" fill="#fff"/><circle cx="8" cy="8" r="5"/></svg>'


def test_a_line_drawing_is_white_inside_its_closed_outline_and_nothing_outside() -> None:
    sprite = fit(with_filled_outlines(render(RING)))
    assert (sprite[128, 128] == 255).all()
    assert sprite[2, 2, 3] == 0
    assert sprite[128, 2, 2] > 200 > sprite[128, 2, 0]  # the line


def test_a_drawing_loses_its_white_sheet_and_keeps_a_coloured_one() -> None:
    sprite = fit(without_paper(render(SHEET)))
    assert sprite[2, 2, 3] == 0
    assert tuple(sprite[128, 128]) == (0, 0, 0, 255)
    coloured = SHEET.replace("#fff", "#fa0")
    assert fit(without_paper(render(coloured)))[2, 2, 3] == 255
    assert draw(Source("a ball", "clipart", svg=coloured)) is None  # a full square cannot be cut out


@pytest.mark.parametrize("svg", ["no svg", RING.replace("#00f", "none")])
def test_what_shows_nothing_is_left_out(svg: str) -> None:
    assert draw(Source("nothing", "clipart", svg=svg)) is None


def test_held_out_things_are_never_drawn_for_the_vqgan(tmp_path: Path) -> None:
    names = [f"thing {number}" for number in range(200)]
    out = {number for number, name in enumerate(names) if is_held_out(name)}
    np.save(tmp_path / "sprites_line.npy", np.full((1, 256, 256, 4), 255, np.uint8))
    table = [{"name": name, "emoji": "", "group": "Objects", "aliases": [name], "rows": {"line": 0}} for name in names]
    (tmp_path / "concepts.json").write_text(json.dumps(table), "utf-8")
    kept, every = (Compositor(tmp_path, 32, held_out=held_out) for held_out in (False, True))
    assert 1 <= len(out) <= 12
    assert not out & {kept.concept() for _ in range(3000)}
    assert out & {every.concept() for _ in range(3000)}
