"""What can be said about a request before it is dreamt. Any thread: it reads the models and computes nothing."""

from __future__ import annotations

from generator.models import Models
from generator.request import GenerationRequest
from generator.schedule import Schedule
from generator.targets import warnings_of


def foresee(request: GenerationRequest, models: Models) -> tuple[str, ...]:
    """Sentences for the person who asked: words that are not read or not known, sizes and scenes that do not fit."""
    schedule = Schedule(request.settings, models.vqgan.factor, max(1, len(request.scenes)))
    return (*warnings_of(request, models.perceptors), *schedule.warnings())
