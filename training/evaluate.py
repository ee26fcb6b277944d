"""Evaluate the starter's pictures: `python -m training.evaluate` generates 74 prompts and scores them by two judges.

A judge's score of a prompt is the log-probability of what the prompt names: any of its concepts, its colour, its scene.
The prompt must come first (top-1) or among the first five (top-5) of all prompts and "nothing". Controls: the same
judges see real drawings of the same prompts (top-1 must be at least .95) and pictures optimised from a random start
without the prior (must be below .2); if a control fails, the figures are void, and that is printed. `--prompts
training/prompts_unseen.json` evaluates 56 other prompts. `--before FOLDER` judges the pictures that another version
painted of the same prompts by the same judges. `--steps 0` takes the composed picture before the first step.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from generator import Dream, GenerationRequest, Models, Settings, load_models
from generator.cli.config import resolve_settings
from training.compositor import Compositor
from training.data import as_tensor
from training.dataset import COLOUR_NAMES, SCENE_NAMES
from training.drawings.store import COLOURED
from training.judges import JUDGES, RESOLUTION, Judge, load_judge

PROMPTS = Path(__file__).parent / "prompts.json"
NEUTRAL = 0.25  # score for a colour or scene that the prompt does not name
DRAWINGS = 4  # per prompt, for the control
TILE_PX = 160
LEAST_DRAWINGS, MOST_MUSH = 0.95, 0.2


@dataclass(frozen=True)
class Prompt:
    """A prompt and its content: concept numbers of which any matches, a colour or "", a scene or ""."""

    text: str
    concepts: tuple[int, ...]
    colour: str
    scene: str


@dataclass(frozen=True)
class PictureSet:
    """A picture, its times in seconds to the first preview and to the end, and its similarity (nan before a step)."""

    image: Image.Image
    first_preview_s: float
    total_s: float
    similarity: float


def read_prompts(compositor: Compositor, path: Path = PROMPTS) -> list[Prompt]:
    """The evaluation's prompts."""
    numbers = {row["name"]: number for number, row in enumerate(compositor.table)}
    return [
        Prompt(text, tuple(numbers[name] for name in names), colour, scene)
        for text, names, colour, scene in json.loads(path.read_text("utf-8"))
    ]


def scores(judge: Judge, images: list[Image.Image], prompts: list[Prompt]) -> Tensor:
    """Score each prompt for each picture, `[pictures, prompts + 1]`; the last column is "nothing"."""
    batch = torch.stack([as_tensor(image.convert("RGB")) for image in images])
    batch = F.interpolate(batch, size=(RESOLUTION, RESOLUTION), mode="bilinear", antialias=True)
    concept, colour, scene = judge(batch)
    column = {number: at for at, number in enumerate(judge.get_buffer("named").tolist())}
    neutral = torch.full((len(images),), NEUTRAL).log()
    columns = []
    for prompt in prompts:
        named = concept[:, [column[number] for number in prompt.concepts]].logsumexp(dim=1)
        coloured = colour[:, COLOUR_NAMES.index(prompt.colour)] if prompt.colour else neutral
        placed = scene[:, SCENE_NAMES.index(prompt.scene)] if prompt.scene else neutral
        columns.append(named + coloured + placed)
    return torch.stack([*columns, concept[:, -1] + 2 * neutral], dim=1)


def top(judge: Judge, images: list[Image.Image], prompts: list[Prompt], own: list[int], count: int) -> list[bool]:
    """For each picture, True if its own prompt is among the first `count`."""
    best = scores(judge, images, prompts).topk(count, dim=1).indices
    return [bool((row == number).any()) for row, number in zip(best, own, strict=True)]


def paint(prompt: str, models: Models, settings: Settings, *, composed: bool = False) -> PictureSet:
    """Generate one picture as a user gets it, or only the composed one that the loop begins with."""
    started = time.perf_counter()
    dream = Dream(GenerationRequest(prompt=prompt, settings=settings, models=models.name), models)
    if composed:
        image = dream.preview().convert("RGB")
        return PictureSet(image, *[time.perf_counter() - started] * 2, similarity=math.nan)
    dream.step()
    dream.preview()
    first = time.perf_counter() - started
    while not dream.finished:
        dream.step()
    return PictureSet(dream.picture().image, first, time.perf_counter() - started, dream.progress.similarity)


def sheet(images: list[Image.Image], columns: int = 10) -> Image.Image:
    """Make a contact sheet."""
    rows = -(-len(images) // columns)
    canvas = Image.new("RGB", (columns * TILE_PX, rows * TILE_PX), "white")
    for number, image in enumerate(images):
        tile = image.resize((TILE_PX - 4, TILE_PX - 4), Image.Resampling.LANCZOS)
        canvas.paste(tile, (number % columns * TILE_PX + 2, number // columns * TILE_PX + 2))
    return canvas


@dataclass(frozen=True)
class Figures:
    """Generated pictures, with the seconds to the end and to the first preview and the similarity of each."""

    pictures: list[Image.Image]
    mush: list[Image.Image]
    total_s: list[float]
    first_preview_s: list[float]
    similarity: list[float] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Save pictures, contact sheets and seconds."""
        folder.mkdir(parents=True, exist_ok=True)
        for kind, images in (("prior", self.pictures), ("random", self.mush)):
            for number, image in enumerate(images):
                image.save(folder / f"{kind}_{number:02d}.png")
            if images:
                sheet(images).save(folder / f"{kind}.png")
        figures = {"total_s": self.total_s, "first_preview_s": self.first_preview_s, "similarity": self.similarity}
        (folder / "seconds.json").write_text(json.dumps(figures))

    @classmethod
    def load(cls, folder: Path) -> Figures:
        """Load a result written by `save`."""
        pictures, mush = (
            [Image.open(path).convert("RGB") for path in sorted(folder.glob(f"{kind}_*.png"))]
            for kind in ("prior", "random")
        )
        return cls(pictures, mush, **json.loads((folder / "seconds.json").read_text()))


def paint_all(
    prompts: list[Prompt],
    models: Models,
    settings: Settings,
    random: Settings,
    own: list[int],
    spread: list[int],
    *,
    composed: bool,
) -> Figures:
    """Generate the prompts of `own` as a user gets them, or as composed, and those of `spread` from a random start."""
    painted = [
        paint(prompts[number].text, models, settings, composed=composed)
        for number in tqdm(own, desc="prior", ascii=True)
    ]
    mush = [paint(prompts[number].text, models, random) for number in tqdm(spread, desc="random", ascii=True)]
    return Figures(
        [one.image for one in painted],
        [one.image for one in mush],
        [one.total_s for one in painted],
        [one.first_preview_s for one in painted],
        [one.similarity for one in painted],
    )


def report(
    name: str, judge: Judge, prompts: list[Prompt], own: list[int], figures: Figures, real: list[Image.Image]
) -> str:
    """Report one judge's scores, its controls and misses; `own` are the numbers of the pictures' prompts."""
    spread = every_so(len(prompts), len(figures.mush))
    right = top(judge, figures.pictures, prompts, own, 1)
    five = statistics.mean(top(judge, figures.pictures, prompts, own, 5))
    sure = scores(judge, figures.pictures, prompts).log_softmax(dim=1)[range(len(own)), own].mean()
    drawings = statistics.mean(top(judge, real, prompts, list(range(len(prompts))) * DRAWINGS, 1))
    noise = statistics.mean(top(judge, figures.mush, prompts, spread, 1)) if spread else float("nan")
    void = "" if drawings >= LEAST_DRAWINGS and noise < MOST_MUSH else "  VOID"
    missed = ", ".join(prompts[number].text for number, ok in zip(own, right, strict=True) if not ok)
    return (
        f"{name:8} top-1 {statistics.mean(right):.2f}  top-5 {five:.2f}  log-probability {sure:.3f}  "
        f"controls: drawings {drawings:.2f}, random start {noise:.2f}{void}\n   missed: {missed or 'none'}"
    )


def every_so(count: int, chosen: int) -> list[int]:
    """`chosen` numbers spaced evenly over 0..count - 1."""
    return [round(at * (count - 1) / max(1, chosen - 1)) for at in range(chosen)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="folder for all training files")
    parser.add_argument("--out", type=Path, default=Path("build/evaluation"), help="folder for pictures and figures")
    parser.add_argument("--prompts", type=Path, default=PROMPTS, help="json: [text, concepts, colour, scene]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, help="steps of each picture; the default is the models'; 0: composed only")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="paint every Nth prompt (1)")
    parser.add_argument("--mush", type=int, default=20, help="pictures from a random start, as a control")
    parser.add_argument("--before", type=Path, help="--out of another version: judge its pictures too, and save pairs")
    parser.add_argument("--judge-only", action="store_true", help="judge what --out holds, and paint nothing")
    options = parser.parse_args()
    compositor = Compositor(options.work, 128, COLOURED, seed=4321)
    prompts = read_prompts(compositor, options.prompts)
    own = list(range(0, len(prompts), options.every))
    if not options.judge_only:
        models = load_models("starter")
        asked = {"seed": options.seed} | ({"steps": options.steps} if options.steps else {})
        settings = resolve_settings(models.defaults, {}, asked)
        random = resolve_settings(models.defaults, {}, {"seed": options.seed, "start": "random"}, models.starts)
        spread = every_so(len(prompts), options.mush)
        painted = paint_all(prompts, models, settings, random, own, spread, composed=options.steps == 0)
        painted.save(options.out)
    figures = Figures.load(options.out)
    real = [
        compositor.compose(prompt.concepts[:1], 1, prompt.colour, prompt.scene or "plain").picture
        for prompt in prompts * DRAWINGS
    ]
    before = replace(Figures.load(options.before), mush=figures.mush) if options.before else None
    for name in JUDGES:
        judge = load_judge(options.work, name)
        print(report(name, judge, prompts, own, figures, real))
        if before is not None:
            print("before:\n" + report(name, judge, prompts, own, before, real))
    if before is not None:
        pairs = [image for pair in zip(before.pictures, figures.pictures, strict=True) for image in pair]
        sheet(pairs).save(options.out / "before_after.png")
    if figures.similarity and not math.isnan(figures.similarity[0]):
        print(f"mean similarity {statistics.mean(figures.similarity):.3f}")
    print(
        f"median seconds a picture {statistics.median(figures.total_s):.1f}, "
        f"first preview {statistics.median(figures.first_preview_s):.1f} (worst {max(figures.first_preview_s):.1f})"
    )


if __name__ == "__main__":
    main()
