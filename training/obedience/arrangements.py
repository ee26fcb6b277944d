"""The judge of number and relation: `python -m training.obedience.arrangements` trains it.

It counts the things in a picture, and says how one named thing stands to another: on it, under it, in it or beside it.
For each of the two it finds where in the picture the thing is likely to be, and compares the places. It learns from
compositions of its own layout, which differs from the generator's.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from generator.models.prior import Place
from training import run
from training.compositor import COLOURS, Compositor, Layer, Plan
from training.data import as_tensor, disturbed
from training.scenes import SCENES

RELATIONS = ("on", "under", "in", "beside")
MOST, SIDE_PX, RESOLUTION, CHANNELS, PEAK = 5, 128, 64, 96, 1e-3
WISHES = Path(__file__).parent / "wishes.json"


@dataclass(frozen=True)
class Arranged:
    """A picture, the two concepts that it shows (twice the same where it shows one), their number and relation.

    `relation` is that of the first to the second; "" where there is only one concept.
    """

    picture: Image.Image
    first: int
    second: int
    count: int
    relation: str


@dataclass(frozen=True)
class Arrangement:
    """An `Arranged` before it is painted; the colours of its layers may differ."""

    plan: Plan
    first: int
    second: int
    count: int
    relation: str


class Trunk(nn.Sequential):
    """Pairs of 3x3 convolutions; a map of an eighth of the picture's side."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        channels = 3
        for out in (32, 64, CHANNELS):
            for stride in (2, 1):
                conv = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
                layers += [conv, nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
                channels = out
        super().__init__(*layers)


class ArrangementJudge(nn.Module):
    """Count things, and compare the places of two of them.

    Args:
        named: the numbers of the concepts that it can be asked about.
    """

    def __init__(self, named: list[int]) -> None:
        super().__init__()
        self.register_buffer("named", torch.tensor(named))
        self.trunk, self.count = Trunk(), nn.Linear(2 * CHANNELS, MOST)
        self.look = nn.Embedding(len(named), CHANNELS)
        self.compare = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, len(RELATIONS)))

    def forward(self, pictures: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the counts 1 to MOST `[N, MOST]` and of the RELATIONS of first to second `[N, 4]`.

        Args:
            pictures: `[N, 3, S, S] in 0..1` of any size.
            first: place in `named` of the concept that is asked about, `[N]`.
            second: that of the one that it is compared with, `[N]`.
        """
        small = F.interpolate(pictures, size=(RESOLUTION, RESOLUTION), mode="bilinear", antialias=True)
        seen = self.trunk(small * 2 - 1)
        pooled = torch.cat([seen.mean(dim=(2, 3)), seen.amax(dim=(2, 3))], dim=1)
        places = [self._place(seen, self.look(one)) for one in (first, second)]
        both = torch.cat([*places, places[0] - places[1]], dim=1)
        return self.count(pooled).log_softmax(dim=-1), self.compare(both).log_softmax(dim=-1)

    def _place(self, seen: Tensor, look: Tensor) -> Tensor:
        """Centre and spread along x and y, `[N, 4]` in -1..1, of where the map agrees with a look `[N, CHANNELS]`."""
        count, _, height, width = seen.shape
        share = torch.einsum("nchw,nc->nhw", seen, look).flatten(1).softmax(dim=1).view(count, height, width)
        x, y = (torch.linspace(-1, 1, side, device=seen.device) for side in (width, height))
        across, along = share.sum(dim=1), share.sum(dim=2)
        right, down = (across * x).sum(dim=1), (along * y).sum(dim=1)
        wide = (across * (x - right[:, None]) ** 2).sum(dim=1)
        high = (along * (y - down[:, None]) ** 2).sum(dim=1)
        return torch.stack([right, down, wide, high], dim=1)


class Arranger:
    """Compose arrangements of the concepts that the judge can be asked about."""

    def __init__(self, work: Path, seed: int, named: list[int] | None = None) -> None:
        self.compositor = Compositor(work, SIDE_PX, seed=seed)
        self.rng = self.compositor.rng
        self.named = named_concepts(self.compositor) if named is None else named

    def sample(self) -> Arranged:
        """A group of one thing, or two things in a relation."""
        return self._painted(self.arrangement())

    def arrangement(self) -> Arrangement:
        """Plan a group of one thing, or two things in a relation."""
        if self.rng.random() < 0.4:
            return self._grouped(self.rng.choice(self.named), self.rng.randint(1, MOST))
        first, second = self.rng.sample(self.named, 2)
        return self._paired(first, second, self.rng.choice(RELATIONS))

    def group(self, concept: int, count: int) -> Arranged:
        """`count` drawings of one concept in one or two rows, none covering another."""
        return self._painted(self._grouped(concept, count))

    def pair(self, first: int, second: int, relation: str) -> Arranged:
        """Two concepts in a relation."""
        return self._painted(self._paired(first, second, relation))

    def _grouped(self, concept: int, count: int) -> Arrangement:
        style, places = self.compositor.style(concept), _rows(count, self.rng)
        return Arrangement(self._plan([(concept, style, place) for place in places]), concept, concept, count, "")

    def _paired(self, first: int, second: int, relation: str) -> Arrangement:
        places = _related(relation, self.rng)
        layers = [
            (concept, self.compositor.style(concept), place)
            for concept, place in zip((first, second), places, strict=True)
        ]
        return Arrangement(self._plan(layers[::-1]), first, second, 2, relation)

    def _plan(self, drawn: list[tuple[int, str, Place]]) -> Plan:
        rng = self.rng
        scene = rng.choice(list(SCENES)) if rng.random() < 0.5 else "plain"
        layers = [
            Layer(concept, style, place, rng.choice(list(COLOURS)) if rng.random() < 0.15 else "")
            for concept, style, place in drawn
        ]
        return Plan(tuple(layers), tuple({concept for concept, _, _ in drawn}), len(drawn), "", scene)

    def _painted(self, made: Arrangement) -> Arranged:
        picture = self.compositor.painted(made.plan).picture
        return Arranged(picture, made.first, made.second, made.count, made.relation)


def _rows(count: int, rng: random.Random) -> list[Place]:
    above = 0 if count == 1 else rng.choice([0, count // 2, count - count // 2])
    rows = [row for row in (above, count - above) if row]
    most = max(rows)
    side = min(0.8 / most, 0.75 / len(rows)) * rng.uniform(0.75, 1)
    places = []
    for number, row in enumerate(rows):
        y = (number + 0.5) / len(rows) + rng.uniform(-0.03, 0.03)
        for column in range(row):
            x = (column + 0.5 + (most - row) / 2) / most + rng.uniform(-0.02, 0.02)
            places.append(Place(x, y, side))
    return places


def _related(relation: str, rng: random.Random) -> list[Place]:
    """Places of the first and the second of two things."""
    x, shift = 0.5 + rng.uniform(-0.1, 0.1), rng.uniform(-0.08, 0.08)
    if relation == "beside":
        side, gap = rng.uniform(0.32, 0.46), rng.choice((-1, 1)) * rng.uniform(0.24, 0.27)
        y = rng.uniform(0.4, 0.65)
        return [Place(0.5 - gap, y, side), Place(0.5 + gap, y + shift / 2, rng.uniform(0.32, 0.46))]
    if relation == "in":
        y, whole = rng.uniform(0.45, 0.6), rng.uniform(0.7, 0.9)
        return [Place(x + shift / 2, y + rng.uniform(0, 0.1), whole * rng.uniform(0.3, 0.45)), Place(x, y, whole)]
    side, ground, bottom = rng.uniform(0.24, 0.46), rng.uniform(0.38, 0.7), rng.uniform(0.88, 0.96)
    if relation == "on":
        joint = bottom - ground * rng.uniform(0.6, 1)
        return [Place(x + shift, joint - side / 2 + 0.04, side), Place(x, bottom - ground / 2, ground)]
    # Under it is below it, or before its lower edge, as between the legs of a table.
    side, ground = rng.uniform(0.22, 0.38), rng.uniform(0.5, 0.75)
    edge = bottom - side * rng.uniform(0, 1)
    return [Place(x + shift, bottom - side / 2, side), Place(x, edge - ground / 2, ground)]


def named_concepts(compositor: Compositor) -> list[int]:
    """Numbers of the concepts that the wishes name."""
    wishes = json.loads(WISHES.read_text("utf-8"))
    names = {name for _, name, _ in wishes["counts"]} | {name for row in wishes["relations"] for name in row[1:3]}
    return [number for number, row in enumerate(compositor.table) if row["name"] in names]


@dataclass(frozen=True)
class Arrangements(IterableDataset[tuple[Tensor, int, int, int, int]]):
    """Endless pictures with their two concepts, as numbers in `named`, their count and relation (-1 for none)."""

    work: Path
    seed: int

    def __iter__(self) -> Iterator[tuple[Tensor, int, int, int, int]]:
        arranger = Arranger(self.work, self.seed)
        at = {concept: number for number, concept in enumerate(arranger.named)}
        while True:
            made = arranger.sample()
            relation = RELATIONS.index(made.relation) if made.relation else -1
            yield disturbed(as_tensor(made.picture)[None])[0], at[made.first], at[made.second], made.count - 1, relation


def arrangement_loss(scores: tuple[Tensor, Tensor], counts: Tensor, relations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Loss of a judge's two answers, and the shares of right ones, given counts from 0 and relations (-1 for none)."""
    counted, related = scores
    loss = F.nll_loss(counted, counts) + F.nll_loss(related, relations, ignore_index=-1)
    right = (related.argmax(dim=1) == relations)[relations >= 0].float().mean()
    return loss, (counted.argmax(dim=1) == counts).float().mean(), right


def load(work: Path) -> ArrangementJudge:
    """Load the trained judge, frozen."""
    weights = torch.load(work / "judge_arrangement.pt", map_location="cpu", weights_only=True)["average"]
    judge = ArrangementJudge(weights["named"].tolist())
    judge.load_state_dict(weights)
    return judge.eval().requires_grad_(False)


def main() -> None:
    options = run.arguments(__doc__, steps=4000, batch=64)
    judge = ArrangementJudge(named_concepts(Compositor(options.work, SIDE_PX))).to(options.device)
    optimiser = torch.optim.AdamW(judge.parameters(), lr=PEAK, betas=(0.9, 0.98), weight_decay=0.03)
    average = run.Average(judge, 0.98)
    parts = {"model": judge, "average": average, "optimiser": optimiser}
    state = run.Run(options.work / "judge_arrangement.pt", options.steps, parts)
    data = iter(DataLoader(Arrangements(options.work, options.seed + 3000 + state.step), options.batch, num_workers=1))
    while state.step < options.steps:
        for group in optimiser.param_groups:
            group["lr"] = run.learning_rate(state.step, options.steps, PEAK)
        pictures, first, second, counts, relations = (part.to(options.device) for part in next(data))
        loss, counted, related = arrangement_loss(judge(pictures, first, second), counts, relations)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        average.update()
        state.advance(loss=loss.item(), counted=counted.item(), related=related.item())


if __name__ == "__main__":
    main()
