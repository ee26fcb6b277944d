"""Time a starter picture: `python -m benchmarks.starter_picture`, today's defaults beside those of version 189c1db.

Both are painted in turns in one process, so that other load on the machine meets both; the older one by options, which
give the same bytes as that version. Printed are medians: seconds until the first preview and until the picture, by the
clock and of the processor.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

from generator import Dream, GenerationRequest, Models, Settings, load_models

PROMPTS = ("a robot", "a blue cat in the snow", "a castle at night", "two red cars on a road")
BEFORE: Mapping[str, object] = {
    "composition": "fixed", "candidates": 8, "steps": 16, "learning_rate": 0.03, "coarse": 0.75, "translate": False,
}  # fmt: skip
"""The starter's defaults in version 189c1db where they differ from today's."""


@dataclass(frozen=True)
class Seconds:
    """Seconds of one picture: until its first preview, until its end, and of the processor."""

    preview: float
    picture: float
    processor: float


def timed(prompt: str, models: Models, changes: Mapping[str, object], seed: int) -> Seconds:
    """Paint one picture as the bot's worker does: a composed start is shown before the first step."""
    settings = Settings().merged(models.defaults).merged({**changes, "seed": seed})
    began, busy = time.perf_counter(), time.process_time()
    dream = Dream(GenerationRequest(prompt=prompt, settings=settings, models=models.name), models)
    if settings.composition != "posed":
        dream.step()
    dream.preview()
    preview = time.perf_counter() - began
    while not dream.finished:
        dream.step()
    dream.picture()
    return Seconds(preview, time.perf_counter() - began, time.process_time() - busy)


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1, help="times that each prompt is painted")
    options = parser.parse_args()
    models = load_models("starter", "cpu")
    ways = {"189c1db": BEFORE, "today": {}}
    timed(PROMPTS[0], models, {"steps": 1}, 0)
    found: dict[str, list[Seconds]] = {name: [] for name in ways}
    for number in range(options.rounds):
        for prompt in PROMPTS:
            for name, changes in ways.items():
                found[name].append(timed(prompt, models, changes, number))
    for name, pictures in found.items():
        preview, picture, processor = (
            statistics.median(getattr(one, part) for one in pictures) for part in ("preview", "picture", "processor")
        )
        print(f"{name:8} first preview {preview:5.2f} s  picture {picture:5.2f} s  processor {processor:5.2f} s")


if __name__ == "__main__":
    main()
