"""The same to the byte: one process against another, and a dream that another process goes on with."""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection

from benchmarks.cases import CASES, PROMPT, models_of, tiny_models
from benchmarks.gpu.figures import Figure, Here, hold
from generator import Dream, GenerationRequest, Models, Settings, load_models
from generator.settings import Size

STEPS, STOPPED_AT = 6, 3
LIMIT_S = 60.0


def part_of(kind: str) -> Callable[[Here], list[Figure]]:
    """The part that paints with `starter` or with `real` shapes."""
    return lambda here: _compared(here, kind)


def _compared(here: Here, kind: str) -> list[Figure]:
    """Three processes for each of both ways: one paints and leaves a snapshot, one paints anew, one goes on."""
    figures = []
    for exact in (True, False):
        first, snapshot = _elsewhere(here, kind, exact, None)
        second, _ = _elsewhere(here, kind, exact, None)
        resumed, _ = _elsewhere(here, kind, exact, snapshot)
        for name, same in (("another process", first == second), ("resumed in another process", first == resumed)):
            hold(same or not exact, f"with exact, {name} gives other bytes")
            figures.append(Figure(name=f"{name}, {'with' if exact else 'without'} exact: the same bytes", value=same))
    return figures


def _elsewhere(here: Here, kind: str, exact: bool, snapshot: bytes | None) -> tuple[str, bytes | None]:
    """The digest of a picture that a process of its own paints, and a snapshot from the middle."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_paint, args=(theirs, here, kind, exact, snapshot), daemon=True)
    process.start()
    theirs.close()
    hold(ours.poll(LIMIT_S), "a process was stuck")
    try:
        digest, middle = ours.recv()
    except EOFError:
        process.join()
        hold(False, f"a process ended with {process.exitcode}")
        raise
    process.join()
    return str(digest), middle


def _paint(pipe: Connection, here: Here, kind: str, exact: bool, snapshot: bytes | None) -> None:
    """The process: begin or go on, paint to the end."""
    models = _models(here, kind)
    if snapshot is None:
        dream = Dream(_request(here, models, exact), models)
    else:
        dream = Dream.resume(snapshot, models)
    middle = None
    while not dream.finished:
        if dream.step().step == STOPPED_AT:
            middle = dream.snapshot()
    pipe.send((hashlib.sha256(dream.picture().image.tobytes()).hexdigest(), middle))


def _models(here: Here, kind: str) -> Models:
    if kind == "starter":
        return load_models("starter", here.device)
    return tiny_models() if here.tiny else models_of(CASES["256-real"], here.device)


def _request(here: Here, models: Models, exact: bool) -> GenerationRequest:
    side = 64 if here.tiny else 256
    changes = {"size": Size(side, side), "steps": STEPS, "seed": 3, "exact": exact, "candidates": 1}
    start = {} if models.prior is not None else {"start": "random"}
    settings = Settings().merged(models.defaults).merged({**changes, **start})
    return GenerationRequest(prompt=PROMPT, models=models.name, settings=settings)
