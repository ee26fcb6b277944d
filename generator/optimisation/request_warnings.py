"""Warnings about a request before it is generated. Any thread: it reads the models and computes nothing."""

from __future__ import annotations

from generator.models.model_set import Models
from generator.models.suggestions import suggestions
from generator.optimisation.schedule import Schedule
from generator.optimisation.targets import warnings_of
from generator.request import GenerationRequest


def request_warnings(request: GenerationRequest, models: Models) -> tuple[str, ...]:
    """Warnings for the requester: cut off or unknown words, with suggestions, and sizes and scenes that do not fit."""
    schedule = Schedule(request.settings, models.vqgan.factor, max(1, len(request.scenes)))
    read = models.read(request)
    texts = [prompt.text for scene in read.scenes for prompt in scene.prompts]
    unknown = [word for text in texts for perceptor in models.perceptors for word in perceptor.unknown_words(text)]
    suggested = suggestions([*unknown, *read.unknown], models.things, models.examples)
    return (*read.notes, *warnings_of(read, models.perceptors), *suggested, *schedule.warnings())
