"""The judge of style: `python -m training.obedience.styles` trains it to tell the styles that can be asked for.

It learns from pictures of one style each, composed of real drawings on grounds with the style's filter. "none" are
pictures of the two styles that take turns where no style is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from generator.models.looks import DRAWN, looking
from training import run
from training.compositor import COLOURS, Compositor, Layer, Plan, layout, recolour
from training.data import as_tensor, disturbed
from training.judges import Plain
from training.scenes import SCENES

DRAWINGS = {
    "none": ("fluent", "noto"),
    "flat": ("flat",),
    "line": ("line",),
    "stencil": ("stencil",),
    "clipart": ("clipart",),
    "doodle": ("doodle",),
    "watercolour": ("fluent", "noto", "flat"),
    "pixels": ("fluent", "noto", "flat"),
}
"""Styles that the judge tells apart, with the drawings that show them."""
STYLES = tuple(DRAWINGS)
LOOKS = {style: style for style in STYLES} | {"none": "", "line": "lines"}
SIDE_PX, RESOLUTION, PEAK = 128, 48, 1e-3


class StyleJudge(nn.Module):
    """A plain convolutional trunk with one classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.style = Plain(), nn.Linear(Plain.width, len(STYLES))

    def forward(self, pictures: Tensor) -> Tensor:
        """Log-probabilities `[N, STYLES]` of pictures `[N, 3, S, S] in 0..1` of any size."""
        small = F.interpolate(pictures, size=(RESOLUTION, RESOLUTION), mode="bilinear", antialias=True)
        return torch.as_tensor(self.style(self.trunk(small)).log_softmax(dim=-1))


class StyledPictures:
    """Compose pictures of one style each."""

    def __init__(self, work: Path, seed: int) -> None:
        self._compositor = Compositor(work, SIDE_PX, seed=seed)
        self.rng = self._compositor.rng
        table = range(len(self._compositor.table))
        drawn = [set(self._compositor.drawings.styles(concept)) for concept in table]
        self._concepts = {
            style: [concept for concept in table if drawn[concept].intersection(kinds)]
            for style, kinds in DRAWINGS.items()
        }
        self.styles = [style for style in STYLES if self._concepts[style]]
        """Styles of which there are drawings at all."""

    def picture(self, style: str) -> Tensor:
        """A picture `[3, S, S]` of one to three drawings in a style, on a scene or on paper in it."""
        plan, look, seed = self.plan(style)
        compositor = self._compositor
        scene = compositor.scene(plan.scene).copy()
        if look in DRAWN:
            scene = _image(looking(as_tensor(scene)[None], look, seed)[0])
        for layer in plan.layers:
            sprite = compositor.drawings.sprite(layer.concept, layer.style)
            compositor.paste(scene, recolour(sprite, layer.colour) if layer.colour else sprite, layer.place)
        picture = as_tensor(scene)
        return picture if look in DRAWN else looking(picture[None], look, seed)[0]

    def plan(self, style: str) -> tuple[Plan, str, int]:
        """Plan such a picture: its layers, its look, and the look's seed. A look in DRAWN is that of the scene only."""
        rng, compositor = self.rng, self._compositor
        seed = rng.randrange(2**31)
        scene = rng.choice(list(SCENES)) if rng.random() < 0.5 else "plain"
        concept = rng.choice(self._concepts[style])
        kind = rng.choice(sorted(set(DRAWINGS[style]).intersection(compositor.drawings.styles(concept))))
        colour = rng.choice(list(COLOURS)) if rng.random() < 0.3 else ""
        layers = [Layer(concept, kind, place, colour) for place in layout(rng.choice((1, 1, 1, 2, 3)), rng)]
        return Plan(tuple(layers), (concept,), len(layers), colour, scene), LOOKS[style], seed


def _image(picture: Tensor) -> Image.Image:
    return Image.fromarray(picture.mul(255).round().byte().permute(1, 2, 0).numpy())


@dataclass(frozen=True)
class Styled(IterableDataset[tuple[Tensor, int]]):
    """Endless pictures with the number of their style."""

    work: Path
    seed: int

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        made = StyledPictures(self.work, self.seed)
        while True:
            style = made.rng.choice(made.styles)
            yield disturbed(made.picture(style)[None])[0], STYLES.index(style)


def load(work: Path) -> StyleJudge:
    """Load the trained judge, frozen."""
    judge = StyleJudge()
    judge.load_state_dict(torch.load(work / "judge_style.pt", map_location="cpu", weights_only=True)["average"])
    return judge.eval().requires_grad_(False)


def main() -> None:
    options = run.arguments(__doc__, steps=2500, batch=64)
    judge = StyleJudge().to(options.device)
    optimiser = torch.optim.AdamW(judge.parameters(), lr=PEAK, betas=(0.9, 0.98), weight_decay=0.03)
    average = run.Average(judge, 0.98)
    parts = {"model": judge, "average": average, "optimiser": optimiser}
    state = run.Run(options.work / "judge_style.pt", options.steps, parts)
    data = iter(DataLoader(Styled(options.work, options.seed + 2000 + state.step), options.batch, num_workers=1))
    while state.step < options.steps:
        for group in optimiser.param_groups:
            group["lr"] = run.learning_rate(state.step, options.steps, PEAK)
        pictures, styles = (part.to(options.device) for part in next(data))
        scores = judge(pictures)
        loss = F.nll_loss(scores, styles)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        average.update()
        state.advance(loss=loss.item(), right=(scores.argmax(dim=1) == styles).float().mean().item())


if __name__ == "__main__":
    main()
