"""Custom model files, named on the command line or in config.yaml, in place of a set. No torch; any thread."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from generator.checkpoints.catalogue import STARTER
from generator.errors import InvalidRequest
from generator.messages import Message

if TYPE_CHECKING:
    from generator.checkpoints.library import OpenedSet

DEFAULT_PERCEPTOR = "ViT-B/32"
PREFIX = "own-"
"""Prefix of the names of custom VQGANs in recipes."""


@dataclass(frozen=True)
class OwnModels:
    """A custom VQGAN with its yaml, or a model set's; guided by perceptors that are names or files.

    Attributes:
        vqgan: its checkpoint; None for that of the set.
        config: its yaml.
        perceptors: names of the catalogue or files; if empty, those of the set, or the usual one.
        digests: SHA-256 that files of these names must have.

    Raises:
        InvalidRequest: if a file is missing, or one of the two is not given.
    """

    vqgan: Path | None = None
    config: Path | None = None
    perceptors: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.config is not None and self.vqgan is None:
            text = "--vqgan-config describes a VQGAN; name its file with --vqgan (in config.yaml: vqgan)."
            raise InvalidRequest(Message(text), "vqgan")
        if self.vqgan is not None and self.config is None:
            text = "--vqgan needs the yaml that belongs to it; name that with --vqgan-config (vqgan_config)."
            raise InvalidRequest(Message(text), "vqgan_config")
        for field_name, path in (("vqgan", self.vqgan), ("vqgan_config", self.config)):
            if path is not None and not path.is_file():
                text = "{file} is no file; look at how it is written, and from which folder Reverie was started."
                raise InvalidRequest(Message(text, file=repr(str(path))), field_name)
        for name, digest in self.digests.items():
            if not re.fullmatch("[0-9a-fA-F]{64}", digest):
                text = "The digest of {file} is no SHA-256, which has 64 hexadecimal digits; sha256sum prints it."
                raise InvalidRequest(Message(text, file=repr(name[:80])), "digests")

    @classmethod
    def of(
        cls,
        models: str,
        vqgan: Path | None = None,
        config: Path | None = None,
        perceptors: Sequence[str] = (),
        digests: Mapping[str, str] | None = None,
    ) -> OwnModels | None:
        """Build the sources in addition to the model set `models`; None if none of these values is given.

        Raises:
            InvalidRequest: if they contradict each other, or a file is missing.
        """
        if vqgan is None and config is None and not perceptors and (not digests or models == STARTER):
            return None
        if vqgan is not None and models != STARTER:
            text = "--vqgan takes the place of --models; leave one of them out (in config.yaml: vqgan and models)."
            raise InvalidRequest(Message(text), "models")
        return cls(vqgan, config, tuple(perceptors), digests or {})

    @property
    def name(self) -> str | None:
        """The name in recipes: that of the VQGAN's file; None if the VQGAN is that of a set."""
        return None if self.vqgan is None else self.name_for(self.vqgan)

    @staticmethod
    def name_for(file: Path) -> str:
        """Return the name of a custom VQGAN or upscaler in recipes, from the name of its file."""
        return f"{PREFIX}{re.sub(r'[^A-Za-z0-9._+-]', '-', file.stem)}"[:64]

    def open(self, models: str) -> OpenedSet:
        """Open the files; `models` is the set to take the VQGAN from if there is no custom one. Blocking.

        Raises:
            InvalidRequest: for an unknown set or perceptor.
            CheckpointError: if a file is damaged, hostile, or holds another model.
        """
        if self.vqgan is None and models == STARTER:
            text = "The starter has a perceptor of its own; name another set with --models (in config.yaml: models)."
            raise InvalidRequest(Message(text), "models")
        from generator.checkpoints.library import open_files, open_set

        if self.vqgan is None or self.config is None:
            return open_set(models, perceptors=self.perceptors or None, digests=self.digests)
        opened = open_files(self.vqgan, self.config, self.perceptors or (DEFAULT_PERCEPTOR,), digests=self.digests)
        return opened._replace(name=self.name or opened.name)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add --vqgan, --vqgan-config and --perceptor."""
    own = parser.add_argument_group("your own models (docs/checkpoints.md)")
    own.add_argument("--vqgan", type=Path, metavar="FILE", help="checkpoint of a VQGAN; requires --vqgan-config")
    own.add_argument(
        "--vqgan-config", type=Path, metavar="FILE", help="its yaml file, in the format of taming-transformers"
    )
    own.add_argument(
        "--perceptor",
        action="append",
        default=[],
        metavar="NAME|FILE",
        help=f"a CLIP or SigLIP by name or file, instead of the set's ({DEFAULT_PERCEPTOR}); may be repeated",
    )


def read_flags(options: argparse.Namespace) -> OwnModels | None:
    """Return the models given by these flags; None if none is given.

    Raises:
        InvalidRequest: if they contradict each other, or a file is missing.
    """
    models = getattr(options, "models", None) or STARTER
    return OwnModels.of(models, options.vqgan, options.vqgan_config, options.perceptor)
