"""Errors raised by the generator. No torch; any thread."""

from __future__ import annotations


class GeneratorError(Exception):
    """Base of all errors of the generator. The message is a sentence for the user."""

    @property
    def message(self) -> str:
        """The sentence; often a `Message`, which can be translated."""
        return self.args[0] if self.args and isinstance(self.args[0], str) else str(self)


class InvalidRequest(GeneratorError):
    """The request cannot be generated; `field` names the setting at fault, if there is one."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class CheckpointError(GeneratorError):
    """A model file or snapshot is missing, broken, hostile or does not fit; the message names the file."""


class OutOfMemory(GeneratorError):
    """The picture does not fit into the device's memory."""


class DeviceFailed(GeneratorError):
    """The GPU failed in the middle of its work; what lies on it cannot be used any more."""
