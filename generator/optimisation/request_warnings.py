"""Warnings about a request before it is generated. Any thread: it reads the models and computes nothing."""

from __future__ import annotations

from generator.models.model_set import Models
from generator.optimisation.schedule import Schedule
from generator.optimisation.targets import warnings_of
from generator.request import GenerationRequest


def request_warnings(request: GenerationRequest, models: Models) -> tuple[str, ...]:
    """Warnings for the requester: words that are cut off or unknown, sizes and scenes that do not fit."""
    schedule = Schedule(request.settings, models.vqgan.factor, max(1, len(request.scenes)))
    read = models.read(request)
    return (*read.notes, *warnings_of(read, models.perceptors), *schedule.warnings())
