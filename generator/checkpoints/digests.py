"""SHA-256 digests of model files: given by the publisher or by config.yaml, or pinned when a file is first used.

A pin is a file next to the model, in the form of sha256sum: `sha256sum -c FILE.sha256` checks it too. Any thread.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from pathlib import Path

from generator.checkpoints.faults import Fault

_LOG = logging.getLogger(__name__)
_PIN = re.compile(r"([0-9a-fA-F]{64})\b")


def sha256_of(path: Path) -> str:
    """Compute the digest of a file's content, in lower case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pin_of(path: Path) -> Path:
    """Return the path of a model file's pin."""
    return path.with_name(f"{path.name}.sha256")


def read_pin(path: Path) -> str | None:
    """Read the pinned digest of a model file; None if it has no pin.

    Raises:
        Fault: if the pin is damaged.
    """
    try:
        content = pin_of(path).read_text(encoding="utf-8", errors="replace")[:1000]
    except FileNotFoundError:
        return None
    match = _PIN.match(content)
    if match is None:
        raise Fault(f"has a pinned digest that cannot be read; delete {pin_of(path).name} to pin it anew.")
    return match[1].lower()


def compare(path: Path, digest: str, given: str | None) -> None:
    """Compare the digest of a file with the one given, else with its pin, if it has one.

    `path` is the present or future place of the file; errors use its name.

    Raises:
        Fault: if they differ.
    """
    if given is not None:
        if digest != given.lower():
            raise Fault(
                f"is not the file that was published: its SHA-256 begins with {digest[:12]}, not {given[:12]}; delete "
                "it and get it again."
            )
        return
    pinned = read_pin(path)
    if pinned is not None and digest != pinned:
        raise Fault(
            f"has changed since it was first used: its SHA-256 begins with {digest[:12]}, not {pinned[:12]}; get the "
            f"old file again or, if you changed it yourself, delete {pin_of(path).name}."
        )


def pin(path: Path, digest: str) -> None:
    """Record the digest of a file next to it and in the log, unless it is recorded already.

    Raises:
        Fault: if the record is damaged.
    """
    if read_pin(path) is None:
        write_beside(pin_of(path), f"{digest}  {path.name}\n".encode())
        _LOG.info("Pinned %s at its first use: SHA-256 %s", path.name, digest)


def write_beside(path: Path, content: bytes) -> None:
    """Write a small file atomically: complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside(path)
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def beside(path: Path) -> Path:
    """Return this process's temporary name for a file before it is renamed."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")
