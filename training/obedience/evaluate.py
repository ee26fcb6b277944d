"""Evaluate style, number and relation: `python -m training.obedience.evaluate` paints the wishes and judges them.

For each kind of wish it prints the share of pictures in which the judge sees what was asked for. Controls: compositions
of real drawings must be seen right in at least .9 of cases; and what was not asked for (another style, one more thing,
the two things exchanged) must be seen in less than .2 of them. If a control fails, the line says VOID.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from tqdm import tqdm

from generator import load_models
from generator.cli.config import resolve_settings
from training.data import as_tensor
from training.evaluate import paint, sheet
from training.obedience import arrangements, styles
from training.obedience.arrangements import MOST, RELATIONS, WISHES, ArrangementJudge, Arranger
from training.obedience.styles import STYLES, StyledPictures, StyleJudge

REAL, LEAST_RIGHT, MOST_WRONG = 40, 0.9, 0.2
OPPOSITE = {"on": "under", "under": "on", "in": "beside", "beside": "in"}


@dataclass(frozen=True)
class Verdicts:
    """Answers of a judge: for each picture, real composition and falsely described composition, True if it agreed."""

    painted: list[bool]
    real: list[bool]
    false: list[bool]

    def line(self, what: str) -> str:
        right, real, false = (statistics.mean(part) for part in (self.painted, self.real, self.false))
        void = "" if real >= LEAST_RIGHT and false < MOST_WRONG else "  VOID"
        return (
            f"{what:10} {right:.2f} of {len(self.painted)}  controls: real {real:.2f}, false claims {false:.2f}{void}"
        )


@torch.no_grad()
def judge_styles(judge: StyleJudge, made: StyledPictures, painted: Sequence[tuple[Image.Image, str]]) -> Verdicts:
    """Compare the style that the judge sees with the one asked for."""
    seen = [STYLES[int(judge(as_tensor(image.convert("RGB"))[None]).argmax())] for image, _ in painted]
    real = [(style, STYLES[int(judge(made.picture(style)[None]).argmax())]) for style in made.styles * (REAL // 8)]
    others = [(style, made.styles[made.styles.index(style) - 1]) for style, _ in real]
    return Verdicts(
        [one == style for one, (_, style) in zip(seen, painted, strict=True)],
        [one == style for style, one in real],
        [one == other for (_, one), (_, other) in zip(real, others, strict=True)],
    )


@torch.no_grad()
def judge_counts(
    judge: ArrangementJudge, arranger: Arranger, painted: Sequence[tuple[Image.Image, int, int]]
) -> Verdicts:
    """Compare the number that the judge counts with the one asked for: pictures, their concepts and the numbers."""

    def counted(image: Image.Image) -> int:
        one = torch.zeros(1, dtype=torch.long)
        return int(judge(as_tensor(image.convert("RGB"))[None], one, one)[0].argmax()) + 1

    samples = [arranger.group(arranger.rng.choice(arranger.named), 1 + number % MOST) for number in range(REAL)]
    real = [(counted(sample.picture), sample.count) for sample in samples]
    return Verdicts(
        [counted(image) == count for image, _, count in painted],
        [one == count for one, count in real],
        [one == count % MOST + 1 for one, count in real],
    )


@torch.no_grad()
def judge_relations(
    judge: ArrangementJudge, arranger: Arranger, painted: Sequence[tuple[Image.Image, int, int, str]]
) -> Verdicts:
    """Compare the relation that the judge sees with the one asked for: pictures, both concepts, the relation."""
    at = {concept: number for number, concept in enumerate(judge.get_buffer("named").tolist())}

    def related(image: Image.Image, first: int, second: int) -> str:
        asked = (torch.tensor([at[one]]) for one in (first, second))
        return RELATIONS[int(judge(as_tensor(image.convert("RGB"))[None], *asked)[1].argmax())]

    rng = arranger.rng
    samples = [arranger.pair(*rng.sample(arranger.named, 2), RELATIONS[number % 4]) for number in range(REAL)]
    real = [(related(sample.picture, sample.first, sample.second), sample.relation) for sample in samples]
    return Verdicts(
        [related(image, first, second) == relation for image, first, second, relation in painted],
        [one == relation for one, relation in real],
        [one == OPPOSITE[relation] for one, relation in real],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="folder with drawings and judges")
    parser.add_argument("--out", type=Path, default=Path("build/obedience"), help="folder for the pictures")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, help="steps of each picture; the default is the models'")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    wishes = json.loads(WISHES.read_text("utf-8"))
    models = load_models("starter")
    asked = {"seed": options.seed} | ({} if options.steps is None else {"steps": options.steps})
    settings = resolve_settings(models.defaults, {}, asked)
    pictures: dict[str, list[Image.Image]] = {}
    for kind, rows in wishes.items():
        pictures[kind] = []
        for number, row in enumerate(tqdm(rows, kind, ascii=True)):
            path = options.out / f"{kind}_{number:02d}.png"
            if not path.exists():  # what is painted already is kept
                paint(row[0], models, settings).image.save(path)
            pictures[kind].append(Image.open(path).convert("RGB"))
        sheet(pictures[kind], 8 if kind == "styles" else 5 if kind == "counts" else 4).save(options.out / f"{kind}.png")
    arranger, made = Arranger(options.work, 77), StyledPictures(options.work, 77)
    numbers = {row["name"]: number for number, row in enumerate(arranger.compositor.table)}
    judge = arrangements.load(options.work)
    drawn = [(image, style) for image, (_, style) in zip(pictures["styles"], wishes["styles"], strict=True)]
    print(judge_styles(styles.load(options.work), made, drawn).line("style"))
    groups = [
        (image, numbers[name], count)
        for image, (_, name, count) in zip(pictures["counts"], wishes["counts"], strict=True)
    ]
    print(judge_counts(judge, arranger, groups).line("number"))
    pairs = [
        (image, numbers[first], numbers[second], relation)
        for image, (_, first, second, relation) in zip(pictures["relations"], wishes["relations"], strict=True)
    ]
    print(judge_relations(judge, arranger, pairs).line("relation"))


if __name__ == "__main__":
    main()
