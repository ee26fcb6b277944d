"""Cost of each optional part of a step beside none of them: `python -m benchmarks.extras`.

Dreams of the starter take turns, step by step, so that a busy machine disturbs all alike, and each is held against the
step without extras of the same round: by the clock, and by the CPU time, which other programs disturb less.
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
from generator import Dream, GenerationRequest, ImagePrompt, encode, normalise

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
    "likeness": {"likeness": 10.0},
    "keyframes": {"learning_rate": "0: 0.1, 100%: 0.02", "contrast": "0: 1, 100%: 0"},
    "keyframes of cutouts": {"cutouts": "0: 6, 100%: 12"},
    "tile": {"tile": "both"},
    "pixel grid": {"drawer": "pixel"},
    "Fourier picture": {"drawer": "fourier"},
    "mask, half of it": {"start": "init", "repaint": "left 50%"},
    "mask, a quarter": {"start": "init", "repaint": "box 0% 0% 50% 50%"},
}
"""Settings that are measured, by name; `none` comes first."""
_WARM_UP = 2


def rows_of(seconds: Mapping[str, list[float]], cpu: Mapping[str, list[float]]) -> list[list[str]]:
    """One row for each extra: milliseconds of a step, those more than without it, and the share of its CPU time."""
    rows = []
    for name, each in seconds.items():
        more = [1000 * (ours - other) for ours, other in zip(each, seconds["none"], strict=True)]
        shares = [ours / other for ours, other in zip(cpu[name], cpu["none"], strict=True)]
        whole = spread([1000 * value for value in each])
        rows.append([name, whole, f"{statistics.median(more):+.2f}", f"{statistics.median(shares):.0%}"])
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
        masked, pictured = "repaint" in settings, "likeness" in settings
        plain = case.settings if masked or pictured else {**case.settings, **settings}
        request = request_of(Case(name, case.models, plain, 1, 1), models)
        if masked:
            request = replace(request, init_image=_picture(request), settings=request.settings.merged(settings))
        if pictured:
            prompts = (ImagePrompt(image=_picture(request)),)
            request = replace(request, image_prompts=prompts, settings=request.settings.merged(settings))
        dreams[name] = Dream(request, models)
    seconds: dict[str, list[float]] = {name: [] for name in EXTRAS}
    cpu: dict[str, list[float]] = {name: [] for name in EXTRAS}
    for number in range(_WARM_UP + args.rounds):
        for name, dream in dreams.items():
            wait_for(args.device)
            started, started_cpu = time.perf_counter(), time.process_time()
            dream.step()
            wait_for(args.device)
            if number >= _WARM_UP:
                seconds[name].append(time.perf_counter() - started)
                cpu[name].append(time.process_time() - started_cpu)
    columns = ["extra", "ms a step", "more than none", "CPU time, of none"]
    write_report(args.json, about, columns, rows_of(seconds, cpu), {"seconds": seconds, "cpu": cpu})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
