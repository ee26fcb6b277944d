"""A dream without models: deterministic, quick, and resumable from a snapshot like the real one.

The picture has one colour, derived from the seed, the prompt and the number of steps, so that a test can tell if it is
the same picture.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from PIL import Image

from bot.worker.protocol import EngineStatus, Suggestions
from generator import (
    Answer,
    CheckpointError,
    Description,
    GenerationRequest,
    Message,
    Picture,
    Progress,
    Provenance,
    differences,
    request_from_json,
    request_to_json,
)

_log = logging.getLogger(__name__)


class FakeDream:
    """Each step hashes the state once more; `hindrance(request, step)` may raise, wait or end the thread."""

    def __init__(self, request: GenerationRequest, engine: FakeDreamer, parent: bytes | None = None) -> None:
        self.request, self._engine = request, engine
        self.step_number = 0
        self.state = hashlib.sha256(request_to_json(replace(request, stopped_at=None)).encode()).hexdigest()
        if parent is not None:
            self.state = hashlib.sha256((self.state + json.loads(parent)["state"]).encode()).hexdigest()

    @property
    def warnings(self) -> tuple[str, ...]:
        return (*self._engine.request_warnings(self.request), "This is a fake.")

    @property
    def finished(self) -> bool:
        return self.step_number >= (self.request.stopped_at or self.request.settings.steps)

    @property
    def progress(self) -> Progress:
        steps = self.request.settings.steps
        left = (steps - self.step_number) * self._engine.step_s
        return Progress(
            step=self.step_number,
            steps=steps,
            loss=1 - self.step_number / steps,
            similarity=self.step_number / steps,
            prompts=(),
            seconds_per_step=self._engine.step_s,
            seconds_left=left,
        )

    def step(self) -> Progress:
        self._engine.before_step(self.request, self.step_number)
        self.state = hashlib.sha256(self.state.encode()).hexdigest()
        self.step_number += 1
        return self.progress

    def preview(self) -> Image.Image:
        size = self.request.settings.size
        return Image.new("RGB", tuple(size), tuple(bytes.fromhex(self.state[:6])))

    def picture(self, between: Callable[[], None] = lambda: None) -> Picture:
        request = self.request if self.finished else replace(self.request, stopped_at=self.step_number)
        facts = self.progress, self.warnings, self._engine.made_with
        return Picture(image=self.preview(), request=request, progress=facts[0], warnings=facts[1], made_with=facts[2])

    def snapshot(self) -> bytes:
        recipe = request_to_json(self.request)
        return json.dumps({"step": self.step_number, "state": self.state, "recipe": recipe}).encode()


class FakeDreamer:
    """Begins fake dreams, records them, and applies a test's hindrance to their steps."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.step_s = step_s
        self.begun: list[GenerationRequest] = []
        self.resumed: list[int] = []
        self.found: list[list[str]] = []
        """Files in the folder of each film when it began."""
        self.threads: list[int] = []
        self.steps_begun = self.steps_made = 0
        self.open = threading.Event()
        """Steps wait while it is clear."""
        self.open.set()
        self._held: tuple[int, Callable[[GenerationRequest], bool]] = (0, lambda request: True)
        self.faults: list[BaseException] = []
        """Errors raised by the next steps, one each."""
        self.faults_at: dict[int, BaseException] = {}
        """Errors raised once, by the number of the step."""
        self.renewed = 0
        """Number of reloads of its models."""
        self.unsafe = False
        self.safety_perceptors: tuple[str, ...] = ("a fake",)
        """Perceptors that know the words of the safety check."""
        self.starts: dict[str, dict[str, object]] = {}
        self.made_with = Provenance()
        """Provenance of its pictures."""
        self.foresight: Exception | None = None
        """Error raised by the check of a request before it runs."""
        self.look_fault: Exception | None = None
        self.sees: tuple[Answer, ...] = (Answer("cat", 0.6), Answer("dog", 0.3), Answer("fox", 0.004))
        """Error raised by a look at a picture."""
        self.gpu: dict[str, int] = {}
        """GPU memory for a test to set."""

    def hold(self, step: int = 0, only: Callable[[GenerationRequest], bool] = lambda request: True) -> None:
        """Let the steps from this one on wait for `open`; `only` those of some pictures."""
        self._held = step, only
        self.open.clear()

    async def let_go(self, ending: Awaitable[None], paused: Callable[[], bool]) -> None:
        """Await a stop; steps that are held go on once their workers know of the pause, and are held again."""
        held, task = not self.open.is_set(), asyncio.ensure_future(ending)
        while not (task.done() or paused()):
            await asyncio.sleep(0)
        self.open.set()
        await task
        if held:
            self.open.clear()

    def prepare(self) -> None:
        """There is nothing to load."""

    def suggested(self, models: str) -> Suggestions:
        return Suggestions(starts=self.starts)

    def request_warnings(self, request: GenerationRequest, made_with: Provenance | None = None) -> tuple[str, ...]:
        """Text after three dots is ignored; a change alters later pictures."""
        rest = request.prompt.partition("...")[2].strip()
        if self.foresight is not None:
            raise self.foresight
        text = "CLIP reads 77 tokens of a prompt; this end of yours is not read: “{rest}”."
        return (*differences(made_with, self.made_with), *((Message(text, rest=rest),) if rest else ()))

    def describe(self) -> str:
        return "a fake"

    def status(self) -> EngineStatus:
        return EngineStatus(device="a fake")

    def gpu_bytes(self) -> dict[str, int]:
        return dict(self.gpu)

    def checked_by(self) -> tuple[str, ...]:
        return self.safety_perceptors

    def begin(self, request: GenerationRequest, parent: bytes | None) -> FakeDream:
        self.begun.append(request)
        self.threads.append(threading.get_ident())
        return FakeDream(request, self, parent)

    def film(self, request: GenerationRequest, parent: bytes | None, folder: Path) -> FakeFilm:
        self.begun.append(request)
        self.found.append(sorted(path.name for path in folder.iterdir()) if folder.exists() else [])
        film = FakeFilm(request, self, parent, folder)
        if film.step_number:
            self.resumed.append(film.step_number)
        return film

    def resume(self, request: GenerationRequest, snapshot: bytes) -> FakeDream:
        try:
            values = json.loads(snapshot)
            dream = FakeDream(request_from_json(values["recipe"]), self)
            dream.step_number, dream.state = values["step"], values["state"]
        except (ValueError, KeyError) as exc:
            raise CheckpointError("This snapshot is damaged.") from exc
        if dream.request != request:
            raise CheckpointError("This snapshot is of another picture.")
        self.resumed.append(dream.step_number)
        return dream

    def renew(self) -> None:
        self.renewed += 1

    def unsafe_share(self, image: Image.Image) -> float:
        return float(self.unsafe)

    def look(self, image: Image.Image) -> Description:
        self.threads.append(threading.get_ident())
        if self.look_fault is not None:
            raise self.look_fault
        red, _, blue = image.resize((1, 1)).getpixel((0, 0))
        colour = Answer("red", red / 255), Answer("blue", blue / 255)
        return Description(self.sees, colour, (Answer("in the snow", 0.9),), (Answer("a painting", 0.5),))

    def before_step(self, request: GenerationRequest, step: int) -> None:
        _log.debug("a step begins")
        self.steps_begun += 1
        held_from, only = self._held
        if step >= held_from and only(request):
            self.open.wait()
        if self.step_s:
            time.sleep(self.step_s)
        if self.faults:
            raise self.faults.pop(0)
        if step in self.faults_at:
            raise self.faults_at.pop(step)
        self.steps_made += 1


class FakeFilm(FakeDream):
    """A film whose frames are on disk, and which goes on from the last of them."""

    def __init__(self, request: GenerationRequest, engine: FakeDreamer, parent: bytes | None, folder: Path) -> None:
        super().__init__(request, engine, parent)
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for _ in self.frames:
            self.state = hashlib.sha256(self.state.encode()).hexdigest()
            self.step_number += 1

    @property
    def frames(self) -> list[Path]:
        return sorted(self.folder.glob("frame-*.png"))

    def step(self) -> Progress:
        progress = super().step()
        part = self.folder / ".frame.part"
        self.preview().save(part, "PNG")
        part.replace(self.folder / f"frame-{self.step_number - 1:05}.png")
        return progress

    def snapshot(self) -> bytes:
        return b""
