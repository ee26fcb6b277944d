"""Model files that a person names on the command line, in place of a set. Main thread; torch only to load them."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from generator.checkpoints.catalogue import STARTER
from generator.errors import InvalidRequest

if TYPE_CHECKING:
    from generator.models import Models

DEFAULT_PERCEPTOR = "ViT-B/32"


@dataclass(frozen=True)
class OwnModels:
    """A VQGAN of one's own with its yaml, or a model set's; guided by perceptors that are names or files.

    Raises:
        InvalidRequest: if a file is not there, or one of the two is missing.
    """

    vqgan: Path | None
    config: Path | None
    perceptors: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.config is not None and self.vqgan is None:
            raise InvalidRequest("--vqgan-config describes a VQGAN; name its file with --vqgan.", "vqgan")
        if self.vqgan is not None and self.config is None:
            raise InvalidRequest("--vqgan needs the yaml that belongs to it; name that with --vqgan-config.", "vqgan")
        for path in (self.vqgan, self.config):
            if path is not None and not path.is_file():
                raise InvalidRequest(f"{str(path)!r} is no file; look at how it is written.", "vqgan")

    @property
    def name(self) -> str | None:
        """What a recipe calls them: the name of the VQGAN's file; None if the VQGAN is that of a set."""
        if self.vqgan is None:
            return None
        return f"own-{re.sub(r'[^A-Za-z0-9._+-]', '-', self.vqgan.stem)}"[:64]

    def load(self, name: str, device: str) -> Models:
        """The models on a device; `name` is that of the set whose VQGAN is used where there is no own.

        Raises:
            InvalidRequest: for an unknown set, perceptor or device.
            CheckpointError: if a file is damaged, hostile, or holds another model.
        """
        if self.vqgan is None and name == STARTER:
            raise InvalidRequest("The starter has a perceptor of its own; name another set with --models.", "models")
        from generator.checkpoints.library import open_files, open_set
        from generator.device import choose_device
        from generator.models import load_opened

        chosen = choose_device(device)
        if self.vqgan is None or self.config is None:
            return load_opened(open_set(name, perceptors=self.perceptors), chosen)
        return load_opened(open_files(self.vqgan, self.config, self.perceptors or (DEFAULT_PERCEPTOR,)), chosen)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add --vqgan, --vqgan-config and --perceptor."""
    own = parser.add_argument_group("models of your own (docs/checkpoints.md)")
    own.add_argument("--vqgan", type=Path, metavar="FILE", help="the checkpoint of a VQGAN, with --vqgan-config")
    own.add_argument("--vqgan-config", type=Path, metavar="FILE", help="its yaml in the form of taming-transformers")
    own.add_argument(
        "--perceptor",
        action="append",
        default=[],
        metavar="NAME|FILE",
        help=f"a CLIP of OpenAI's, by name or file, in place of the set's ({DEFAULT_PERCEPTOR}); may be repeated",
    )


def read_flags(options: argparse.Namespace) -> OwnModels | None:
    """The models that were named by these flags; None if none was.

    Raises:
        InvalidRequest: if they contradict each other, or a file is not there.
    """
    if options.vqgan is None and options.vqgan_config is None and not options.perceptor:
        return None
    if options.vqgan is not None and getattr(options, "models", None) is not None:
        raise InvalidRequest("--vqgan takes the place of --models; leave one of them out.", "models")
    return OwnModels(options.vqgan, options.vqgan_config, tuple(options.perceptor))
