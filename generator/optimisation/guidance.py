"""CLIP guidance: cut, augment and embed a picture, and compute the loss of its prompts.

If memory is short, the cutouts are evaluated in groups: each group's gradient is propagated to the picture and summed
there. Only one group's activations are in memory at a time, and the result equals that of all at once, up to rounding,
since noise and random choices are drawn for all groups beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from generator.models.clip import Perceptor
from generator.optimisation.autograd import with_gradient
from generator.optimisation.cutouts import CutoutParams, augment, cut, draw, draw_noise
from generator.optimisation.losses.matching import prompt_losses
from generator.optimisation.targets import Targets
from generator.settings import Settings


class GuidanceResult(NamedTuple):
    """Match between a picture and P prompts, averaged over the perceptors.

    Attributes:
        loss: a scalar, with a gradient to the picture.
        losses: each prompt's share of the loss, `[P]`.
        cosines: mean cosine of each prompt with the cutouts, `[P]`.
    """

    loss: Tensor
    losses: Tensor
    cosines: Tensor


class CutoutBatch(NamedTuple):
    """All random choices of one step: N crops, and their noise by resolution."""

    cuts: CutoutParams
    noise: Mapping[int, Tensor | None]

    def part(self, which: slice) -> CutoutBatch:
        """Select some of the crops with their noise."""
        noise = {side: None if values is None else values[which] for side, values in self.noise.items()}
        return CutoutBatch(self.cuts.part(which), noise)


@dataclass(frozen=True)
class ClipGuidance:
    """Perceptors with their cutout settings.

    Attributes:
        perceptors: weighted equally.
        settings: of the request.
        exact: use only operations that repeat to the byte, see `generator.optimisation.cutouts.cut`.
    """

    perceptors: Sequence[Perceptor]
    settings: Settings
    exact: bool = False

    def draw(self, overviews: int | Tensor, image: Tensor, generator: torch.Generator) -> CutoutBatch:
        """Draw the cutouts of a step for a picture `[1, 3, H, W]`; the first `overviews` see all of it."""
        cuts = draw(self.settings, overviews, image.shape[3], image.shape[2], generator)
        sides = dict.fromkeys(perceptor.resolution for perceptor in self.perceptors)
        return CutoutBatch(cuts, {side: draw_noise(self.settings, side, generator) for side in sides})

    def evaluate(self, image: Tensor, cutouts: CutoutBatch, targets: Targets) -> GuidanceResult:
        """Evaluate a picture `[1, 3, H, W] in 0..1` on all cutouts at once."""
        seen = {
            side: augment(
                cut(image, cutouts.cuts, side, self.exact, self.settings.tiled), cutouts.cuts, self.settings, noise
            )
            for side, noise in cutouts.noise.items()
        }
        vectors = [perceptor.embed_images(seen[perceptor.resolution]) for perceptor in self.perceptors]
        pairs = list(zip(vectors, targets.vectors, strict=True))
        losses = torch.stack([prompt_losses(ours, theirs, targets.shares, targets.stops) for ours, theirs in pairs])
        losses = losses.mean(dim=0)
        with torch.no_grad():
            cosines = torch.stack([(ours @ theirs.t()).mean(dim=0) for ours, theirs in pairs]).mean(dim=0)
        return GuidanceResult(losses.sum(), losses.detach(), cosines)

    def evaluate_in_groups(
        self, image: Tensor, cutouts: CutoutBatch, targets: Targets, group: int, loss_scale: float
    ) -> GuidanceResult:
        """Evaluate with at most `group` cutouts at a time; gradients are scaled by `loss_scale` internally."""
        count = len(cutouts.cuts.side)
        leaf = image.detach().requires_grad_(True)
        losses, cosines = torch.zeros_like(targets.shares), torch.zeros_like(targets.shares)
        for begin in range(0, count, group):
            part = cutouts.part(slice(begin, begin + group))
            share = len(part.cuts.side) / count
            result = self.evaluate(leaf, part, targets)
            (result.loss * (share * loss_scale)).backward()  # type: ignore[no-untyped-call]
            losses += result.losses * share
            cosines += result.cosines * share
        gradient = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad / loss_scale
        return GuidanceResult(with_gradient(image, losses.sum(), gradient), losses, cosines)
