"""The generator as the executor sees it. It runs on the thread that paints, but for `load`, `foresee` and `gpu_bytes`.

Models are loaded once and kept; only what `begin` and `resume` are asked for decides which.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace

from PIL import Image

from bot.log import about
from generator import (
    CheckpointError,
    Dream,
    GenerationRequest,
    InvalidRequest,
    Message,
    Models,
    OwnModels,
    Provenance,
    Settings,
    differences,
    gpu_memory,
    latent_of,
    load_models,
    request_warnings,
    unsafe_share,
)

_log = logging.getLogger(__name__)


class GeneratorEngine:
    """Dreams with one model set of the generator."""

    def __init__(
        self,
        name: str,
        device: str,
        unsafe_from: float,
        *,
        own: OwnModels | None = None,
        precision: str = "auto",
        memory_share: float = 1.0,
    ) -> None:
        """The keys of config.yaml: `models`, `device`, `safety.threshold`, those of own files, and so on."""
        self._name, self._device, self._unsafe_from = name, device, unsafe_from
        self._own, self._precision, self._memory_share = own, precision, memory_share
        self._models: Models | None = None

    def load(self) -> Settings:
        """Load the models, and return what every picture should begin with by their own suggestion. Blocking.

        Raises:
            CheckpointError: if a model file is missing or broken.
            InvalidRequest: for unknown models or a device that is not there.
        """
        return Settings().merged(self._loaded().defaults)

    @property
    def starts(self) -> Mapping[str, Mapping[str, object]]:
        """What the models suggest otherwise for a start, by its name; load them first."""
        return self._loaded().starts

    def request_warnings(self, request: GenerationRequest, made_with: Provenance | None = None) -> tuple[str, ...]:
        """Sentences about words that are not read or not known, sizes and scenes that do not fit. Any thread.

        Where a picture is painted again, `made_with` says by what it was made: what differs now is said too.
        """
        models = self._loaded()
        return (*differences(made_with, models.made_with()), *request_warnings(request, models))

    def describe(self) -> str:
        """Device and models in words, for the host."""
        models = self._loaded()
        perceptors = ", ".join(perceptor.name for perceptor in models.perceptors)
        return f"{models.name} ({perceptors}) on {models.device}, {models.precision.value}"

    def gpu_bytes(self) -> Mapping[str, int]:
        """The GPU's memory: `used` by this process, `free` to all, `total`; empty without one. Any thread."""
        return {} if self._models is None else gpu_memory(self._models.device)

    def begin(self, request: GenerationRequest, parent: bytes | None) -> Dream:
        """A new dream; `parent` is the last snapshot of the dream that it goes on from.

        Raises:
            GeneratorError: if these models cannot dream this.
        """
        models = self._models_for(request)
        return Dream(request, models, None if parent is None else latent_of(parent).to(models.device))

    def resume(self, request: GenerationRequest, snapshot: bytes) -> Dream:
        """The dream of a request as it was at its snapshot.

        Raises:
            CheckpointError: if the snapshot cannot be used.
        """
        dream = Dream.resume(snapshot, self._models_for(request))
        # Where memory was short, it is painted at a smaller size than was asked for.
        painted = dream.request.settings.merged({"size": request.settings.size})
        if replace(dream.request, settings=painted) != request:
            raise CheckpointError("This snapshot is of another picture.")
        return dream

    def is_unsafe(self, image: Image.Image) -> bool:
        """Whether the check finds something that an ordinary channel should not show openly."""
        return unsafe_share(image, self._loaded()) >= self._unsafe_from

    def _models_for(self, request: GenerationRequest) -> Models:
        models = self._loaded()
        if request.models != models.name:
            text = "This picture needs the models {wanted}, and this bot paints with {ours} now; ask for it anew."
            raise InvalidRequest(Message(text, wanted=repr(request.models), ours=repr(models.name)), "models")
        return models

    def _loaded(self) -> Models:
        if self._models is None:
            began = time.monotonic()
            self._models = load_models(
                self._name, self._device, own=self._own, precision=self._precision, memory_share=self._memory_share
            )
            seconds = round(time.monotonic() - began, 2)
            _log.info(
                "models loaded", extra=about(models=self._models.name, device=str(self._models.device), seconds=seconds)
            )
        return self._models
