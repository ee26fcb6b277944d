"""From an error to the reason that a person reads. Any thread."""

from __future__ import annotations

from bot.errors import BotError, FilesError, StoreError
from bot.texts import Sentence
from bot.worker.protocol import WorkerDied
from generator import CheckpointError, GeneratorError, OutOfMemory


class Unsafe(BotError):
    """The check found something, and the server wants such pictures refused."""


def reason_for(exc: Exception, error_id: str) -> Sentence:
    """Why a job failed, in words for the person who asked."""
    if isinstance(exc, OutOfMemory):
        return Sentence.of("out_of_memory")
    if isinstance(exc, CheckpointError):
        return Sentence.of("models_broken", error_id=error_id)
    if isinstance(exc, GeneratorError):
        return Sentence.of("generator_says", message=Sentence.of_generator(exc.message))
    if isinstance(exc, FilesError | StoreError):
        return Sentence.of("not_saved", error_id=error_id)
    if isinstance(exc, WorkerDied):
        return Sentence.of("painter_died", error_id=error_id)
    if isinstance(exc, BotError):
        return exc.sentence
    return Sentence.of("unexpected", error_id=error_id)
