"""Real dreams of the tiny models for a real service, which a test can hold at a step."""

from __future__ import annotations

from generator import Dream, GenerationRequest, Message, Models, latent_of
from tests.bot.fake_dream import FakeDreamer


class TinyDreamer(FakeDreamer):
    """Begins and resumes real dreams; faults and waits are those of the fake one.

    Attributes:
        held: the step before which the dream of a prompt waits, by prompt.
        remarks: more warnings for the picture of a prompt, by prompt.
    """

    def __init__(self, models: Models) -> None:
        super().__init__()
        self.models = models
        self.held: dict[str, int] = {}
        self.remarks: dict[str, tuple[Message, ...]] = {}
        engine = self

        class Watched(Dream):
            @property
            def warnings(self) -> tuple[str, ...]:
                return (*super().warnings, *engine.remarks.get(self.request.prompt, ()))

            def step(self) -> object:
                engine.before_step(self.request, self.progress.step)
                return super().step()

        self._dream = Watched

    def begin(self, request: GenerationRequest, parent: bytes | None) -> Dream:
        self.begun.append(request)
        return self._dream(request, self.models, None if parent is None else latent_of(parent))

    def resume(self, request: GenerationRequest, snapshot: bytes) -> Dream:
        dream = self._dream.resume(snapshot, self.models)
        self.resumed.append(dream.progress.step)
        return dream

    def before_step(self, request: GenerationRequest, step: int) -> None:
        if self.held.get(request.prompt) == step:
            self.open.clear()
        super().before_step(request, step)
