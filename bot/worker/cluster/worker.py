"""A worker that is an actor of a Ray cluster. Event loop; see `bot.worker.protocol.Worker`.

The bot asks for news in a loop: each answer is a sign of life and holds the newest progress alone. A worker that dies,
does not answer, or makes no step for too long is given up and killed; its job continues elsewhere from its snapshot.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import ray
from PIL import Image
from ray.exceptions import RayError

from bot.errors import FilesError
from bot.log import about
from bot.waiting import FOR_PROGRESS, FOR_THE_WORKER, ExternalWait, identity
from bot.worker.cluster.actor import Ready
from bot.worker.cluster.films import FilmHere, film_files
from bot.worker.cluster.wire import SentError, SentNews, SentWork, encoded, outcome_of
from bot.worker.protocol import Outcome, ProgressUpdate, StopMode, Work, WorkerLost, WorkerStatus
from generator import Description

NEWS_S = 5.0
"""Maximum time for which a worker without news lets the bot wait for them."""
_log = logging.getLogger(__name__)


class RayWorker:
    """One actor. `lost` is called once, when it was given up."""

    def __init__(
        self,
        name: str,
        actor: Any,  # noqa: ANN401 - a handle of Ray
        ready: Ready,
        lost: Callable[[RayWorker], None],
        *,
        stall_s: float,
        silence_s: float,
        external_wait: ExternalWait = identity,
    ) -> None:
        """`stall_s` and `silence_s` are the seconds without a step, and without an answer, until it is given up."""
        self.name, self._actor, self._lost_call = name, actor, lost
        self._engine, self._description = ready.engine, ""
        self._stall_s, self._silence_s, self._external_wait = stall_s, silence_s, external_wait
        self._seen_at = time.monotonic()
        self._attempts: dict[int, int] = {}
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def status(self) -> WorkerStatus:
        """Device and models as last reported."""
        return WorkerStatus(
            name=self.name,
            engine=self._engine,
            silent_s=time.monotonic() - self._seen_at,
            deaths=int(self._lost.done()),
            description=self._description,
        )

    async def generate(self, work: Work, on_progress: Callable[[ProgressUpdate], None]) -> Outcome:
        """Generate one picture; `on_progress` is called on the event loop.

        Raises:
            FilesError: this machine cannot keep the files of a film.
            GeneratorError: raised by the dream.
            WorkerLost: the worker is gone or unusable; the same work can be tried again.
        """
        self._attempts[work.job_id] = work.attempt
        film = None if work.folder is None else FilmHere(work.folder)
        try:
            if film is not None:
                await self._send(film, work.attempt)
            return await self._paint(work, film, on_progress)
        except (RayError, TimeoutError, WorkerLost) as exc:  # Ray's own: it died, or nobody knows if it lives.
            self.give_up(f"it failed: {type(exc).__name__}")
            raise WorkerLost("painter_lost") from (exc.__cause__ or exc)
        finally:
            self._attempts.pop(work.job_id, None)
            if film is not None:
                with suppress(RayError):
                    self._actor.remove_film.remote(work.attempt)

    async def _paint(self, work: Work, film: FilmHere | None, on_progress: Callable[[ProgressUpdate], None]) -> Outcome:
        sent = await asyncio.to_thread(SentWork.of, work)
        painting = asyncio.wrap_future(self._actor.paint.remote(sent).future())
        following = asyncio.create_task(self._follow(work.attempt, film, on_progress), name=f"news {work.job_id}")
        try:
            await self._external_wait(_first(painting, self._lost), FOR_THE_WORKER)
            if not painting.done():
                raise WorkerLost("painter_lost")
            outcome = await asyncio.to_thread(outcome_of, painting.result(), work.folder)
            if film is not None:
                following.cancel()
                while await self._fetch(film, work.attempt):
                    pass
            return outcome
        finally:
            following.cancel()
            if not painting.done():
                painting.cancel()
                self._stop(work.attempt, StopMode.CANCEL)

    async def look(self, image: Image.Image) -> Description:
        """Describe a picture in words.

        Raises:
            GeneratorError: if the models cannot do it.
            WorkerLost: the worker is gone or unusable.
        """
        data = await asyncio.to_thread(encoded, image)
        looking = asyncio.wrap_future(self._actor.look.remote(data).future())
        await self._external_wait(_first(looking, self._lost), FOR_THE_WORKER)
        try:
            if not looking.done():
                raise WorkerLost("painter_lost")
            found = looking.result()
        except RayError as exc:
            self.give_up(f"it failed: {type(exc).__name__}")
            raise WorkerLost("painter_lost") from exc
        if isinstance(found, SentError):
            raise found.error()
        described: Description = found
        return described

    def send(self, job_id: int, order: StopMode) -> bool:
        """Stop the dream of a job after its current step; return True if it was running."""
        attempt = self._attempts.get(job_id)
        if attempt is not None:
            self._stop(attempt, order)
        return attempt is not None

    async def watch(self) -> None:
        """Look for signs of life between pictures until it is given up."""
        while not self._lost.done():
            await asyncio.sleep(NEWS_S)
            if self._attempts or self._lost.done():
                continue
            try:
                self._engine = await self._answer(self._actor.ping.remote())
                self._seen_at = time.monotonic()
            except (RayError, TimeoutError) as exc:
                self.give_up(f"it does not answer: {type(exc).__name__}")

    def give_up(self, why: str) -> None:
        """Kill the actor; its picture, if any, ends with an error."""
        if self._lost.done():
            return
        self._lost.set_result(None)
        _log.error("the worker was lost", extra=about(worker=self.name, why=why))
        kill(self._actor)
        self._lost_call(self)

    async def close(self) -> None:
        """End the actor at once."""
        kill(self._actor)

    async def _send(self, film: FilmHere, attempt: int) -> None:
        """Send the worker the files of a film that it goes on with, one by one: all of them may be large."""
        for path in await asyncio.to_thread(film_files, film.folder):
            data = await asyncio.to_thread(path.read_bytes)
            await self._answer(self._actor.take_file.remote(attempt, path.name, data))
            film.have += 1

    async def _fetch(self, film: FilmHere, attempt: int) -> bool:
        """Get some files that are left when a generation is over; return False if there were none."""
        news: SentNews = await self._answer(self._actor.news.remote(attempt, 0.0, film.have))
        await asyncio.to_thread(film.keep, news.have, news.files)
        return bool(news.files)

    async def _follow(self, attempt: int, film: FilmHere | None, on_progress: Callable[[ProgressUpdate], None]) -> None:
        """Pass the newest progress on, and watch over signs of life and steps."""
        try:
            while True:
                question = self._actor.news.remote(attempt, NEWS_S, 0 if film is None else film.have)
                news: SentNews = await self._external_wait(self._answer(question), FOR_PROGRESS)
                self._seen_at = time.monotonic()
                self._engine, self._description = news.engine, news.description
                if news.idle_s > self._stall_s:
                    self.give_up("it stalled")
                    return
                if film is not None:
                    try:
                        await asyncio.to_thread(film.keep, news.have, news.files)
                    except FilesError as exc:  # They are asked for again.
                        _log.warning("frames of a film cannot be kept yet: %s", exc, extra=about(worker=self.name))
                        await asyncio.sleep(NEWS_S)
                        continue
                update = await asyncio.to_thread(news.update)
                if update is not None:
                    on_progress(update)
        except (RayError, TimeoutError) as exc:
            self.give_up(f"it does not answer: {type(exc).__name__}")

    async def _answer(self, question: Any) -> Any:  # noqa: ANN401 - any value of a method
        async with asyncio.timeout(NEWS_S + self._silence_s):
            return await asyncio.wrap_future(question.future())

    def _stop(self, attempt: int, order: StopMode) -> None:
        with suppress(RayError):
            self._actor.stop.remote(attempt, order)


def kill(actor: Any) -> None:  # noqa: ANN401 - a handle of Ray
    """End an actor's process at once, as far as it can be reached."""
    with suppress(RayError, ValueError, SystemError):
        ray.kill(actor, no_restart=True)


async def _first(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
