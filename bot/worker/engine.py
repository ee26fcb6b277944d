"""The generator behind the `Engine` protocol. Worker thread, except `load` and the methods marked "Any thread".

Models are loaded once and kept; `begin` and `resume` alone decide which.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace

from PIL import Image

from bot.log import about
from bot.worker.protocol import EngineStatus
from generator import (
    CheckpointError,
    DeviceFailed,
    Dream,
    GenerationRequest,
    InvalidRequest,
    Message,
    Models,
    OutOfMemory,
    OwnModels,
    Provenance,
    Settings,
    check_request,
    device_kind,
    differences,
    gpu_memory,
    latent_of,
    load_models,
    moved_snapshot,
    request_warnings,
    safety_perceptors,
    unsafe_share,
)

_log = logging.getLogger(__name__)


class GeneratorEngine:
    """Begin dreams with one model set of the generator."""

    def __init__(
        self,
        name: str,
        device: str,
        unsafe_from: float,
        *,
        own: OwnModels | None = None,
        precision: str = "auto",
        memory_share: float = 1.0,
        fall_back_to_cpu: bool = False,
    ) -> None:
        """Take the keys of config.yaml: `models`, `device`, `safety.threshold`, those of own files, and so on."""
        self._name, self._device, self._unsafe_from = name, device, unsafe_from
        self._own, self._precision, self._memory_share = own, precision, memory_share
        self._fall_back_to_cpu = fall_back_to_cpu
        self._models: Models | None = None
        self._device_failed = False
        self._status = EngineStatus()

    def load(self) -> Settings:
        """Load the models; return the settings that they suggest as defaults. Blocking.

        Raises:
            CheckpointError: if a model file is missing or broken.
            InvalidRequest: for unknown models or a missing device.
        """
        return Settings().merged(self._loaded().defaults)

    @property
    def starts(self) -> Mapping[str, Mapping[str, object]]:
        """Settings that the models suggest for a start, by its name; load them first."""
        return self._loaded().starts

    def request_warnings(self, request: GenerationRequest, made_with: Provenance | None = None) -> tuple[str, ...]:
        """Sentences about ignored or unknown words, unsuitable sizes and scenes. Any thread.

        To generate a picture again, pass its provenance as `made_with`: differences from today are reported too.

        Raises:
            InvalidRequest: if these models cannot generate it.
        """
        models = self._loaded()
        _check_models(request, models)
        check_request(request, models)
        return (*differences(made_with, models.made_with()), *request_warnings(request, models))

    def describe(self) -> str:
        """Device and models in words, for the host."""
        models = self._loaded()
        perceptors = ", ".join(perceptor.name for perceptor in models.perceptors)
        return f"{models.name} ({perceptors}) on {models.device}, {models.precision.value}"

    def status(self) -> EngineStatus:
        """Its device and models now. Any thread."""
        return self._status

    def gpu_bytes(self) -> Mapping[str, int]:
        """GPU memory: `used` by this process, `free` to all, `total`; empty without a GPU. Any thread."""
        return {} if self._models is None else gpu_memory(self._models.device)

    def checked_by(self) -> tuple[str, ...]:
        """Names of the perceptors that know the words of the safety check; without one it finds nothing. Any thread."""
        return safety_perceptors(self._loaded())

    def begin(self, request: GenerationRequest, parent: bytes | None) -> Dream:
        """Begin a new dream; `parent` is the last snapshot of the dream that it continues.

        Raises:
            GeneratorError: if these models cannot serve the request.
        """
        models = self._models_for(request)
        return Dream(request, models, None if parent is None else latent_of(parent))

    def resume(self, request: GenerationRequest, snapshot: bytes) -> Dream:
        """Restore the dream of a request from its snapshot.

        Raises:
            CheckpointError: if the snapshot cannot be used.
        """
        models = self._models_for(request)
        dream = Dream.resume(moved_snapshot(models, snapshot) if self._fall_back_to_cpu else snapshot, models)
        # With too little memory, the picture is smaller than requested.
        painted = dream.request.settings.merged({"size": request.settings.size})
        if replace(dream.request, settings=painted) != request:
            raise CheckpointError("This snapshot is of another picture.")
        return dream

    def renew(self) -> None:
        """Reload the models for the next picture, because the device of the current ones failed."""
        self._device_failed = True

    def is_unsafe(self, image: Image.Image) -> bool:
        """Return True if the safety check finds something that an ordinary channel should not show openly."""
        return unsafe_share(image, self._loaded()) >= self._unsafe_from

    def _models_for(self, request: GenerationRequest) -> Models:
        if self._device_failed and self._models is not None:
            # Until they are loaded, other threads see the old ones, and use nothing of them that computes.
            self._models, self._device_failed = self._reload(self._models), False
        models = self._loaded()
        _check_models(request, models)
        return models

    def _loaded(self) -> Models:
        if self._models is None:
            self._models = self._load(self._device, self._precision)
        return self._models

    def _reload(self, failed: Models) -> Models:
        """Reload the models on the failed device, or on the CPU if the host allows that.

        Raises:
            DeviceFailed: if the device stays broken and no other may generate.
        """
        try:
            return self._load(str(failed.device), self._precision)
        except (DeviceFailed, InvalidRequest, OutOfMemory) as exc:
            if not self._fall_back_to_cpu:
                text = "The GPU failed; start the program again, and look at nvidia-smi if it lasts."
                raise DeviceFailed(Message(text)) from exc
            _log.warning("the GPU failed; until the bot is started again the CPU paints: %s", exc)
            return self._load("cpu", "fp32" if self._precision == "fp32" else "auto")

    def _load(self, device: str, precision: str) -> Models:
        began = time.monotonic()
        models = load_models(self._name, device, own=self._own, precision=precision, memory_share=self._memory_share)
        load_s = time.monotonic() - began
        self._status = EngineStatus(
            device=device_kind(models.device), resident=(models.name,), load_s={models.name: load_s}
        )
        seconds = round(load_s, 2)
        _log.info("models loaded", extra=about(models=models.name, device=str(models.device), seconds=seconds))
        return models


def _check_models(request: GenerationRequest, models: Models) -> None:
    if request.models != models.name:
        text = "This picture needs the models {wanted}, and this bot paints with {ours} now; ask for it anew."
        raise InvalidRequest(Message(text, wanted=repr(request.models), ours=repr(models.name)), "models")
