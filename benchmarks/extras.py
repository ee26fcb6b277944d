"""Cost of each optional part of a step beside none of them: `python -m benchmarks.extras`.

Dreams of the starter take turns, step by step, so that a busy machine disturbs all alike; the difference to the step
without extras is taken within each round.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import replace

import torch
from PIL import Image

from benchmarks.cases import CASES, Case, models_of, request_of
from benchmarks.report import conditions, options, spread, wait_for, write_report
from generator import Dream, GenerationRequest, encode, normalise

EXTRAS: Mapping[str, Mapping[str, object]] = {
    "none": {},
    "total_variation": {"total_variation": 1.0},
    "flatness": {"flatness": 1.0},
    "laplacian": {"laplacian": 1.0},
    "palette of 16": {"palette": ", ".join(f"#{shade}{shade}00" for shade in range(10, 26))},
    "symmetry": {"symmetry": "both"},
    "border": {"border": "black"},
    "saturation": {"saturation": 1.0},
    "contrast": {"contrast": 1.0},
    "tile": {"tile": "both"},
    "pixel grid": {"drawer": "pixel"},
    "Fourier picture": {"drawer": "fourier"},
    "mask, half of it": {"start": "init", "repaint": "left 50%"},
    "mask, a quarter": {"start": "init", "repaint": "box 0% 0% 50% 50%"},
}
"""Settings that are measured, by name; `none` comes first."""
_WARM_UP = 2


def rows_of(seconds: Mapping[str, list[float]]) -> list[list[str]]:
    """One row for each extra: milliseconds of a step, and those more than without it."""
    plain = seconds["none"]
    rows = []
    for name, each in seconds.items():
        more = [1000 * (ours - other) for ours, other in zip(each, plain, strict=True)]
        rows.append([name, spread([1000 * value for value in each]), f"{statistics.median(more):+.2f}"])
    return rows


def _picture(request: GenerationRequest) -> bytes:
    """An init image of a request's size."""
    return normalise(encode(Image.effect_noise(request.settings.size, 60), "png"))


def main(arguments: list[str]) -> int:
    """Measure all extras and write the report."""
    parser = options(__doc__, "extras.json")
    parser.add_argument("--case", choices=CASES, default="starter-full-size", help="models and size")
    parser.add_argument("--rounds", type=int, default=20, help="steps of each")
    args = parser.parse_args(arguments)
    about = conditions(args.threads, args.device)
    torch.set_num_threads(args.threads)
    case = CASES[args.case]
    models = models_of(case, args.device)
    dreams = {}
    for name, settings in EXTRAS.items():
        masked = "repaint" in settings
        request = request_of(
            Case(name, case.models, case.settings if masked else {**case.settings, **settings}, 1, 1), models
        )
        if masked:
            request = replace(request, init_image=_picture(request), settings=request.settings.merged(settings))
        dreams[name] = Dream(request, models)
    seconds: dict[str, list[float]] = {name: [] for name in EXTRAS}
    for number in range(_WARM_UP + args.rounds):
        for name, dream in dreams.items():
            wait_for(args.device)
            started = time.perf_counter()
            dream.step()
            wait_for(args.device)
            if number >= _WARM_UP:
                seconds[name].append(time.perf_counter() - started)
    write_report(args.json, about, ["extra", "ms a step", "more than none"], rows_of(seconds), seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
