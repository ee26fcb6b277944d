"""How good are the starter's pictures? `python -m training.evaluate` paints 74 prompts and asks two judges.

A judge's score of a prompt is the log-probability of what the prompt names: any of its concepts, its colour, its scene.
The prompt must come first (top-1) or among the first five (top-5) of all prompts and "nothing". Controls: the same
judges see real drawings of the same prompts (top-1 must be at least .95) and pictures optimised from a random start
without the prior (must be below .2); where a control fails, the figures are void, and that is printed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from generator import Dream, GenerationRequest, Models, Settings, load_models
from training.compositor import Compositor
from training.data import as_tensor
from training.dataset import COLOUR_NAMES, SCENE_NAMES
from training.judges import JUDGES, RESOLUTION, Judge, load_judge

PROMPTS = Path(__file__).parent / "prompts.json"
NEUTRAL = 0.5  # what a prompt that names no colour or no scene is given for it
TILE_PX = 160


@dataclass(frozen=True)
class Prompt:
    """A prompt and what it names: concept numbers of which any will do, a colour or "", a scene or ""."""

    text: str
    concepts: tuple[int, ...]
    colour: str
    scene: str


@dataclass(frozen=True)
class Painted:
    """A picture and how long it took in seconds: to the first preview and to the end."""

    image: Image.Image
    first_preview_s: float
    total_s: float


def read_prompts(compositor: Compositor, path: Path = PROMPTS) -> list[Prompt]:
    """The evaluation's prompts."""
    numbers = {row["name"]: number for number, row in enumerate(compositor.table)}
    return [
        Prompt(text, tuple(numbers[name] for name in names), colour, scene)
        for text, names, colour, scene in json.loads(path.read_text("utf-8"))
    ]


def scores(judge: Judge, images: list[Image.Image], prompts: list[Prompt]) -> Tensor:
    """How well each prompt fits each picture, `[pictures, prompts + 1]`; the last column is "nothing"."""
    batch = torch.stack([as_tensor(image.convert("RGB")) for image in images])
    batch = F.interpolate(batch, size=(RESOLUTION, RESOLUTION), mode="bilinear", antialias=True)
    concept, colour, scene = judge(batch)
    neutral = torch.full((len(images),), NEUTRAL).log()
    columns = []
    for prompt in prompts:
        named = concept[:, list(prompt.concepts)].logsumexp(dim=1)
        coloured = colour[:, COLOUR_NAMES.index(prompt.colour)] if prompt.colour else neutral
        placed = scene[:, SCENE_NAMES.index(prompt.scene)] if prompt.scene else neutral
        columns.append(named + coloured + placed)
    return torch.stack([*columns, concept[:, -1] + 2 * neutral], dim=1)


def top(judge: Judge, images: list[Image.Image], prompts: list[Prompt], own: list[int], count: int) -> list[bool]:
    """Whether each picture's own prompt is among the first `count`."""
    best = scores(judge, images, prompts).topk(count, dim=1).indices
    return [bool((row == number).any()) for row, number in zip(best, own, strict=True)]


def paint(prompt: str, models: Models, settings: Settings) -> Painted:
    """One picture as a user gets it."""
    started = time.perf_counter()
    dream = Dream(GenerationRequest(prompt=prompt, settings=settings, models=models.name), models)
    dream.step()
    dream.preview()
    first = time.perf_counter() - started
    while not dream.finished:
        dream.step()
    return Painted(dream.picture().image, first, time.perf_counter() - started)


def sheet(images: list[Image.Image], columns: int = 10) -> Image.Image:
    """A contact sheet."""
    rows = -(-len(images) // columns)
    canvas = Image.new("RGB", (columns * TILE_PX, rows * TILE_PX), "white")
    for number, image in enumerate(images):
        tile = image.resize((TILE_PX - 4, TILE_PX - 4), Image.Resampling.LANCZOS)
        canvas.paste(tile, (number % columns * TILE_PX + 2, number // columns * TILE_PX + 2))
    return canvas


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="folder for all training files")
    parser.add_argument("--out", type=Path, default=Path("build/evaluation"), help="folder for pictures and figures")
    parser.add_argument("--prompts", type=Path, default=PROMPTS, help="json: [text, concepts, colour, scene]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mush", type=int, default=20, help="pictures from a random start, as a control")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings other than the defaults")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    models = load_models("starter")
    compositor = Compositor(options.work, 128, seed=4321)
    prompts = read_prompts(compositor, options.prompts)
    judges = {name: load_judge(options.work, name, len(compositor.table)) for name in JUDGES}
    changed = {name: json.loads(value) for name, value in (item.split("=", 1) for item in options.set)}
    settings = Settings().merged({**models.defaults, "seed": options.seed, **changed})
    painted = [paint(prompt.text, models, settings) for prompt in tqdm(prompts, desc="prior", ascii=True)]
    for number, one in enumerate(painted):
        one.image.save(options.out / f"{number:02d}.png")
    random = settings.merged({"start": "random", "init_weight": 0.0, "steps": max(40, settings.steps)})
    every = list(np.linspace(0, len(prompts) - 1, options.mush).astype(int))
    mush = [paint(prompts[number].text, models, random).image for number in tqdm(every, desc="random", ascii=True)]
    real = [
        compositor.compose(prompt.concepts[:1], 1, prompt.colour, prompt.scene or "plain").picture for prompt in prompts
    ]
    sheet([one.image for one in painted]).save(options.out / "sheet.png")
    sheet(mush).save(options.out / "random.png")
    own = list(range(len(prompts)))
    for name, judge in judges.items():
        right = top(judge, [one.image for one in painted], prompts, own, 1)
        five = statistics.mean(top(judge, [one.image for one in painted], prompts, own, 5))
        drawings = statistics.mean(top(judge, real, prompts, own, 1))
        noise = statistics.mean(top(judge, mush, prompts, every, 1)) if mush else float("nan")
        valid = drawings >= 0.95 and noise < 0.2
        print(
            f"{name:8} top-1 {statistics.mean(right):.2f}  top-5 {five:.2f}  controls: drawings {drawings:.2f}, "
            f"random start {noise:.2f}{'' if valid else '  VOID'}"
        )
        print("   missed:", ", ".join(prompt.text for prompt, ok in zip(prompts, right, strict=True) if not ok))
    print(
        f"median seconds a picture {statistics.median(one.total_s for one in painted):.1f}, "
        f"first preview {statistics.median(one.first_preview_s for one in painted):.1f} "
        f"(worst {max(one.first_preview_s for one in painted):.1f})"
    )


if __name__ == "__main__":
    main()
