"""Faults of model files, converted to the generator's own error once the file's name is known. Any thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from generator.errors import CheckpointError

AGAIN = "get the file again"


class Fault(Exception):
    """A fault of a file, with advice: the rest of a sentence that begins with the file's name.

    It may hold names from the file: unprintable characters are replaced.
    """

    def __init__(self, words: str) -> None:
        super().__init__("".join(char if char.isprintable() else "\ufffd" for char in words))


@contextmanager
def naming_file(path: Path) -> Iterator[None]:
    """Name `path` in every error that its content causes.

    Raises:
        CheckpointError: in place of Fault, and of the operating system's errors.
    """
    try:
        yield
    except Fault as exc:
        raise CheckpointError(f"{path.name} {exc}") from exc
    except FileNotFoundError as exc:
        raise CheckpointError(f"{path} is missing; put the file there or fetch it.") from exc
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise CheckpointError(
            f"{path} cannot be read or written ({reason}); look at its permissions and disk."
        ) from exc
    except MemoryError as exc:
        raise CheckpointError(f"{path.name} does not fit in memory; free some, or use a smaller model.") from exc
