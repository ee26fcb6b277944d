"""Children of the starter's pictures: `python -m training.children` paints 15 parents, and 60 children of them.

Each parent is varied, remixed, continued and upscaled by the requests that the bot's buttons make. It saves one sheet a
kind, with the parent left of its child, and says how often a judge (`training.judges`) names the thing: first among all
prompts of the evaluation (top-1), or among the first five. It also prints the similarity that users are shown, and the
mean distance of the pixels of parent and child. What is painted already is kept, so a run can be resumed.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from bot.config import Limits
from bot.jobs import Origin
from bot.service import FollowUp
from bot.service.followups import child_of
from generator import Dream, GenerationRequest, Models, Settings, load_models
from training.compositor import Compositor
from training.drawings.store import COLOURED
from training.evaluate import Prompt, read_prompts, sheet, top
from training.judges import JUDGES, PROMPT_FILES, load_judge

PAIRS = (
    ("a blue cat", "a horse"), ("a robot", "a pumpkin"), ("a castle at night", "a tent"),
    ("a penguin in the snow", "a bus in the snow"), ("a red car", "a tractor"), ("a pizza", "a watermelon"),
    ("a butterfly", "a bee"), ("a guitar", "a trumpet"), ("a sailboat on the sea", "a duck"),
    ("an elephant", "a giraffe"), ("a snowman in the snow", "a camel in the desert"), ("a rocket in space", "an alien"),
    ("a yellow duck", "a frog"), ("a purple heart", "a sunflower"), ("a ghost at night", "a skull"),
)  # fmt: skip
"""Words of a parent and of its remix."""
KINDS = (Origin.VARY, Origin.REMIX, Origin.CONTINUE, Origin.UPSCALE)
STRENGTHS = (0.2, 0.5, 0.8)
COLUMNS = 6


class Studio:
    """Paint parents and children with one set of models."""

    def __init__(self, models: Models, steps: int | None) -> None:
        self._models, base = models, Settings().merged(models.defaults)
        self.base = base if steps is None else base.merged({"steps": steps})

    def parent(self, prompt: str, seed: int) -> Dream:
        """A first picture."""
        settings = self.base.merged({"seed": seed})
        return self._painted(GenerationRequest(prompt=prompt, settings=settings, models=self._models.name), None)

    def child(self, parent: Dream, change: FollowUp, seed: int) -> Dream:
        """A follow-up, as the bot would paint it but for its seed."""
        request = child_of(parent.picture().request, change, self.base, Limits())
        request = replace(request, settings=request.settings.merged({"seed": seed}))
        return self._painted(request, parent.latent)

    def _painted(self, request: GenerationRequest, latent: torch.Tensor | None) -> Dream:
        dream = Dream(request, self._models, parent_latent=latent)
        while not dream.finished:
            dream.step()
        return dream


def change_of(kind: Origin, number: int, remix: str) -> FollowUp:
    """The follow-up of a kind; the strengths of *Vary* take turns."""
    return FollowUp(kind=kind, prompt=remix, strength=STRENGTHS[number % len(STRENGTHS)])


def distance(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference of the pixels, 0..1, at the size of the first."""
    same = [image.convert("RGB").resize(one.size, Image.Resampling.BOX) for image in (one, other)]
    arrays = [np.asarray(image, np.float32) for image in same]
    return float(np.abs(arrays[0] - arrays[1]).mean() / 255)


def thing_of(prompts: list[Prompt], text: str) -> int:
    """The number of the prompt that names the same thing."""
    noun = re.split(r" (?:in|on|at) ", text)[0].split()[-1]
    return next(at for at, prompt in enumerate(prompts) if noun in prompt.text.split())


def paint(studio: Studio, number: int, out: Path) -> None:
    """Paint and save one parent and its children, with similarity and distance to the parent of each."""
    words, remix = PAIRS[number]
    parent = studio.parent(words, seed=number)
    shown = parent.picture().image
    shown.save(out / f"parent_{number:02d}.png")
    figures = {"parent": (parent.progress.similarity, 0.0)}
    for kind in KINDS:
        child = studio.child(parent, change_of(kind, number, remix), seed=100 + number)
        image = child.picture().image
        image.save(out / f"{kind.value}_{number:02d}.png")
        figures[kind.value] = (child.progress.similarity, distance(shown, image))
    (out / f"{number:02d}.json").write_text(json.dumps(figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="folder with the judges")
    parser.add_argument("--out", type=Path, default=Path("build/children"), help="folder for sheets and pictures")
    parser.add_argument("--steps", type=int, help="steps of each picture; the default is the models'")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    studio = Studio(load_models("starter"), options.steps)
    for number in tqdm(range(len(PAIRS)), ascii=True):
        if not (options.out / f"{number:02d}.json").exists():
            paint(studio, number, options.out)
    names = ["parent", *(kind.value for kind in KINDS)]
    pictures = {
        name: [Image.open(options.out / f"{name}_{number:02d}.png") for number in range(len(PAIRS))] for name in names
    }
    read = [json.loads((options.out / f"{number:02d}.json").read_text()) for number in range(len(PAIRS))]
    figures = {name: [one[name] for one in read] for name in names}
    for kind in KINDS:
        pairs = [image for pair in zip(pictures["parent"], pictures[kind.value], strict=True) for image in pair]
        sheet(pairs, COLUMNS).save(options.out / f"{kind.value}.png")
    report(options.work, pictures, figures)


def report(work: Path, pictures: dict[str, list[Image.Image]], figures: dict[str, list[tuple[float, float]]]) -> None:
    """Print similarity and distance of each kind, and what the trained judges see."""
    judges = [(name, load_judge(work, name)) for name in JUDGES if (work / f"judge_{name}.pt").exists()]
    prompts: list[Prompt] = []
    if judges:
        compositor = Compositor(work, 128, COLOURED)
        prompts = [prompt for path in PROMPT_FILES for prompt in read_prompts(compositor, path)]
        by_thing = {prompt.concepts: replace(prompt, colour="", scene="") for prompt in prompts}
        prompts = list(by_thing.values())
    for kind, images in pictures.items():
        similarity, change = (statistics.mean(values) for values in zip(*figures[kind], strict=True))
        line = f"{kind:9} similarity {similarity:.3f}  distance to the parent {change:.3f}"
        own = [thing_of(prompts, pair[kind == Origin.REMIX.value]) for pair in PAIRS] if judges else []
        for name, evaluate in judges:
            one, five = (statistics.mean(top(evaluate, images, prompts, own, count)) for count in (1, 5))
            line += f"  {name}: top-1 {one:.2f}, top-5 {five:.2f}"
        print(line)


if __name__ == "__main__":
    main()
