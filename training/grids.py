"""Differences between pictures of the same words: `python -m training.grids` paints grids, and chains of *Again*.

For each prompt it paints four pictures with seeds in a row, as `count: 4` does, and the first of them followed by three
that the button *Again* requests, each for the picture before. It prints the mean distance of the pixels among the four
of each, the least of them, and as a measure the mean distance between pictures of different prompts. No model judges.
The sheet has a row for each prompt: the grid, then the chain.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from bot.service.requests import reseeded
from generator import Dream, GenerationRequest, Models, Settings, load_models
from training.children import distance
from training.evaluate import sheet

PROMPTS = (
    "a blue cat",
    "a red fox in the snow",
    "a castle at night",
    "a robot",
    "three yellow ducks",
    "a green car in the city",
    "a sailing boat at sunset",
    "a sunflower",
)
SIZE = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/grids.png"), help="the sheet")
    parser.add_argument("--steps", type=int, default=1, help="steps of each picture")
    options = parser.parse_args()
    models = load_models("starter")
    settings = Settings().merged({**models.defaults, "steps": options.steps})
    grids, chains = list[list[Image.Image]](), list[list[Image.Image]]()
    for number, prompt in enumerate(tqdm(PROMPTS, ascii=True)):
        requests = [
            GenerationRequest(prompt=prompt, settings=settings.merged({"seed": 100 * number + at}), models=models.name)
            for at in range(SIZE)
        ]
        grids.append([_painted(request, models) for request in requests])
        chain = [requests[0]]
        while len(chain) < SIZE:
            chain.append(reseeded(chain[-1]))
        chains.append([grids[-1][0], *(_painted(request, models) for request in chain[1:])])
    for name, pictures in (("grid", grids), ("again", chains)):
        print(f"{name:6}", _among(pictures))
    strangers = [distance(one[0], other[0]) for one, other in itertools.combinations(grids, 2)]
    print(f"different prompts: mean {statistics.mean(strangers):.3f}, least {min(strangers):.3f}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    rows = [image for grid, chain in zip(grids, chains, strict=True) for image in [*grid, *chain]]
    sheet(rows, 2 * SIZE).save(options.out)


def _painted(request: GenerationRequest, models: Models) -> Image.Image:
    dream = Dream(request, models)
    while not dream.finished:
        dream.step()
    return dream.picture().image


def _among(groups: Sequence[Sequence[Image.Image]]) -> str:
    """The mean distance within groups of pictures, and the least between two of a group."""
    pairs = [[distance(*pair) for pair in itertools.combinations(group, 2)] for group in groups]
    mean = statistics.mean(value for group in pairs for value in group)
    return f"mean {mean:.3f}, least {min(min(group) for group in pairs):.3f}"


if __name__ == "__main__":
    main()
