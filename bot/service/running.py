"""What is known of a job while it is painted; lives in memory only. Event loop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from PIL import Image

from bot.jobs import Job
from bot.service.estimates import Estimates
from bot.service.scheduler import Entry
from bot.service.values import Preview
from bot.worker.protocol import ProgressUpdate, StopMode
from generator import Progress


@dataclass(eq=False)
class Running:
    """A job under the painter, from its start to its pictures being saved."""

    job: Job
    entry: Entry
    number: int = 1
    """Which picture is painted."""
    progress: Progress | None = None
    warnings: tuple[str, ...] = ()
    preview: Preview | None = None
    order: StopMode | None = None
    """What it was told; told again with each news, in case the painter had nothing of it at that moment."""
    images: list[Image.Image] = field(default_factory=list)
    """The finished pictures of the job, for the grid."""
    fresh: asyncio.Event = field(default_factory=asyncio.Event)
    over: bool = False
    """Nothing more will come from the painter."""
    _news: ProgressUpdate | None = None

    @property
    def finishing(self) -> bool:
        """Whether somebody asked to finish it now."""
        return self.job.finish_after is not None

    @property
    def steps_done(self) -> int:
        """Steps so far, over all of its pictures."""
        return (self.number - 1) * self.job.settings.steps + (0 if self.progress is None else self.progress.step)

    @property
    def enough(self) -> bool:
        """Whether it was to be finished before this picture, and there is one already."""
        wanted = self.job.finish_after
        return wanted is not None and bool(self.images) and (self.number - 1) * self.job.settings.steps >= wanted

    def begin(self, number: int) -> None:
        """Another picture's turn: what is left of the news was of the one before."""
        self.number, self.progress, self._news = number, None, None

    def on_event(self, news: ProgressUpdate) -> None:
        """Take news of the current picture; the newest preview and snapshot are kept until they are asked for."""
        old = self._news
        if old is not None:
            preview, snapshot = news.preview or old.preview, news.snapshot or old.snapshot
            news = replace(news, preview=preview, snapshot=snapshot)
        self._news, self.progress, self.warnings = news, news.progress, news.warnings
        wanted = self.job.finish_after
        if self.order is None and wanted is not None and self.steps_done >= wanted:
            # The wish is older than this process: the picture has come to where it was then.
            self.order = StopMode.FINISH
        self.fresh.set()

    def take_news(self) -> ProgressUpdate | None:
        """What is new of the current picture since the last call."""
        news, self._news = self._news, None
        self.fresh.clear()
        return news

    def left_s(self, speeds: Estimates) -> float:
        """Seconds until all of its pictures are painted, as far as one can say."""
        job = self.job
        whole = speeds.picture_s(job.models, job.settings)
        current = whole if self.progress is None else self.progress.seconds_left
        return current + (0.0 if self.finishing else (job.count - self.number) * whole)
