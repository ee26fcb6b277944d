"""Train the two judges: `python -m training.judges`.

They only look at finished pictures and never guide. They share nothing with the perceptor: other architectures and
seeds, no text tower (they name concept, colour and scene), a data set of their own with the held-out style too, and
a class "nothing" for noise, mush and pictures in disorder. In that data set the concepts of the evaluation's prompts
come more often (`python -m training.compose --name judge --favour training/prompts.json --styles fluent noto twitter
--seed 991 --count 14000`), since it is those that the judges must tell apart.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training import run
from training.dataset import COLOUR_NAMES, SCENE_NAMES, Batch, Composed
from training.perceptor import mush

RESOLUTION = 64


class Plain(nn.Module):
    """A plain convolutional trunk: pairs of 3x3 convolutions with batch norm, halving the side four times."""

    width = 256

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for out in (32, 64, 128, 256):
            for stride in (2, 1):
                layers += [
                    nn.Conv2d(channels, out, 3, stride, 1, bias=False),
                    nn.BatchNorm2d(out),
                    nn.ReLU(inplace=True),
                ]
                channels = out
        self.layers = nn.Sequential(*layers)

    def forward(self, pictures: Tensor) -> Tensor:
        """Features `[N, 256]` of pictures `[N, 3, 64, 64] in 0..1`."""
        return torch.as_tensor(self.layers(pictures * 2 - 1)).mean(dim=(2, 3))


class _Mix(nn.Module):
    """A ConvNeXt block: 7x7 depthwise, then a wide pointwise pair."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.wide, self.narrow = nn.Linear(channels, channels * 3), nn.Linear(channels * 3, channels)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.spatial(x).permute(0, 2, 3, 1))
        return x + torch.as_tensor(self.narrow(F.gelu(self.wide(h)))).permute(0, 3, 1, 2)


class Patches(nn.Module):
    """Patches of 4 px, then depthwise mixing at two resolutions."""

    width = 192

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 96, 4, 4), nn.GroupNorm(1, 96), _Mix(96), _Mix(96),
            nn.Conv2d(96, 192, 2, 2), _Mix(192), _Mix(192), _Mix(192), nn.GroupNorm(1, 192),
        )  # fmt: skip

    def forward(self, pictures: Tensor) -> Tensor:
        """Features `[N, 192]` of pictures `[N, 3, 64, 64] in 0..1`."""
        return torch.as_tensor(self.layers(pictures * 2 - 1)).mean(dim=(2, 3))


class Judge(nn.Module):
    """A trunk and its three verdicts, as log-probabilities."""

    def __init__(self, trunk: Plain | Patches, n_concepts: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.concept = nn.Linear(trunk.width, n_concepts + 1)  # the last is "nothing"
        self.colour = nn.Linear(trunk.width, len(COLOUR_NAMES))
        self.scene = nn.Linear(trunk.width, len(SCENE_NAMES))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probabilities of concepts, colours and scenes of pictures `[N, 3, 64, 64] in 0..1`."""
        features = self.trunk(pictures)
        concept, colour, scene = self.concept(features), self.colour(features), self.scene(features)
        return concept.log_softmax(dim=-1), colour.log_softmax(dim=-1), scene.log_softmax(dim=-1)


JUDGES = {"plain": Plain, "patches": Patches}


def softened(pictures: Tensor) -> Tensor:
    """A third of the pictures a little out of focus, so that a soft picture is no other thing."""
    blurred = F.interpolate(F.avg_pool2d(pictures, 2), scale_factor=2.0, mode="bilinear")
    return torch.where(torch.rand(len(pictures), 1, 1, 1) < 0.33, blurred, pictures)


def verdict_loss(judge: Judge, pictures: Tensor, nothing: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Cross entropy of all three verdicts, and the share of right concepts."""
    concept, colour, scene = judge(torch.cat([pictures, nothing]))
    count = len(pictures)
    known = batch.concepts.sum(dim=-1) > 0
    named = -(batch.concepts * concept[:count, :-1]).sum(dim=-1).sum() / known.sum().clamp_min(1)
    loss = named + F.nll_loss(colour[:count], batch.colours) + F.nll_loss(scene[:count], batch.scenes)
    best = concept[:count].argmax(dim=-1)
    right = batch.concepts[known].gather(1, best[known, None].clamp(max=batch.concepts.shape[1] - 1)) > 0
    return loss + 0.5 * -concept[count:, -1].mean(), right.float().mean()


def load_judge(work: Path, name: str, n_concepts: int) -> Judge:
    """A trained judge, frozen."""
    judge = Judge(JUDGES[name](), n_concepts)
    state = torch.load(work / f"judge_{name}.pt", map_location="cpu", weights_only=True)
    judge.load_state_dict(state["average"])
    return judge.eval().requires_grad_(False)


def main() -> None:
    options = run.arguments(__doc__, steps=700, batch=96)
    for number, name in enumerate(JUDGES):
        torch.manual_seed(options.seed + 1000 + number)
        data = Composed(options.work, "judge", seed=options.seed + 1000 + number)
        judge = Judge(JUDGES[name](), data.n_concepts).to(options.device)
        optimiser = torch.optim.AdamW(judge.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=0.03)
        average = run.Average(judge, 0.98)
        parts = {"model": judge, "average": average, "optimiser": optimiser}
        state = run.Run(options.work / f"judge_{name}.pt", options.steps, parts)
        while state.step < options.steps:
            for group in optimiser.param_groups:
                group["lr"] = run.learning_rate(state.step, options.steps, 2e-3)
            batch = data.batch(options.batch, RESOLUTION, 0.7).to(options.device)
            nothing = mush(batch.pictures[: options.batch // 6])
            loss, right = verdict_loss(judge, softened(batch.pictures), nothing, batch)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            average.update()
            state.advance(loss=loss.item(), right=right.item())


if __name__ == "__main__":
    main()
