"""Upscalers as hosts and users name them: by a name of the catalogue, or by a file. No torch until one is loaded."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from generator.checkpoints.catalogue import UPSCALERS, SourceFile
from generator.checkpoints.places import SUFFIXES
from generator.checkpoints.sources import PREFIX, OwnModels
from generator.errors import CheckpointError, InvalidRequest
from generator.messages import Message
from generator.notation.palette import NONE

if TYPE_CHECKING:
    import torch

    from generator.models.upscaler import Upscaler

_PACKAGE = "spandrel"


@dataclass(frozen=True)
class UpscalerSource:
    """An upscaler that was not loaded yet.

    Attributes:
        name: as in settings and recipes.
        file: its file.
        scale: the factor by which it should enlarge; None if any is right.
        digests: SHA-256 that files of these names must have.
    """

    name: str
    file: SourceFile | Path
    scale: int | None = None
    digests: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, given: str, digests: Mapping[str, str] | None = None) -> UpscalerSource:
        """Find an upscaler by its name, or by the path of its file.

        Raises:
            InvalidRequest: if there is none, or the package that runs it is missing.
        """
        known, path = UPSCALERS.get(given), Path(given).expanduser()
        if known is None and path.suffix.lower() not in SUFFIXES and not path.is_file():
            text = "There is no upscaler {given}; choose one of {known}, or name a file."
            raise InvalidRequest(Message(text, given=repr(given[:80]), known=", ".join(UPSCALERS)), "upscaler")
        if known is None and not path.is_file():
            text = "{file} is no file; look at how it is written, and from which folder Reverie was started."
            raise InvalidRequest(Message(text, file=repr(given[:200])), "upscaler")
        if importlib.util.find_spec(_PACKAGE) is None:
            text = "An upscaler needs the package {package}; install it with: make setup EXTRAS=upscale"
            raise InvalidRequest(Message(text, package=_PACKAGE), "upscaler")
        if known is None:
            return cls(cls.name_of(given), path, None, digests or {})
        return cls(given, known.file, known.scale, digests or {})

    @staticmethod
    def name_of(given: str) -> str:
        """Return the name in recipes of an upscaler, given by name, as `none`, or by the path of its file."""
        named = given.startswith(PREFIX) and Path(given).suffix.lower() not in SUFFIXES
        return given if given in UPSCALERS or given == NONE or named else OwnModels.name_for(Path(given))

    def load(self, device: torch.device, folder: Path | None = None) -> Upscaler:
        """Load it. Blocking.

        Raises:
            CheckpointError: if its file is missing, damaged, hostile, changed, or holds no such upscaler.
        """
        from generator.checkpoints.library import open_upscaler
        from generator.models.upscaler import UnknownNetwork, Upscaler

        opened = open_upscaler(self.name, self.file, self.scale, folder, self.digests)
        try:
            return Upscaler(self.name, opened.tensors, device, {opened.source: opened.sha256})
        except UnknownNetwork as exc:
            raise CheckpointError(f"{opened.source} {exc}") from exc


def find_upscaler(name: str, host: UpscalerSource | None, digests: Mapping[str, str] | None = None) -> UpscalerSource:
    """The upscaler of a picture by name or file: the host's, if it has that name, else as `UpscalerSource.of`.

    Raises:
        InvalidRequest: if there is none, or the package that runs it is missing.
    """
    return host if host is not None and host.name == name else UpscalerSource.of(name, digests)
