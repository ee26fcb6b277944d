"""Time until a picture reaches the plain loop's final score, with the starter: `python -m benchmarks.time_to_score`.

The plain loop starts from random codes and makes all its steps at full size; its last picture is scored. Our dream,
with the starter's own settings, wins when one of its steps' pictures reaches that score; its start is timed, the
scoring is not. If it never does, that is a miss. The score is the mean log-probability of the prompt under judges that
never guide (`training.judges`), if they have been trained. Without them it is the starter's own perceptor on the
un-augmented picture and eight fixed crops, which guided both sides: the table says so.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as functional
from PIL import Image
from torch import Tensor

from benchmarks.cases import Case, plain_loop_of
from benchmarks.report import conditions, options, write_report
from generator import Dream, GenerationRequest, Models, Settings, load_models
from generator.images.tensors import to_image
from generator.optimisation.targets import targets_of

PROMPTS = (
    "a red apple", "a cat", "a penguin", "a hamburger", "a butterfly", "an owl", "a carrot", "ice cream", "a frog",
    "a strawberry", "an elephant", "a cup of coffee",
)  # fmt: skip
JUDGES = Path("build/training")
PLAIN = {"start": "random", "coarse": 0.0, "ema": 0.0, "init_weight": 0.0, "learning_rate": 0.1}
_CASE = Case("starter", "starter", {}, 1, 1)

Score = Callable[[Image.Image, str, Tensor], float]
"""Score of a picture for a prompt, whose unit vector is `[1, D]`."""


@dataclass(frozen=True)
class Race:
    """One prompt and seed: seconds of wall and CPU time; None if our dream missed the score."""

    prompt: str
    seed: int
    plain_s: float
    plain_cpu_s: float
    plain_score: float
    ours_s: float | None
    ours_cpu_s: float | None
    ours_score: float
    ours_steps: int


@dataclass
class Clock:
    """Wall and CPU seconds spent in the timed calls."""

    wall_s: float = 0.0
    cpu_s: float = 0.0

    def time(self, function: Callable[[], object]) -> object:
        """Time the function and return its result."""
        began, cpu_began = time.perf_counter(), time.process_time()
        result = function()
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        self.wall_s += time.perf_counter() - began
        self.cpu_s += time.process_time() - cpu_began
        return result


def judges_in(folder: Path) -> list[str]:
    """Names of the trained judges."""
    return sorted(path.stem.removeprefix("judge_") for path in folder.glob("judge_*.pt"))


def judges_score(folder: Path) -> Score | None:
    """Mean over the judges of a prompt's log-probability among all prompts; None if none is trained."""
    trained = judges_in(folder)
    if not trained:
        return None
    from training.compositor import Compositor
    from training.evaluate import read_prompts, scores
    from training.judges import RESOLUTION, load_judge

    prompts = read_prompts(Compositor(folder, RESOLUTION))
    judges = [load_judge(folder, name) for name in trained]
    columns = {prompt.text: number for number, prompt in enumerate(prompts)}

    def score(image: Image.Image, prompt: str, _: Tensor) -> float:
        verdicts = [scores(judge, [image], prompts)[0].log_softmax(dim=0)[columns[prompt]] for judge in judges]
        return statistics.mean(verdict.item() for verdict in verdicts)

    return score


def own_score(models: Models) -> Score:
    """Mean cosine of the prompt with the whole picture and eight fixed crops of three quarters its side."""
    perceptor = models.perceptors[0]

    def score(image: Image.Image, prompt: str, vector: Tensor) -> float:
        width, height = image.size
        side = min(width, height) * 3 // 4
        places = [
            (x, y) for y in (0, (height - side) // 2, height - side) for x in (0, (width - side) // 2, width - side)
        ]
        corners = [place for number, place in enumerate(places) if number != len(places) // 2]
        seen = [image, *(image.crop((x, y, x + side, y + side)) for x, y in corners)]
        edge = perceptor.resolution
        pixels = [torch.tensor(list(one.resize((edge, edge), Image.Resampling.BICUBIC).tobytes())) for one in seen]
        batch = torch.stack([values.view(edge, edge, 3).permute(2, 0, 1) for values in pixels]).float() / 255
        with torch.no_grad():
            vectors = perceptor.embed_images(batch.to(perceptor.device))
        return functional.cosine_similarity(vectors, vector).mean().item()

    return score


def race(models: Models, plain_models: Models, prompt: str, seed: int, plain_steps: int, score: Score) -> Race:
    """Run the plain loop, with its own models in float32, to its end; then our dream until it is as good."""
    defaults = Settings().merged(models.defaults)
    plain_settings = defaults.merged({**PLAIN, "steps": plain_steps, "seed": seed})
    asked = GenerationRequest(prompt=prompt, models=models.name, settings=plain_settings)
    vector = targets_of(asked, models.perceptors)[0].vectors[0]
    plain, clock = plain_loop_of(_CASE, plain_models, asked), Clock()
    for _ in range(plain_steps):
        clock.time(plain.step)
    with torch.no_grad():
        goal = score(to_image(plain.decode(plain.latent)), prompt, vector)
    spec = GenerationRequest(prompt=prompt, models=models.name, settings=defaults.merged({"seed": seed}))
    ours = Clock()
    dream = ours.time(lambda: Dream(spec, models))
    assert isinstance(dream, Dream)  # noqa: S101 - for the type alone
    best, steps, reached = -math.inf, 0, False
    while not dream.finished and not reached:
        ours.time(dream.step)
        steps += 1
        best = max(best, score(dream.preview(), prompt, vector))
        reached = best >= goal
    times = (ours.wall_s, ours.cpu_s) if reached else (None, None)
    result = Race(prompt, seed, clock.wall_s, clock.cpu_s, goal, *times, best, steps)
    print(result, file=sys.stderr, flush=True)
    return result


def rows_of(races: list[Race]) -> list[list[str]]:
    """The table: seconds and speed-up, at the median and at the worst."""
    reached = [one for one in races if one.ours_s is not None and one.ours_cpu_s is not None]
    rows = [["pictures; misses", f"{len(races)}; {len(races) - len(reached)}"]]
    rows.append(["seconds of the plain loop, median", f"{statistics.median(one.plain_s for one in races):.1f}"])
    if reached:
        by_clock = [one.plain_s / (one.ours_s or math.inf) for one in reached]
        by_cpu = [one.plain_cpu_s / (one.ours_cpu_s or math.inf) for one in reached]
        rows.append(
            ["our seconds to its score, median", f"{statistics.median(one.ours_s or 0 for one in reached):.2f}"]
        )
        rows.append(["times less, median", f"{statistics.median(by_clock):.1f}"])
        rows.append(["times less, worst that reached it", f"{min(by_clock):.1f}"])
        rows.append(["the same by CPU time", f"{statistics.median(by_cpu):.1f}; {min(by_cpu):.1f}"])
    return rows


def main(arguments: list[str]) -> int:
    """Race for several prompts and seeds."""
    parser = options(__doc__, "time_to_score.json")
    parser.add_argument("--prompts", type=int, default=8, help="how many")
    parser.add_argument("--seeds", type=int, default=3, help="for each prompt")
    parser.add_argument("--plain-steps", type=int, default=80, help="of the plain loop")
    args = parser.parse_args(arguments)
    about = conditions(args.threads, args.device)
    torch.set_num_threads(args.threads)
    models = load_models("starter", args.device)
    plain_models = load_models("starter", args.device, precision="fp32")
    judges = judges_score(JUDGES)
    score = judges or own_score(models)
    names = " and ".join(judges_in(JUDGES))
    about["judged_by"] = f"{names} (never guiding)" if judges else "the perceptor that guided both, at other crops"
    races = [
        race(models, plain_models, prompt, seed, args.plain_steps, score)
        for prompt in PROMPTS[: args.prompts]
        for seed in range(args.seeds)
    ]
    rows = [["judged by", str(about["judged_by"])], *rows_of(races)]
    write_report(args.json, about, ["", ""], rows, [asdict(one) for one in races])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
