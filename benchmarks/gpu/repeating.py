"""Repeatability to the byte: between processes, and between an uninterrupted and a resumed dream."""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import NamedTuple

from benchmarks.cases import CASES, PROMPT, models_of, tiny_models
from benchmarks.gpu.figures import Broken, Figure, Here, hold
from generator import Dream, GenerationRequest, Models, Settings, load_models
from generator.settings import Size

STEPS, STOPPED_AT = 6, 3
LIMIT_S = 60.0
Job = tuple[str, bool, bytes | None]
"""Models, exactness, and the snapshot to resume."""


class Done(NamedTuple):
    """The digest of a picture, and a snapshot from its middle."""

    digest: str
    middle: bytes | None


def part_of(kind: str) -> Callable[[Here], list[Figure]]:
    """Build the part for `starter` or for `real` shapes."""
    return lambda here: _compared(here, kind)


def _compared(here: Here, kind: str) -> list[Figure]:
    """Run each mode three times: a process with a snapshot, a new process, and one resumed from the middle."""
    ways = {"with exact": True, "without exact": False}
    begun = _elsewhere(here, [(kind, exact, None) for exact in ways.values() for _ in range(2)])
    resumed = _elsewhere(here, [(kind, exact, begun[2 * at].middle) for at, exact in enumerate(ways.values())])
    figures = []
    for at, (words, exact) in enumerate(ways.items()):
        first, second = begun[2 * at : 2 * at + 2]
        for name, other in (("another process", second), ("resumed in another process", resumed[at])):
            same = first.digest == other.digest
            hold(same or not exact, f"{name}, {words}: other bytes")
            figures.append(Figure(name=f"{name}, {words}: the same bytes", value=same))
    return figures


def _elsewhere(here: Here, jobs: Sequence[Job]) -> list[Done]:
    """Run processes at the same time; with tiny models, run in this process."""
    if here.tiny:
        return [_generate(here, job) for job in jobs]
    context = multiprocessing.get_context("spawn")
    running = []
    for job in jobs:
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, here, job), daemon=True)
        process.start()
        theirs.close()
        running.append((ours, process))
    done = []
    for ours, process in running:
        hold(ours.poll(LIMIT_S), "a process was stuck")
        try:
            done.append(ours.recv())
        except EOFError as exc:
            process.join()
            raise Broken(f"a process ended with {process.exitcode}") from exc
        process.join()
    return done


def _work(pipe: Connection, here: Here, job: Job) -> None:
    """Main function of a process."""
    pipe.send(_generate(here, job))


def _generate(here: Here, job: Job) -> Done:
    """Begin or resume, and run to the end."""
    kind, exact, snapshot = job
    models = _models(here, kind)
    dream = Dream(_request(here, models, exact), models) if snapshot is None else Dream.resume(snapshot, models)
    middle = None
    while not dream.finished:
        if dream.step().step == STOPPED_AT:
            middle = dream.snapshot()
    return Done(hashlib.sha256(dream.picture().image.tobytes()).hexdigest(), middle)


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
