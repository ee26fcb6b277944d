"""The judges: of things, colours and scenes, of styles, and of arrangements. They never guide a picture."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generator.models.looks import DRAWN, looking
from training import run
from training.compositor import Compositor, Plan
from training.data import disturbed
from training.drawings.store import COLOURED
from training.gpu.batch_compositor import BatchCompositor
from training.gpu.part import NotReady, quickly, update
from training.gpu.perceptor import COMPOSED_PX, Pictures
from training.judges import JUDGES, PEAK, RESOLUTION, SMALLEST, Judge, judge_pictures, named_concepts
from training.obedience import arrangements, styles
from training.obedience.arrangements import RELATIONS, ArrangementJudge, Arranger, arrangement_loss
from training.obedience.styles import StyledPictures, StyleJudge

BATCH = 256
SEEN_STYLES = (*COLOURED, "twitter")
"""Styles of the judges' own pictures; perceptor and VQGAN never see the last."""


class JudgingPart:
    """Common part of all judges."""

    file: str
    peak = PEAK

    def __init__(self, judge: nn.Module, batches: BatchCompositor, device: str) -> None:
        self.batch, self._batches, self._device = BATCH, batches, device
        self._judge = judge.to(device)
        self._weights = list(judge.parameters())
        self.optimiser = torch.optim.AdamW(self._weights, lr=self.peak, betas=(0.9, 0.98), weight_decay=0.03)
        self._average = run.Average(judge, 0.98)
        self.state = {"model": judge, "average": self._average, "optimiser": self.optimiser}

    def _learn(self, loss: Tensor) -> None:
        update(self.optimiser, self._weights, loss)
        self._average.update()


class JudgePart(JudgingPart):
    """One of the two judges of prompts, `plain` or `patches`."""

    def __init__(self, work: Path, batches: BatchCompositor, device: str, seed: int, name: str) -> None:
        compositor = Compositor(work, COMPOSED_PX, SEEN_STYLES, seed)
        self._data, named = Pictures(compositor, batches), named_concepts(compositor.table)
        if not named:
            raise NotReady("none of the prompts' things has a drawing")
        self._named = compositor.favourites = tuple(named)
        self.file = f"judge_{name}"
        super().__init__(Judge(JUDGES[name](), named), batches, device)

    def step(self, share: float) -> dict[str, Tensor]:
        """One step with pictures of the named things only."""
        plans = [self._plan() for _ in range(self.batch)]
        batch = self._data.batch(plans, RESOLUTION, SMALLEST)
        with quickly(self._device):
            loss, right = judge_pictures(self._judge, batch)
        self._learn(loss)
        return {"loss": loss.detach(), "right": right}

    def _plan(self) -> Plan:
        while True:
            plan = self._data.compositor.plan()
            if plan.concepts and set(plan.concepts).issubset(self._named):
                return plan


class StylePart(JudgingPart):
    """The judge of styles."""

    file, peak = "judge_style", styles.PEAK

    def __init__(self, work: Path, batches: BatchCompositor, device: str, seed: int) -> None:
        self._made = StyledPictures(work, seed)
        super().__init__(StyleJudge(), batches, device)

    def step(self, share: float) -> dict[str, Tensor]:
        """One step with pictures of all styles that have drawings."""
        chosen = [self._made.rng.choice(self._made.styles) for _ in range(self.batch)]
        with torch.no_grad():
            pictures = disturbed(self._pictures(chosen))
        wanted = torch.tensor([styles.STYLES.index(style) for style in chosen], device=self._device)
        with quickly(self._device):
            scores = self._judge(pictures)
        loss = F.nll_loss(scores.float(), wanted)
        self._learn(loss)
        return {"loss": loss.detach(), "right": (scores.argmax(dim=1) == wanted).float().mean()}

    def _pictures(self, chosen: list[str]) -> Tensor:
        made = [self._made.plan(style) for style in chosen]
        plans = [plan for plan, _, _ in made]
        grounds = self._batches.grounds(plans, styles.SIDE_PX)
        for number, (_, look, seed) in enumerate(made):
            if look in DRAWN:
                grounds[number] = looking(grounds[number][None], look, seed)[0]
        pictures = self._batches.over(grounds, plans)
        for number, (_, look, seed) in enumerate(made):
            if look not in DRAWN:
                pictures[number] = looking(pictures[number][None], look, seed)[0]
        return pictures


class ArrangementPart(JudgingPart):
    """The judge of number and relation."""

    file, peak = "judge_arrangement", arrangements.PEAK

    def __init__(self, work: Path, batches: BatchCompositor, device: str, seed: int) -> None:
        self._arranger = Arranger(work, seed)
        if len(self._arranger.named) < 2:
            raise NotReady("fewer than two of the wishes' things have drawings")
        self._at = {concept: number for number, concept in enumerate(self._arranger.named)}
        super().__init__(ArrangementJudge(self._arranger.named), batches, device)

    def step(self, share: float) -> dict[str, Tensor]:
        """One step with groups and pairs."""
        made = [self._arranger.arrangement() for _ in range(self.batch)]
        with torch.no_grad():
            pictures = disturbed(self._batches.paint([one.plan for one in made], arrangements.SIDE_PX))
        first, second, counts, relations = torch.tensor(
            [
                (self._at[one.first], self._at[one.second], one.count - 1,
                 RELATIONS.index(one.relation) if one.relation else -1)
                for one in made
            ],
            device=self._device,
        ).unbind(1)  # fmt: skip
        with quickly(self._device):
            counted, related = self._judge(pictures, first, second)
        loss, right_count, right_relation = arrangement_loss((counted.float(), related.float()), counts, relations)
        self._learn(loss)
        return {"loss": loss.detach(), "counted": right_count, "related": right_relation}
