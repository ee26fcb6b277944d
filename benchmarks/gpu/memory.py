"""Memory: the limit of a share, a GPU filled by another program, and many jobs of many shapes."""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from benchmarks.cases import CASES, PROMPT, models_of, tiny_models
from benchmarks.gpu.figures import Figure, Here, hold
from generator import Dream, GenerationRequest, GeneratorError, Models, OutOfMemory, Settings, load_models
from generator.optimisation.memory.footprint import memory_model_of
from generator.optimisation.memory.model import MARGIN
from generator.runtime.device import cap_memory, release_unused
from generator.runtime.memory import MemoryBudget
from generator.settings import Size

MIB = 2**20
SHAPES = ((256, 256), (320, 192), (192, 320), (128, 128), (384, 256), (256, 384), (64, 64), (512, 128), (160, 96),
          (224, 288))  # fmt: skip
WARM_JOBS = 40
"""Jobs after which each shape has been generated four times."""


def share(here: Here) -> list[Figure]:
    """Test shrinking memory: all cutouts at once, in groups, a smaller picture, none; each a picture or an error."""
    models = tiny_models() if here.tiny else models_of(CASES["512-real"], here.device)
    side, cutouts = (128, 8) if here.tiny else (512, 32)
    settings = Settings(size=Size(side, side), cutouts=cutouts, steps=5000, start="random", seed=1)
    request = GenerationRequest(prompt=PROMPT, models=models.name, settings=settings)
    footprint, half = memory_model_of(models), Size(side // 2, side // 2)
    steps = {
        "all at once": 1.2 * footprint.step_bytes(settings.size, cutouts),
        "in groups": footprint.step_bytes(settings.size, cutouts // 4) + footprint.per_cutout / 2,
        "smaller": footprint.step_bytes(half, 1),
    }
    figures = []
    for name, count in steps.items():
        as_asked, at_once = _generated_within(models, int(count / MARGIN), request)
        found = "smaller" if not as_asked else "in groups" if at_once < cutouts else "all at once"
        hold(found == name, f"with room for {name} it was painted {found}")
        figures.append(Figure(name=f"{name}: crops at a time", value=at_once))
    for known in (True, False):
        with _within(models, 8 * MIB) as capped:
            _generate_or_report(request, capped if known else replace(capped, budget=MemoryBudget()))
    return figures


def _generated_within(models: Models, beyond_models: int, request: GenerationRequest) -> tuple[bool, int]:
    """Return whether the picture has the size asked for, and the cutouts at a time; nothing of it stays in memory."""
    with _within(models, beyond_models) as capped:
        dream = Dream(request, capped)
        for _ in range(3):
            dream.step()
        return dream.request == request, dream.made_with.cutouts_at_once or request.settings.cutouts


@contextmanager
def _within(models: Models, beyond_models: int) -> Iterator[Models]:
    """Load the models with this many bytes beside their weights; torch itself allows no more."""
    device = models.device
    if device.type == "cpu":
        yield replace(models, budget=MemoryBudget(lambda: beyond_models))
        return
    release_unused(device)
    total = torch.cuda.get_device_properties(device).total_memory
    part = (torch.cuda.memory_allocated(device) + beyond_models) / total
    try:
        cap_memory(device, part)
        yield replace(models, budget=MemoryBudget.of(device, part))
    finally:
        cap_memory(device, 1.0)
        release_unused(device)


def _generate_or_report(request: GenerationRequest, models: Models) -> None:
    """Run a few steps, with a smaller picture if necessary, or return a message; any other error is raised."""
    try:
        dream = Dream(request, models)
        for _ in range(2):
            dream.step()
    except GeneratorError as exc:
        hold("CUDA" not in str(exc), f"it said: {exc}")


def filled(here: Here) -> list[Figure]:
    """Fill nearly all memory by another program: models that do not fit must give an error message."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    holder = context.Process(target=_fill, args=(theirs, here.device, 300 * MIB), daemon=True)
    holder.start()
    try:
        hold(ours.poll(60) and ours.recv() == "full", "the other program did not fill the GPU")
        try:
            _generate_or_report(_small_request(0, (512, 512)), load_models("starter", here.device))
        except OutOfMemory as exc:
            hold("CUDA" not in str(exc), f"it said: {exc}")
    finally:
        ours.send("end")
        holder.join(20)
    return []


def _fill(pipe: Connection, device: str, leave: int) -> None:
    held = []
    for size in (2**30, 64 * MIB):
        while torch.cuda.mem_get_info(device)[0] > size + leave:
            held.append(torch.empty(size, dtype=torch.uint8, device=device))
    pipe.send("full")
    pipe.recv()


def many_jobs(here: Here) -> list[Figure]:
    """Run 200 small jobs of ten shapes: at the end no more memory is in use than after the first round of shapes."""
    models = tiny_models() if here.tiny else load_models("starter", here.device)
    jobs, warm = (12, 10) if here.tiny else (200, WARM_JOBS)
    used, held = [], []
    for number in range(jobs):
        shape = SHAPES[number % len(SHAPES)]
        dream = Dream(_small_request(number, (32, 40) if here.tiny else shape, models.name), models)
        while not dream.finished:
            dream.step()
        dream.picture()
        del dream
        used.append(_used(here))
        held.append(torch.cuda.memory_reserved(here.device) / MIB if not here.tiny else used[-1])
    after_warm, at_end = max(held[:warm]), held[-1]
    hold(here.tiny or max(used[warm:]) <= max(used[:warm]) + 16, f"memory grew: {used[warm - 1]} to {used[-1]} MiB")
    return [
        Figure(name=f"held after {warm} jobs", value=after_warm, unit="MiB"),
        Figure(name=f"held after {jobs} jobs, against that", value=at_end / after_warm, most=1.05),
    ]


def _small_request(number: int, shape: tuple[int, int], models: str = "starter") -> GenerationRequest:
    settings = Settings(size=Size(*shape), steps=3, cutouts=8, start="random", seed=number)
    return GenerationRequest(prompt=PROMPT, models=models, settings=settings)


def _used(here: Here) -> float:
    """MiB used by tensors; on a CPU those of the process."""
    if not here.tiny:
        return torch.cuda.memory_allocated(here.device) / MIB
    match = re.search(r"^VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"), re.MULTILINE)
    return int(match[1]) / 1024 if match else float("nan")
