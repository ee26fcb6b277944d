"""`python -m generator models`: list model sets, perceptors and upscalers, or fetch one."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from generator.checkpoints.catalogue import (
    CLIP_CONFIGS,
    OPEN_CLIP_TERMS,
    PERCEPTOR_TERMS,
    PERCEPTORS,
    SETS,
    STARTER,
    UPSCALER_TERMS,
    UPSCALERS,
    SourceFile,
)
from generator.checkpoints.fetch import FetchProgress, fetch, files_of
from generator.checkpoints.places import default_folder, is_present
from generator.checkpoints.upscalers import UpscalerSource
from generator.cli.arguments import SentenceParser
from generator.cli.config import read_host_defaults
from generator.errors import CheckpointError, InvalidRequest

STARTER_FOLDER = Path(__file__).parents[1] / "starter"
STARTER_SUMMARY = "small pictures of everyday things, on any machine; ships with Reverie"
STARTER_TERMS = "see MODEL_CARD.md and NOTICE beside it"


def main(arguments: Sequence[str]) -> int:
    """Run `python -m generator models` with these arguments and return the exit code.

    0: done; 1: a file could not be fetched or used; 2: bad arguments; 130: stopped by Ctrl-C (downloaded parts are
    kept).
    """
    try:
        options = _parser().parse_args(arguments)
        folder = options.folder or default_folder()
        if options.action == "fetch":
            digests = {} if options.config is None else read_host_defaults(options.config).digests
            _fetch(options.name, options.perceptor, folder, digests)
        else:
            _list(folder)
    except InvalidRequest as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    except CheckpointError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Broken off; the next fetch goes on from here.\n")
        return 130
    return 0


def _parser() -> SentenceParser:
    parser = SentenceParser(
        prog="python -m generator models", description="List the model sets that Reverie knows, or fetch one."
    )
    parser.add_argument("--folder", type=Path, help="folder of the model files (default: models in the data folder)")
    actions = parser.add_subparsers(dest="action")
    actions.add_parser("list", help="list them (the default action)")
    get = actions.add_parser("fetch", help="download a model set, a perceptor or an upscaler, and check it")
    get.add_argument("name", help="name of the model set, perceptor or upscaler")
    get.add_argument(
        "--perceptor",
        action="append",
        metavar="NAME",
        help="perceptor to use instead of the set's own; may be repeated",
    )
    get.add_argument(
        "--config", type=Path, metavar="FILE", help="a config.yaml with the digests that the files must have"
    )
    return parser


def _list(folder: Path) -> None:
    size_mb = sum(path.stat().st_size for path in STARTER_FOLDER.glob("*.safetensors")) / 1e6
    _say(f"Models in {folder}\n\nModel sets")
    _entry(STARTER, size_mb, "here" if size_mb else "missing", STARTER_SUMMARY, STARTER_TERMS)
    for name, entry in SETS.items():
        _entry(name, entry.vqgan.size_mb, _presence(entry.vqgan, folder), entry.summary, entry.terms)
    _say("\nPerceptors (CLIPs of OpenAI and OpenCLIP; every set but the starter uses ViT-B/32 unless others are named)")
    for open_clip, terms in ((False, PERCEPTOR_TERMS), (True, OPEN_CLIP_TERMS)):
        for name, file in PERCEPTORS.items():
            if (name in CLIP_CONFIGS) == open_clip:
                _entry(name, file.size_mb, _presence(file, folder))
        _say(textwrap.fill(f"Licence: {terms}.", 100, initial_indent="  ", subsequent_indent="  "))
    _say("  Others by file, such as a SigLIP or one for many languages: docs/checkpoints.md")
    _say("\nUpscalers (Real-ESRGAN; they need: make setup EXTRAS=upscale)")
    for name, known in UPSCALERS.items():
        _entry(name, known.file.size_mb, _presence(known.file, folder), f"x{known.scale}: {known.summary}")
    _say(textwrap.fill(f"Licence: {UPSCALER_TERMS}.", 100, initial_indent="  ", subsequent_indent="  "))
    _say("\nGet one with: python -m generator models fetch NAME")


def _presence(file: SourceFile, folder: Path) -> str:
    return "here" if is_present(file, folder) else "not here"


def _entry(name: str, size_mb: float, presence: str, summary: str = "", terms: str = "") -> None:
    _say(f"  {name:<30} {size_mb:5.0f} MB  {presence:<8}  {summary}".rstrip())
    if terms:
        _say(textwrap.fill(f"Licence: {terms}.", 100, initial_indent=" " * 40, subsequent_indent=" " * 40))


def _fetch(name: str, perceptors: Sequence[str] | None, folder: Path, digests: Mapping[str, str]) -> None:
    """Fetch missing files, then open them all, which checks and converts them."""
    from generator.checkpoints.library import open_perceptor, open_set, open_upscaler

    if name == STARTER:
        _say("The starter ships with Reverie; there is nothing to fetch.")
        return
    if name in UPSCALERS:
        UpscalerSource.of(name)  # says if the package is missing, before anything is downloaded
    for file in files_of(name, perceptors):
        if is_present(file, folder):
            _say(f"{file.name} is here already.")
            continue
        with tqdm(desc=file.name, unit="B", unit_scale=True, unit_divisor=1000, miniters=1) as bar:
            place = fetch(file, folder, _shown_by(bar), digests=digests)
        _say(f"{place} is here.")
    if name in PERCEPTORS:
        open_perceptor(name, folder, digests)
    elif name in UPSCALERS:
        open_upscaler(name, UPSCALERS[name].file, UPSCALERS[name].scale, folder, digests)
    else:
        open_set(name, folder, perceptors, digests)
    _say(f"{name} is ready.")


def _shown_by(bar: tqdm[Any]) -> FetchProgress:
    def show(_: str, done: int, total: int | None) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return show


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
