"""`python -m tests.cuda_stub.checks NAME ...`: checks that need torch's CUDA code, in a process with the libraries.

The error of each is printed as JSON, empty if there is none.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as functional
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bot.worker.engine import GeneratorEngine
from bot.worker.protocol import GeneratedPicture, Work, WorkerDied
from bot.worker.thread import ThreadWorker
from generator import (
    DeviceFailed,
    Dream,
    Film,
    GenerationRequest,
    Models,
    OutOfMemory,
    Settings,
    load_models,
    plan_film,
)
from generator.optimisation.graph import graphs_of
from generator.runtime.device import release_unused

STUB = ctypes.CDLL(None)
DEVICE = "cuda:1" if torch.cuda.device_count() > 1 else "cuda:0"
MOST_KERNELS = 650
"""In a captured step of the starter, 628 when this was written; each costs a T4 some 3 µs."""


class Log(logging.Handler):
    """Keeps the warnings of the generator."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        logging.getLogger("generator").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def report() -> list[str]:
    """Lines of the libraries' report so far."""
    path = Path(os.environ["CUDA_STUB_REPORT"])
    return path.read_text("utf-8").splitlines() if path.exists() else []


def captured_steps() -> list[int]:
    """Kernels of each captured step so far; other captures are the prior's, of one code."""
    kernels = [int(line.split()[1]) for line in report() if line.startswith("captured")]
    return [count for count in kernels if count > 200]


def set_stub(name: str, value: int) -> None:
    """Change a setting of runtime.cpp."""
    STUB.cuda_stub_set(name.encode(), ctypes.c_long(value))


def painted(models: Models, prompt: str = "a red apple", **changes: object) -> Dream:
    """A finished dream of three steps."""
    settings = Settings().merged({**models.defaults, "size": 128, "steps": 3, "cutouts": 4, "candidates": 1, **changes})
    dream = Dream(GenerationRequest(prompt=prompt, settings=settings, models=models.name), models)
    while not dream.finished:
        dream.step()
    assert dream.picture().image.size == (settings.size.width, settings.size.height)
    return dream


def a_step_is_captured_once_for_each_shape(models: Models) -> None:
    before = len(captured_steps())
    painted(models, seed=1)
    painted(models, "a blue house ^ a castle", seed=2)
    painted(models, seed=3, size="128x192")
    painted(models, seed=4)
    steps = captured_steps()[before:]
    assert len(steps) == 2, report()
    assert max(steps) <= MOST_KERNELS, steps
    assert graphs_of(models).held_bytes > 0


def nothing_waits_or_allocates_in_a_capture(models: Models) -> None:
    painted(models, seed=5, exact=True)
    broken = [line for line in report() if line.startswith("broken")]
    assert not broken, broken


class Reordered(TorchDispatchMode):
    """Collect the shapes of pictures, one at a time, that are copied into another memory format."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        result = func(*args, **(kwargs or {}))
        copied = str(func).startswith(("aten.clone", "aten._to_copy", "aten.copy_"))
        if copied and result.dim() == 4 and len(result) == 1:
            before = args[1] if "copy_." in str(func) else args[0]
            if before.is_contiguous() != result.is_contiguous():
                self.shapes.append(tuple(result.shape))
        return result


def pictures_are_reordered_only_on_their_way_in_and_out_of_the_decoder(models: Models) -> None:
    settings = Settings().merged({**models.defaults, "size": 128, "steps": 3, "cutouts": 4, "candidates": 1})
    request = GenerationRequest(prompt="a red apple", settings=settings)
    dream = Dream(request, replace(models, graphs=False))
    dream.step()
    with Reordered() as reordered:
        dream.step()
    side = 128 // models.vqgan.factor
    assert len(reordered.shapes) == 2, reordered.shapes
    features, picture = reordered.shapes
    assert features[2:] == (side, side) and picture == (1, 3, 128, 128), reordered.shapes


def only_the_gpu_asked_for_is_used(models: Models) -> None:
    assert DEVICE == "cuda:1"
    assert STUB.cuda_stub_used(1) > 0 and STUB.cuda_stub_used(0) == 0


def captures_after_dropped_ones_take_no_more_memory(models: Models) -> None:
    held, graphs = [], graphs_of(models)
    for number in range(4):
        dream = painted(models, seed=number)  # the last results of its graph are still in transit
        graphs.clear()
        before = len(captured_steps())
        painted(models, seed=number)
        assert len(captured_steps()) == before + 1, report()
        del dream
        graphs.clear()
        release_unused(models.device)
        held.append(torch.cuda.memory_reserved(models.device))
    assert graphs.held_bytes == 0
    assert held[1:] == held[:1] * 3, held


def memory_grows_in_place(models: Models) -> None:
    segments = torch.cuda.memory_snapshot()
    assert segments and all(segment["is_expandable"] for segment in segments)


def frames_of_films_are_warped_on_the_gpu(models: Models) -> None:
    settings = Settings().merged({**models.defaults, "size": 64, "steps": 2, "cutouts": 4, "candidates": 1, "seed": 1})
    story, plan = plan_film("a red apple", {"seconds": 0.5, "fps": 6, "frame_steps": 1}, settings)
    request = GenerationRequest(prompt=story, models=models.name, settings=settings, film=plan)
    sample, devices = functional.grid_sample, set[torch.device]()

    def sampled(picture: Tensor, grid: Tensor, **options: Any) -> Tensor:  # noqa: ANN401 - torch's own
        devices.update((picture.device, grid.device))
        return sample(picture, grid, **options)

    with TemporaryDirectory() as folder, patch.object(functional, "grid_sample", sampled):
        film = Film(request, models, Path(folder))
        while not film.finished:
            film.step()
        assert len(film.frames) == 3
    assert devices == {models.device}, devices


def a_driver_that_refuses_captures_makes_steps_slower(models: Models) -> None:
    log = Log()
    graphs_of(models).clear()
    set_stub("no_capture", 1)
    try:
        painted(models, seed=6)
    finally:
        set_stub("no_capture", 0)
    assert any("could not be captured" in message for message in log.messages), log.messages


def a_full_gpu_is_a_sentence(models: Models) -> None:
    set_stub("foreign_mb", 15095)
    try:
        load_models("starter", "cuda:0")
    except OutOfMemory as exc:
        assert "do not fit" in str(exc)
    else:
        raise AssertionError("the models fitted")
    finally:
        set_stub("foreign_mb", 0)


def memory_that_cannot_be_mapped_is_allocated(models: Models) -> None:
    painted(models, seed=1)
    assert not any(segment["is_expandable"] for segment in torch.cuda.memory_snapshot())
    assert len(captured_steps()) == 1, report()


def a_gpu_that_fails_is_left_for_the_cpu(models: Models) -> None:
    """The last check of a process: a dream ends in a sentence, and the bot's worker paints on the CPU from then on."""
    engine = GeneratorEngine("starter", DEVICE, fall_back_to_cpu=True)
    settings = engine.load().merged({"size": 128, "steps": 30, "cutouts": 4, "candidates": 1})
    request = GenerationRequest(prompt="a red apple", settings=settings)
    dream = Dream(request, models)
    dream.step()
    asyncio.run(_order_twice(engine, request))
    try:
        dream.step()
        dream.preview()
    except DeviceFailed as exc:
        assert "The GPU failed" in str(exc)
    else:
        raise AssertionError("the GPU did not fail")


async def _order_twice(engine: GeneratorEngine, request: GenerationRequest) -> None:
    worker = ThreadWorker(engine, preview_s=0.01, snapshot_s=0.01)
    try:
        await worker.generate(Work(job_id=1, request=request), lambda _: fail_soon())
    except WorkerDied:
        pass
    else:
        raise AssertionError("the worker survived")
    outcome = await worker.generate(Work(job_id=2, request=request), lambda _: None)
    assert isinstance(outcome, GeneratedPicture), outcome
    assert worker.deaths == 1
    await worker.close()


def fail_soon() -> None:
    """Let all GPUs fail after two more launches."""
    set_stub("fail_after", STUB.cuda_stub_launches() + 2)


CHECKS: dict[str, Callable[[Models], None]] = {
    check.__name__: check
    for check in (
        a_step_is_captured_once_for_each_shape,
        nothing_waits_or_allocates_in_a_capture,
        pictures_are_reordered_only_on_their_way_in_and_out_of_the_decoder,
        only_the_gpu_asked_for_is_used,
        captures_after_dropped_ones_take_no_more_memory,
        memory_grows_in_place,
        frames_of_films_are_warped_on_the_gpu,
        a_driver_that_refuses_captures_makes_steps_slower,
        a_full_gpu_is_a_sentence,
        memory_that_cannot_be_mapped_is_allocated,
        a_gpu_that_fails_is_left_for_the_cpu,
    )
}


def main() -> None:
    torch.set_num_threads(1)
    log = Log()
    models = load_models("starter", DEVICE)
    errors = {"loading": "; ".join(log.messages)}
    for name in sys.argv[1:]:
        try:
            CHECKS[name](models)
        except Exception:  # the others still run
            errors[name] = traceback.format_exc()
        else:
            errors[name] = ""
    print(json.dumps(errors))  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
