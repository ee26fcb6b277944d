"""The bot's worker thread with real jobs: pause and resume, a steady queue, the first preview."""

from __future__ import annotations

import asyncio
import io

import torch
from PIL import Image

from benchmarks.cases import PROMPT
from benchmarks.gpu.figures import Figure, Here, hold
from benchmarks.service import measure
from bot.worker.engine import GeneratorEngine
from bot.worker.protocol import GeneratedPicture, Interrupted, Outcome, ProgressUpdate, StopMode, Work
from bot.worker.thread import ThreadWorker
from generator import GenerationRequest

SMALL: dict[str, object] = {"size": 64, "steps": 4, "cutouts": 4, "candidates": 1}


def stopped(here: Here) -> list[Figure]:
    """Run one job uninterrupted, then paused after a step and resumed from its snapshot, with and without `exact`."""
    return [
        Figure(name=f"taken up again, {words} exact, it is the same picture", value=same)
        for words, exact in (("with", True), *(() if here.tiny else (("without", False),)))
        for same in [asyncio.run(_twice(here, exact))]
    ]


async def _twice(here: Here, exact: bool) -> bool:
    engine = GeneratorEngine("starter", here.device)
    settings = engine.load().merged({**(SMALL if here.tiny else {}), "seed": 7, "exact": exact})
    request = GenerationRequest(prompt=PROMPT, settings=settings)
    executor = ThreadWorker(engine, preview_s=0.05, snapshot_s=0.05)
    updates: list[ProgressUpdate] = []

    def pause(update: ProgressUpdate) -> None:
        updates.append(update)
        executor.send(2, StopMode.PAUSE)

    try:
        whole = await executor.generate(Work(job_id=1, request=request, examine=True), updates.append)
        hold(any(update.preview is not None for update in updates), "there was no preview")
        half = await executor.generate(Work(job_id=2, request=request), pause)
        snapshot = half.snapshot if isinstance(half, Interrupted) else None
        hold(snapshot is not None, "it was not paused")
        rest = await executor.generate(Work(job_id=3, request=request, snapshot=snapshot), updates.append)
    finally:
        await executor.close()
    hold(executor.deaths == 0, "the thread was replaced")
    same = _bytes(whole) == _bytes(rest)
    hold(same or not exact, "with exact, the picture that was taken up again is another one")
    return same


def _bytes(outcome: Outcome) -> bytes:
    if not isinstance(outcome, GeneratedPicture):
        raise TypeError(f"it ended with {outcome}")
    out = io.BytesIO()
    image: Image.Image = outcome.picture.image
    image.save(out, "BMP")
    return out.getvalue()


def service(here: Here) -> list[Figure]:
    """Measure pictures per hour with the starter's own settings, and the first preview, models and caches warm."""
    torch.set_num_threads(min(4, torch.get_num_threads()))  # the event loop and the encoders need some, too
    jobs, settings = (2, SMALL) if here.tiny else (16, {})
    served, times = asyncio.run(measure(jobs, settings, here.device, waiting=2, warm_up=1))
    return [
        Figure(name="pictures an hour", value=jobs / served.seconds * 3600, least=7000),
        Figure(name="first preview after the order", value=served.first_preview_s, unit="s", most=0.6),
        Figure(name="idle while jobs wait", value=100 * times.idle_s / served.seconds, unit="%"),
    ]
