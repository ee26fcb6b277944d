"""One optimisation step, as in the paper: decode, cut, augment, embed, loss, update.

The step is written once. A CPU runs it directly; a GPU captures it as a CUDA graph and replays it
(`generator.optimisation.graph`), so nothing in it reads a value back to the host, and values that change from step to
step come from `StepValues`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from generator.models.drawers.interface import Drawer
from generator.notation.palette import NONE, rgb_of
from generator.optimisation.autograd import clamp_with_gradient, straight_through
from generator.optimisation.guidance import ClipGuidance
from generator.optimisation.latent import Latent
from generator.optimisation.loss_scale import LossScale
from generator.optimisation.losses.goals import Goals, edges_loss, likeness_loss
from generator.optimisation.losses.picture import border_loss, picture_losses, total_variation
from generator.optimisation.losses.regularisers import anchor_loss, pull_loss
from generator.optimisation.starts.canvas import Canvas
from generator.optimisation.targets import Targets
from generator.settings import Settings


class StepValues(NamedTuple):
    """Values that change from step to step: numbers, or scalar tensors if the step is captured.

    Attributes:
        learning_rate: of the optimiser.
        pull: weight of the pull towards zero.
        overviews: number of cutouts that see the whole picture.
        init_weight, total_variation, flatness, laplacian, palette_weight, symmetry_weight, border_weight, saturation,
            contrast, likeness: weights of the losses that the settings turn on.
    """

    learning_rate: float | Tensor
    pull: float | Tensor
    overviews: int | Tensor
    init_weight: float | Tensor
    total_variation: float | Tensor
    flatness: float | Tensor
    laplacian: float | Tensor
    palette_weight: float | Tensor
    symmetry_weight: float | Tensor
    border_weight: float | Tensor
    saturation: float | Tensor
    contrast: float | Tensor
    likeness: float | Tensor


class StepResult(NamedTuple):
    """Result of a step, without gradient.

    Attributes:
        image: the decoded picture, `[1, 3, H, W] in 0..1`.
        metrics: `[1 + 2 P]`, as `generator.optimisation.progress` takes them.
    """

    image: Tensor
    metrics: Tensor


@dataclass
class StepState:
    """State that a step reads and changes.

    Attributes:
        latent: under optimisation, with its optimiser.
        generator: source of all random choices.
        scale: of the loss.
        targets: prompts of the current scene.
        canvas: the picture of which a region is painted; None to paint all of it.
        goals: pictures that losses compare with.
    """

    latent: Latent
    generator: torch.Generator
    scale: LossScale
    targets: Targets
    canvas: Canvas | None = None
    goals: Goals = field(default_factory=Goals)

    def copy(self) -> StepState:
        """Return an independent copy; targets, canvas and goals, which never change, are shared."""
        generator = torch.Generator(self.generator.device)
        generator.set_state(self.generator.get_state())
        return StepState(self.latent.copy(), generator, self.scale.copy(), self.targets, self.canvas, self.goals)

    def load(self, other: StepState) -> None:
        """Copy the content of a state of the same shape, in place: no tensor moves in memory."""
        self.latent.load(other.latent)
        self.generator.set_state(other.generator.get_state())
        self.scale.load(other.scale)
        self.targets.load(other.targets)
        if self.canvas is not None and other.canvas is not None and self.canvas is not other.canvas:
            self.canvas.load(other.canvas)
        self.goals.load(other.goals)


@dataclass(frozen=True)
class Step:
    """One iteration of the loop on a state, for P prompts.

    Attributes:
        drawer: draws the picture.
        guidance: perceptors with their cutout settings.
        settings: of the request.
        group: largest number of cutouts embedded at a time.
    """

    drawer: Drawer
    guidance: ClipGuidance
    settings: Settings
    group: int

    def __call__(self, state: StepState, values: StepValues) -> StepResult:
        """Update the latent once."""
        canvas = state.canvas
        image = self._decode(state.latent)
        if canvas is not None:
            image = canvas.over(image)
        seen = image if canvas is None else canvas.view(image)
        cutouts = self.guidance.draw(values.overviews, seen, state.generator)
        if self.group >= self.settings.cutouts:
            result = self.guidance.evaluate(seen, cutouts, state.targets)
        else:
            result = self.guidance.evaluate_in_groups(seen, cutouts, state.targets, self.group, state.scale.value)
        loss = self._loss(image, result.loss, state, values)
        state.latent.update(loss, values.learning_rate, state.scale, None if canvas is None else canvas.free)
        metrics = torch.cat([loss.detach()[None], result.losses, result.cosines])
        return StepResult(image.detach(), metrics)

    def _decode(self, latent: Latent) -> Tensor:
        """Draw the settled latent as a picture `[1, 3, H, W] in 0..1`, with a gradient that reaches the latent."""
        settled = self.drawer.settle(latent.value.detach())
        image = self.drawer.decode(straight_through(latent.value, settled), self.settings.tiled)
        return clamp_with_gradient(image, 0, 1)

    def _loss(self, image: Tensor, loss: Tensor, state: StepState, values: StepValues) -> Tensor:
        """Loss of the prompts, a scalar, with the regularisers and the losses of the picture."""
        settings, latent, goals = self.settings, state.latent, state.goals
        if settings.total_variation:
            loss = loss + values.total_variation * total_variation(image)
        if settings.init_weight:
            loss = loss + values.init_weight * anchor_loss(latent.value, latent.anchor)
        if settings.pull:
            loss = loss + values.pull * pull_loss(latent.value)
        if goals.edges is not None and goals.rim is not None:
            loss = loss + values.border_weight * edges_loss(latent.value, goals.edges, goals.rim)
        elif settings.border != NONE:
            (colour,) = rgb_of(settings.border)
            loss = loss + values.border_weight * border_loss(image, colour, settings.border_width)
        if goals.likeness is not None:
            loss = loss + values.likeness * likeness_loss(image, goals.likeness)
        for weighted in picture_losses(image, settings, values._asdict()):
            loss = loss + weighted
        return loss
