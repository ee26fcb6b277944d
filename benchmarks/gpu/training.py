"""Every command of training/ for a few steps, on generated drawings."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.gpu.figures import Figure, Here
from generator.loading import STARTER, load_starter
from generator.runtime.device import choose_device
from training.drawings.store import file as array_of

CONCEPTS = ("red apple", "cat", "dog", "moon", "house", "car")
COMMANDS = (
    ("vqgan",), ("perceptor",), ("perceptor", "--robust"), ("decoder",), ("halve",), ("prior",), ("judges",),
)  # fmt: skip
PROMPTS = [["a cat", ["cat"], "", ""], ["a dog", ["dog"], "", ""], ["a red house", ["house"], "red", ""],
           ["a house", ["house"], "", "snow"]]  # fmt: skip


def drawings(folder: Path) -> None:
    """Write the output of training.sprites: round drawings of one colour each, in three styles; and their nouns."""
    y, x = np.mgrid[-1:1:256j, -1:1:256j]
    styles = ("fluent", "noto", "twitter")
    for style in styles:
        sprites = np.zeros((len(CONCEPTS), 256, 256, 4), np.uint8)
        for number in range(len(CONCEPTS)):
            sprites[number, ..., :3] = (40 * number, 255 - 40 * number, 80 * styles.index(style))
            sprites[number, ..., 3] = 255 * (x**2 + (y * (1 + number / 4)) ** 2 < 1)
        np.save(array_of(folder, style), sprites)
    table = [
        {
            "emoji": "",
            "name": name,
            "group": "Objects",
            "aliases": [name, f"{name} thing"],
            "rows": dict.fromkeys(styles, number),
        }
        for number, name in enumerate(CONCEPTS)
    ]
    (folder / "concepts.json").write_text(json.dumps(table), "utf-8")
    nouns = folder / "packages/nouns/package/dict"  # WordNet's form
    nouns.mkdir(parents=True)
    names = [name.replace(" ", "_") for name in CONCEPTS]
    rows = [f"{number:08} 05 n 01 {name} 0 000 | a gloss" for number, name in enumerate(names)]
    (nouns / "data.noun").write_text("\n".join(rows), "utf-8")
    rows = [f"{name} n 1 0 1 1 {number:08}" for number, name in enumerate(names)]
    (nouns / "index.noun").write_text("\n".join(rows), "utf-8")
    (nouns / "index.adj").write_text("big a 1 0 1 0 00000001", "utf-8")


def commands(here: Here) -> list[Figure]:
    """Run all commands in order; load the results, and evaluate with the starter."""
    work, out = here.folder / "work", here.folder / "models"
    for folder in (work, out):
        folder.mkdir()
    drawings(work)
    where, threads = ("--work", str(work)), torch.get_num_threads()
    for name in ("train", "judge"):
        _run("compose", *where, "--count", "24", "--workers", "1", "--name", name)
    for name, *flags in COMMANDS:
        _run(name, *where, "--steps", "4", "--batch", "8", "--device", here.device, *flags)
    for file in ("starter.yaml", "vqgan.yaml"):
        shutil.copy(STARTER / file, out / file)
    _run("export", *where, "--out", str(out))
    load_starter(out, choose_device(here.device))
    (work / "prompts.json").write_text(json.dumps(PROMPTS), "utf-8")
    own = ("--prompts", str(work / "prompts.json"), "--out", str(here.folder / "evaluation"), "--mush", "1")
    _run("evaluate", *where, *own)
    torch.set_num_threads(threads)
    return []


def _run(name: str, *arguments: str) -> None:
    with patch.object(sys, "argv", [name, *arguments]):
        importlib.import_module(f"training.{name}").main()
