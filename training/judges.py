"""Train the two judges: `python -m training.judges`.

Judges only evaluate finished pictures and never guide. They share nothing with the perceptor: other architectures and
seeds, no text tower (they classify concept, colour and scene), a data set of their own that includes the held-out
style. They distinguish the concepts of the evaluation's prompts, and have a class "nothing" for noise, mush and
shuffled pictures. Their data: `python -m training.compose --name judge --favour training/prompts.json
training/prompts_unseen.json --styles fluent noto clipart flat twitter --seed 991 --count 20000`.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training import run
from training.dataset import COLOUR_NAMES, SCENE_NAMES, Batch, Composed
from training.perceptor import mush

RESOLUTION, SMALLEST, PEAK = 48, 0.8, 1e-3
PROMPT_FILES = tuple(Path(__file__).parent / name for name in ("prompts.json", "prompts_unseen.json"))


class Plain(nn.Module):
    """Plain convolutional trunk: pairs of 3x3 convolutions with batch norm, halving the side three times."""

    width = 128 * (RESOLUTION // 8) ** 2

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for out in (32, 64, 128):
            for stride in (2, 1):
                layers += [
                    nn.Conv2d(channels, out, 3, stride, 1, bias=False),
                    nn.BatchNorm2d(out),
                    nn.ReLU(inplace=True),
                ]
                channels = out
        self.layers = nn.Sequential(*layers)

    def forward(self, pictures: Tensor) -> Tensor:
        """Features `[N, width]` of pictures `[N, 3, RESOLUTION, RESOLUTION] in 0..1`."""
        return torch.as_tensor(self.layers(pictures * 2 - 1)).flatten(1)


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

    width = 128 * (RESOLUTION // 8) ** 2

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 64, 4, 4), nn.GroupNorm(1, 64), _Mix(64), _Mix(64),
            nn.Conv2d(64, 128, 2, 2), _Mix(128), _Mix(128), _Mix(128), nn.GroupNorm(1, 128),
        )  # fmt: skip

    def forward(self, pictures: Tensor) -> Tensor:
        """Features `[N, width]` of pictures `[N, 3, RESOLUTION, RESOLUTION] in 0..1`."""
        return torch.as_tensor(self.layers(pictures * 2 - 1)).flatten(1)


class Judge(nn.Module):
    """A trunk with three classifiers, as log-probabilities.

    Args:
        named: the numbers of the concepts that it distinguishes; "nothing" comes after them.
    """

    def __init__(self, trunk: Plain | Patches, named: list[int]) -> None:
        super().__init__()
        self.trunk = trunk
        self.register_buffer("named", torch.tensor(named))
        self.drop = nn.Dropout(0.3)
        self.concept = nn.Linear(trunk.width, len(named) + 1)
        self.colour = nn.Linear(trunk.width, len(COLOUR_NAMES))
        self.scene = nn.Linear(trunk.width, len(SCENE_NAMES))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probabilities of concepts, colours and scenes of pictures `[N, 3, S, S] in 0..1`."""
        features = self.drop(self.trunk(pictures))
        concept, colour, scene = self.concept(features), self.colour(features), self.scene(features)
        return concept.log_softmax(dim=-1), colour.log_softmax(dim=-1), scene.log_softmax(dim=-1)


JUDGES = {"plain": Plain, "patches": Patches}


def softened(pictures: Tensor) -> Tensor:
    """Blur a third of the pictures a little, so that a soft picture does not count as another thing."""
    blurred = F.interpolate(F.avg_pool2d(pictures, 2), scale_factor=2.0, mode="bilinear")
    return torch.where(torch.rand(len(pictures), 1, 1, 1).to(pictures) < 0.33, blurred, pictures)


def verdict_loss(judge: Judge, pictures: Tensor, nothing: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Cross entropy of all three classifiers, and the concept accuracy."""
    concept, colour, scene = judge(torch.cat([pictures, nothing]))
    count = len(pictures)
    wanted = F.pad(batch.concepts[:, judge.get_buffer("named")], (0, 1))
    named = -(wanted * concept[:count]).sum(dim=1).mean()
    loss = named + F.nll_loss(colour[:count], batch.colours) + F.nll_loss(scene[:count], batch.scenes)
    right = wanted.gather(1, concept[:count].argmax(dim=1, keepdim=True)) > 0
    return loss + 0.5 * -concept[count:, -1].mean(), right.float().mean()


def judge_pictures(judge: Judge, batch: Batch) -> tuple[Tensor, Tensor]:
    """Loss and concept accuracy for a batch of which a sixth is shown a second time as nothing in particular."""
    nothing = mush(batch.pictures[: max(1, len(batch.pictures) // 6)])
    return verdict_loss(judge, softened(batch.pictures), nothing, batch)


def named_concepts(table: list[dict[str, object]]) -> list[int]:
    """Numbers of all concepts that the evaluation's prompts name."""
    prompts = [prompt for path in PROMPT_FILES for prompt in json.loads(path.read_text("utf-8"))]
    names = {name for _, concepts, _, _ in prompts for name in concepts}
    return [number for number, row in enumerate(table) if row["name"] in names]


def load_judge(work: Path, name: str) -> Judge:
    """Load a trained judge, frozen."""
    weights = torch.load(work / f"judge_{name}.pt", map_location="cpu", weights_only=True)["average"]
    judge = Judge(JUDGES[name](), weights["named"].tolist())
    judge.load_state_dict(weights)
    return judge.eval().requires_grad_(False)


def main() -> None:
    options = run.arguments(__doc__, steps=2500, batch=64, flags=tuple(JUDGES))
    chosen = [name for name in JUDGES if getattr(options, name)] or list(JUDGES)
    for number, name in enumerate(JUDGES):
        if name not in chosen:
            continue
        torch.manual_seed(options.seed + 1000 + number)
        data = Composed(options.work, "judge", seed=options.seed + 1000 + number)
        named = named_concepts(data.compositor.table)
        data.keep_only(named)
        judge = Judge(JUDGES[name](), named).to(options.device)
        optimiser = torch.optim.AdamW(judge.parameters(), lr=PEAK, betas=(0.9, 0.98), weight_decay=0.03)
        average = run.Average(judge, 0.98)
        parts = {"model": judge, "average": average, "optimiser": optimiser}
        state = run.Run(options.work / f"judge_{name}.pt", options.steps, parts)
        while state.step < options.steps:
            for group in optimiser.param_groups:
                group["lr"] = run.learning_rate(state.step, options.steps, PEAK)
            batch = data.batch(options.batch, RESOLUTION, SMALLEST).to(options.device)
            loss, right = judge_pictures(judge, batch)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            average.update()
            state.advance(loss=loss.item(), right=right.item())


if __name__ == "__main__":
    main()
