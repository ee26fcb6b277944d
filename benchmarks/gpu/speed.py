"""Seconds and memory of a step and of a picture, against the plain loop, with graphs and kernels on and off."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch

from benchmarks.cases import CASES, PROMPT, Case, models_of, plain_loop_of, request_of, tiny_models
from benchmarks.gpu.figures import Figure, Here
from benchmarks.report import on_gpu, wait_for
from generator import Dream, Film, GenerationRequest, Models, Settings, load_models, plan_film, write_film
from generator.optimisation.probing import settle_precision
from generator.runtime.precision import choose_precision

WARM_UP, ROUNDS, STEPS = 6, 3, 8
LEAST = {"256-real": 8.0, "512-real": 6.0, "768-real": 4.5, "starter-full-size": 5.0}
MOST_PEAK = {"512-real": 0.20}
MIB = 2**20


def case_part(name: str) -> Callable[[Here], list[Figure]]:
    """Build the part that measures a case."""
    return lambda here: measure(CASES[name], here)


def measure(case: Case, here: Here) -> list[Figure]:
    """Measure a step of our dream and of the plain loop, with the same weights."""
    if here.tiny:
        case = replace(case, models="tiny", settings={**case.settings, "size": 32, "cutouts": 4})
    models = tiny_models() if here.tiny else models_of(case, here.device, "fp32")
    loop = plain_loop_of(case, models, request_of(case, models))
    plain = _timed_if_it_fits(loop.step, here)
    del loop
    if not here.tiny:
        models = settle_precision(models, choose_precision("auto", models.device))
    ours = _timed(Dream(request_of(case, models), models).step, here)
    figures = [
        Figure(name="a step of the plain loop", value=plain and 1000 * plain.seconds, unit="ms"),
        Figure(name="a step of ours", value=1000 * ours.seconds, unit="ms"),
        Figure(name="times as fast", value=plain and plain.seconds / ours.seconds, least=LEAST[case.name]),
    ]
    if on_gpu(here.device):
        most = MOST_PEAK.get(case.name)
        figures += [
            Figure(name="peak above the models", value=ours.peak, unit="MiB"),
            Figure(name="that, against the plain loop's", value=plain and ours.peak / plain.peak, most=most),
            Figure(name="most that torch held for it", value=ours.held, unit="MiB"),
        ]
    eager = replace(models, graphs=False)
    seconds = _timed(Dream(request_of(case, eager), eager).step, here).seconds
    return [*figures, Figure(name="a step of ours without graphs", value=1000 * seconds, unit="ms")]


class Timed(NamedTuple):
    """Cost of a step: the median of the seconds in some rounds, and MiB used and held above the use before the first.

    The allocator holds more than is used: gaps, and memory that it keeps for the next step.
    """

    seconds: float
    peak: float
    held: float


def _timed_if_it_fits(step: Callable[[], object], here: Here) -> Timed | None:
    """Measure a step of the plain loop; None if it does not fit on the GPU, as at 768² on a small one."""
    try:
        return _timed(step, here)
    except torch.OutOfMemoryError:
        return None


def _timed(step: Callable[[], object], here: Here) -> Timed:
    """Measure a step; on a CPU only its time."""
    gc.collect()
    before = _forget_peak(here.device)
    for _ in range(1 if here.tiny else WARM_UP):
        step()
    taken, steps = [], 1 if here.tiny else STEPS
    for _ in range(ROUNDS):
        wait_for(here.device)
        began = time.perf_counter()
        for _ in range(steps):
            step()
        wait_for(here.device)
        taken.append((time.perf_counter() - began) / steps)
    peak = held = before
    if on_gpu(here.device):
        peak = torch.cuda.max_memory_allocated(here.device) / MIB
        held = torch.cuda.max_memory_reserved(here.device) / MIB
    return Timed(statistics.median(taken), peak - before, held - before)


def _forget_peak(device: str) -> float:
    """MiB in use; resets the peak."""
    if not on_gpu(device):
        return 0.0
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device) / MIB


def picture(here: Here) -> list[Figure]:
    """Measure a whole picture of the starter with its own settings, warm, and the time of its start."""
    models = load_models("starter", here.device)
    changes = {"size": 64, "steps": 2, "cutouts": 4, "candidates": 1} if here.tiny else {}
    settings = Settings().merged(models.defaults).merged(changes)
    figures = []
    for words, chosen in (("", models), (", without graphs", load_models("starter", here.device, graphs=False))):
        times = [_generate(chosen, settings, seed, here) for seed in range(1 if here.tiny else 4)]
        start_s, whole_s = times[-1] if times else (None, None)
        bar = None if words else 0.4
        figures += [
            Figure(name=f"a picture, warm{words}", value=whole_s, unit="s", most=bar),
            Figure(name=f"of that its start{words}", value=start_s, unit="s"),
        ]
    return figures


def _generate(models: Models, settings: Settings, seed: int, here: Here) -> tuple[float, float]:
    """Measure seconds until the first step could begin, and until the picture is complete."""
    request = GenerationRequest(prompt=PROMPT, models=models.name, settings=settings.merged({"seed": seed}))
    began = time.perf_counter()
    dream = Dream(request, models)
    wait_for(here.device)
    start_s = time.perf_counter() - began
    while not dream.finished:
        dream.step()
    dream.picture()
    return start_s, time.perf_counter() - began


def film(here: Here) -> list[Figure]:
    """Make a short film of the starter."""
    models = tiny_models() if here.tiny else load_models("starter", here.device)
    settings = Settings().merged(
        {**models.defaults, "seed": 1, **({"size": 32, "cutouts": 4, "steps": 2} if here.tiny else {})}
    )
    values = {"seconds": 0.5 if here.tiny else 2.0, "fps": 4 if here.tiny else 12, "frame_steps": 1}
    story, plan = plan_film(PROMPT, values, settings)
    request = GenerationRequest(prompt=story, models=models.name, settings=settings, film=plan)
    film = Film(request, models, here.folder / "film")
    while not film.finished and film.progress.step < 2:  # graphs are captured, and nothing else is measured
        film.step()
    wait_for(here.device)
    began, before = time.perf_counter(), film.progress.step
    while not film.finished:
        film.step()
    each = (time.perf_counter() - began) / max(1, film.progress.step - before)
    began = time.perf_counter()
    write_film(film.frames, here.folder / "film.webp", plan.fps)
    share = (time.perf_counter() - began) / (each * plan.frames)
    return [
        Figure(name="a frame of a film", value=1000 * each, unit="ms"),
        Figure(name="writing the file, as a share of painting", value=share),
    ]
