"""How often /describe names the thing in a picture rightly: `python -m benchmarks.description FOLDER`.

FOLDER gets, once, pictures by the starter of 100 of the prompts of training/prompts.json and prompts_unseen.json, one
thing each, with seeds from 1. With `--packages` (from `python -m training.fetch`: `names` and `twitter`) drawings of a
style that no model was trained on are described too, the names drawn at random. "Sure" are answers whose share is at
least that from which the bot names a thing without a doubt. `--words` leaves the prototypes out, as in version 0.3.0.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from bot.frontend.commands.describe import SURE
from generator import Dream, GenerationRequest, Models, Settings, describe_picture, load_models
from generator.models.lexicon import Lexicon

PROMPTS = [Path(__file__).parents[1] / "training" / name for name in ("prompts.json", "prompts_unseen.json")]
GROUPS = ("Animals & Nature", "Food & Drink", "Travel & Places", "Activities", "Objects")
SIDE_PX, INSIDE_PX = 86, 64


@dataclass(frozen=True)
class Case:
    """A picture and the names of what it shows, any of which is right."""

    image: Image.Image
    names: tuple[str, ...]


def painted(models: Models, folder: Path, count: int) -> Iterator[Case]:
    """Pictures by the starter, painted unless they are in the folder."""
    prompts = [row for path in PROMPTS for row in json.loads(path.read_text("utf-8"))]
    random.Random(0).shuffle(prompts)  # noqa: S311 - the same choice each time
    folder.mkdir(parents=True, exist_ok=True)
    for number, (prompt, names, _, _) in enumerate(prompts[:count]):
        path = folder / f"{number:03}.png"
        if not path.exists():
            settings = Settings().merged(models.defaults).merged({"seed": number + 1})
            dream = Dream(GenerationRequest(prompt=prompt, settings=settings, models=models.name), models)
            while not dream.finished:
                dream.step()
            dream.picture().image.save(path)
        yield Case(Image.open(path).convert("RGB"), tuple(names))


def drawn(packages: Path, lexicon: Lexicon, count: int) -> Iterator[Case]:
    """Drawings of things that the lexicon knows, each alone on white."""
    table = json.loads((packages / "names/package/data-by-emoji.json").read_text("utf-8"))
    found = []
    for emoji, about in table.items():
        code = "-".join(f"{ord(sign):04x}" for sign in emoji)
        paths = [packages / f"twitter/package/img/twitter/64/{name}.png" for name in (code, code.replace("-fe0f", ""))]
        path = next((path for path in paths if path.exists()), None)
        if about["group"] in GROUPS and path is not None and len(lexicon.find(about["name"].lower())) == 1:
            found.append((about["name"].lower(), path))
    random.Random(1).shuffle(found)  # noqa: S311 - as above
    for name, path in found[:count]:
        drawing = Image.open(path).convert("RGBA").resize((INSIDE_PX, INSIDE_PX))
        sheet = Image.new("RGBA", (SIDE_PX, SIDE_PX), "white")
        sheet.alpha_composite(drawing, ((SIDE_PX - INSIDE_PX) // 2,) * 2)
        yield Case(sheet.convert("RGB"), (name,))


def measured(title: str, cases: Sequence[Case], models: Models, lexicon: Lexicon) -> None:
    """Describe all and print how often the first, and any of five, is right; and the same of the sure ones."""

    def concepts(names: Sequence[str]) -> set[int]:
        return {concept for name in names for mention in lexicon.find(name) for concept in mention.concepts}

    first, any_of_five, shares, sure, seconds = [], [], [], [], []
    for case in cases:
        began = time.process_time()
        things = describe_picture(case.image, models).things
        seconds.append(time.process_time() - began)
        wanted = concepts(case.names)
        right = [bool(concepts([answer.words]) & wanted) for answer in things]
        first.append(right[0])
        any_of_five.append(any(right))
        shares.append(things[0].share)
        if things[0].share >= SURE:
            sure.append(right[0])
    told = f"{len(sure)} sure, {sum(sure)} of them right"
    print(
        f"{title}: of {len(cases)} first {sum(first)}, among five {sum(any_of_five)}; mean share of the first "
        f"{statistics.mean(shares):.2f}; {told}; {statistics.median(seconds):.1f} s of the processor each"
    )


def main() -> None:
    """Paint, describe and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the painted pictures")
    parser.add_argument("--packages", type=Path, help="folder of the packages of training.fetch, for drawings")
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--drawings", type=int, default=50)
    parser.add_argument("--words", action="store_true", help="by words alone, without prototypes")
    options = parser.parse_args()
    models = load_models("starter", "cpu")
    if models.prior is None:
        raise SystemExit("The starter has no prior.")
    lexicon = models.prior.sketcher.lexicon
    if options.words:
        models = replace(models, prototypes=None)
    measured("pictures by the starter", list(painted(models, options.folder, options.pictures)), models, lexicon)
    if options.packages is not None:
        drawings = list(drawn(options.packages, lexicon, options.drawings))
        measured("drawings of an unknown style", drawings, models, lexicon)


if __name__ == "__main__":
    main()
