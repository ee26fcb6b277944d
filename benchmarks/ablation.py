"""Ablation of the starter's default settings: `python -m benchmarks.ablation`.

Prompts are generated with the starter's own settings, and again with one of them changed. Scores are those of
`benchmarks.time_to_score`. Reported are the final score, its difference from the unchanged settings', picture by
picture, and the seconds until a picture first reaches the unchanged settings' final score; a picture that never does is
a miss.
"""

from __future__ import annotations

import statistics
import sys
from dataclasses import asdict, dataclass
from typing import Any

import torch

from benchmarks.report import conditions, options, write_report
from benchmarks.time_to_score import JUDGES, PROMPTS, Clock, Score, judges_in, judges_score, own_score
from generator import Dream, GenerationRequest, Models, Settings, load_models
from generator.optimisation.targets import targets_of

CHANGES: dict[str, dict[str, Any]] = {
    "the starter's own": {},
    "no average (ema)": {"ema": 0.0},
    "longer average (ema .9)": {"ema": 0.9},
    "8 proposals of the prior": {"candidates": 8},
    "16 proposals": {"candidates": 16},
    "start from noise": {"start": "random", "steps": 60, "learning_rate": 0.1, "init_weight": 0.0},
    "half the learning rate": {"learning_rate": 0.005},
    "three times the learning rate": {"learning_rate": 0.03},
    "learning rate falls to a tenth": {"learning_rate_end": 0.1},
    "overviews from .5 to 0": {"overview": 0.5, "overview_end": 0.0},
    "16 steps, plateau of 4": {"steps": 16, "plateau": 4},
    "4 steps": {"steps": 4},
    "16 steps": {"steps": 16},
    "16 steps, three quarters of them coarse": {"steps": 16, "coarse": 0.75},
    "drawings as stored, not posed": {"composition": "fixed"},
    "6 cutouts": {"cutouts": 6},
    "24 cutouts": {"cutouts": 24},
}


@dataclass(frozen=True)
class Result:
    """Score after each step, and the seconds until then."""

    scores: tuple[float, ...]
    seconds: tuple[float, ...]

    def seconds_to(self, goal: float) -> float | None:
        """Seconds until the score was first reached."""
        return next((when for score, when in zip(self.scores, self.seconds, strict=True) if score >= goal), None)


def generate(models: Models, change: dict[str, Any], prompt: str, seed: int, score: Score) -> Result:
    """Generate one picture and score it after each step; scoring is not timed."""
    settings = Settings().merged(models.defaults).merged(change).merged({"seed": seed})
    request, clock = GenerationRequest(prompt=prompt, models=models.name, settings=settings), Clock()
    vector = targets_of(request, models.perceptors)[0].vectors[0]
    dream = clock.time(lambda: Dream(request, models))
    assert isinstance(dream, Dream)  # noqa: S101 - for the type alone
    scores, seconds = [], []
    while not dream.finished:
        clock.time(dream.step)
        scores.append(score(dream.preview(), prompt, vector))
        seconds.append(clock.wall_s)
    return Result(tuple(scores), tuple(seconds))


def rows_of(results: dict[str, list[Result]]) -> list[list[str]]:
    """One row for each change."""
    goals = [each.scores[-1] for each in next(iter(results.values()))]
    rows = []
    for name, pictures in results.items():
        gains = [each.scores[-1] - goal for each, goal in zip(pictures, goals, strict=True)]
        error = statistics.stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else 0.0
        reached = [each.seconds_to(goal) for each, goal in zip(pictures, goals, strict=True)]
        times = [when for when in reached if when is not None]
        rows.append([
            name,
            f"{statistics.median(each.seconds[-1] for each in pictures):.2f}",
            f"{statistics.mean(each.scores[-1] for each in pictures):.3f}",
            f"{statistics.mean(gains):+.3f} ± {error:.3f}",
            f"{statistics.median(times):.2f}" if times else "–",
            str(len(reached) - len(times)),
        ])  # fmt: skip
    return rows


def main(arguments: list[str]) -> int:
    """Generate everything; the pictures of all changes alternate."""
    parser = options(__doc__, "ablation.json")
    parser.add_argument("--prompts", type=int, default=8, help="how many")
    parser.add_argument("--seeds", type=int, default=3, help="for each prompt")
    args = parser.parse_args(arguments)
    about = conditions(args.threads, args.device)
    torch.set_num_threads(args.threads)
    models = load_models("starter", args.device)
    judge = judges_score(JUDGES)
    score = judge or own_score(models)
    names = " and ".join(judges_in(JUDGES))
    about["judged_by"] = f"{names} (never guiding)" if judge else "the perceptor that guides, at other crops"
    results: dict[str, list[Result]] = {name: [] for name in CHANGES}
    for prompt in PROMPTS[: args.prompts]:
        for seed in range(args.seeds):
            for name, change in CHANGES.items():
                results[name].append(generate(models, change, prompt, seed, score))
            print(prompt, seed, file=sys.stderr, flush=True)
    head = [f"score by {about['judged_by']}", "s a picture", "score", "against the own", "s to its score", "misses"]
    write_report(
        args.json, about, head, rows_of(results), {key: [asdict(one) for one in all_] for key, all_ in results.items()}
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
