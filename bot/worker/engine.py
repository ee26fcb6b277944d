"""The generator behind the `Engine` protocol. Worker thread, except `load` and the methods marked "Any thread".

Each request names its model set; sets stay in memory while they fit (`bot.worker.resident`).
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from PIL import Image

from bot.worker.protocol import EngineStatus, Suggestions
from bot.worker.resident import ResidentSets
from generator import (
    CheckpointError,
    Condition,
    Description,
    DeviceFailed,
    Dream,
    Film,
    GenerationRequest,
    InvalidRequest,
    Message,
    ModelOutline,
    Models,
    OutOfMemory,
    OwnModels,
    Provenance,
    Settings,
    UpscalerSource,
    check_request,
    check_upscaler,
    describe_picture,
    device_kind,
    differences,
    gpu_memory,
    latent_of,
    load_models,
    look_at_set,
    look_at_upscaler,
    moved_snapshot,
    outline_of,
    request_warnings,
    safety_perceptors,
    unsafe_share,
)

STARTER = "starter"
_log = logging.getLogger(__name__)


class GeneratorEngine:
    """Begin dreams with the model sets of the generator."""

    def __init__(
        self,
        name: str,
        device: str,
        *,
        offered: Collection[str] = (),
        own: OwnModels | None = None,
        digests: Mapping[str, str] | None = None,
        precision: str = "auto",
        memory_share: float = 1.0,
        fall_back_to_cpu: bool = False,
        upscaler: UpscalerSource | None = None,
    ) -> None:
        """Take the keys of config.yaml: `models`, `device`, those of own files, and so on.

        `own` are the files of the default set `name`; `offered` are further sets by name.
        """
        self._upscaler = upscaler
        self._name, self._device = name, device
        self._own, self._precision, self._memory_share = own, precision, memory_share
        self._digests, self._fall_back_to_cpu = digests or {}, fall_back_to_cpu
        self.default = (None if own is None else own.name) or name
        self._offered = tuple(dict.fromkeys((self.default, *offered)))
        self._sets = ResidentSets(self._load_set)
        self._kind = ""
        self._device_failed = False

    def load(self) -> Settings:
        """Load the default models; return the settings that they suggest as defaults. Blocking.

        Raises:
            CheckpointError: if a model file is missing or broken.
            InvalidRequest: for unknown models or a missing device.
        """
        models = self._sets.use(self.default)
        # Reads what is read once, such as the vocabulary of the prompts, before the first person waits for it.
        request_warnings(GenerationRequest(prompt="a picture"), models)
        return Settings().merged(models.defaults)

    def prepare(self) -> None:
        """Check the files of all model sets and load the usual one. Blocking.

        Raises:
            CheckpointError: if a model file is missing or broken; the sentence names it.
            InvalidRequest: for unknown models or a missing device.
        """
        for name in self._offered:
            own = self._files_of(name)
            named = self._name if name == self.default else name
            given = ((), None) if own is None else (own.perceptors, own.vqgan)
            for file in look_at_set(named, *given, digests=self._digests):
                if file.condition in (Condition.MISSING, Condition.BROKEN):
                    text = "{file} is missing or broken; fetch it with: python -m generator models fetch {name}"
                    raise CheckpointError(Message(text, file=str(file.path), name=named))
        if self._upscaler is not None:
            found = look_at_upscaler(self._upscaler)
            if found.condition in (Condition.MISSING, Condition.BROKEN):
                text = "{file} is missing or broken; fetch it with: python -m generator models fetch {name}"
                raise CheckpointError(Message(text, file=str(found.path), name=self._upscaler.name))
        self.load()

    def suggested(self, models: str) -> Suggestions:
        """Settings that suit an offered set. Any thread; reads small files.

        Raises:
            CheckpointError, InvalidRequest: if the set cannot be described.
        """
        loaded = self._sets.get(models)
        if loaded is not None:
            return Suggestions(defaults=loaded.defaults, starts=loaded.starts, has_prior=loaded.prior is not None)
        known = self._outline(models)
        return Suggestions(defaults=known.defaults, starts=known.starts, has_prior=known.has_prior)

    def request_warnings(self, request: GenerationRequest, made_with: Provenance | None = None) -> tuple[str, ...]:
        """Sentences about ignored or unknown words, unsuitable sizes and scenes. Any thread.

        To generate a picture again, pass its provenance as `made_with`: differences from today are reported too, as far
        as its models are in memory.

        Raises:
            InvalidRequest: if these models cannot generate it.
        """
        self._check_offered(request.models)
        check_upscaler(request, None if self._upscaler is None else self._upscaler.name)
        models = self._sets.get(request.models)
        if models is not None:
            check_request(request, models)
            now = models.made_with(upscaled=request.settings.upscaler != "none")
            return (*differences(made_with, now), *request_warnings(request, models))
        if request.models == STARTER and self._files_of(STARTER) is None:
            plain = request.settings.merged({"upscaler": "none"})  # these models are for advice alone
            check_request(replace(request, settings=plain), self._small_models)
            return request_warnings(request, self._small_models)
        return self._outline(request.models).request_warnings(request)

    def describe(self) -> str:
        """Device and models in words, for the host."""
        described = []
        for models in filter(None, map(self._sets.get, self._sets.names)):
            perceptors = ", ".join(perceptor.name for perceptor in models.perceptors)
            described.append(f"{models.name} ({perceptors}) on {models.device}, {models.precision.value}")
        return "; ".join(described)

    def status(self) -> EngineStatus:
        """Its device and models now. Any thread."""
        room = self._sets.room or len(self._offered)
        return EngineStatus(device=self._kind, resident=self._sets.names, room=room, load_s=self._sets.load_s)

    def gpu_bytes(self) -> Mapping[str, int]:
        """GPU memory: `used` by this process, `free` to all, `total`; empty without a GPU. Any thread."""
        models = next(filter(None, map(self._sets.get, self._sets.names)), None)
        return {} if models is None else gpu_memory(models.device)

    def checked_by(self) -> tuple[str, ...]:
        """Names of the default set's perceptors that know the words of the safety check. Any thread.

        Without one the check finds nothing.
        """
        models = self._sets.get(self.default)
        if models is not None:
            return safety_perceptors(models)
        return () if self.default == STARTER else self._outline(self.default).perceptors

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
        snapshot = moved_snapshot(models, snapshot) if self._fall_back_to_cpu else snapshot
        return Dream.resume(snapshot, models, request=request)

    def film(self, request: GenerationRequest, parent: bytes | None, folder: Path) -> Film:
        """Begin a film, or go on with it from its last frame; `parent` as for `begin`.

        Raises:
            GeneratorError: if these models cannot make it.
        """
        return Film(request, self._models_for(request), folder, None if parent is None else latent_of(parent))

    def renew(self) -> None:
        """Reload the models for the next picture, because the device of the current ones failed."""
        self._device_failed = True

    def unsafe_share(self, image: Image.Image) -> float:
        """Certainty of the perceptors, 0..1, that an ordinary channel should not show a picture openly.

        They are those of the last picture.
        """
        return unsafe_share(image, self._at_hand())

    def look(self, image: Image.Image) -> Description:
        """Describe a picture in words, with the models of the last picture.

        Raises:
            GeneratorError: if the models cannot do it.
        """
        return describe_picture(image, self._at_hand())

    def _at_hand(self) -> Models:
        """The models of the last picture: a look at another one must not unload those of a dream in progress."""
        return self._sets.use(next(reversed(self._sets.names), self.default))

    def _models_for(self, request: GenerationRequest) -> Models:
        self._check_offered(request.models)
        if self._device_failed:
            self._reload(request.models)
        models = self._sets.use(request.models)
        self._sets.make_room_for(request.settings, models)
        return models

    def _reload(self, name: str) -> None:
        """Reload the models of a picture on the failed device, or on the CPU if the host allows that.

        Raises:
            DeviceFailed: if the device stays broken and no other may generate.
        """
        failed = next(filter(None, map(self._sets.get, self._sets.names)), None)
        device = self._device if failed is None else str(failed.device)
        try:
            models = self._load(name, device, self._precision)
        except (DeviceFailed, InvalidRequest, OutOfMemory) as exc:
            if not self._fall_back_to_cpu:
                text = "The GPU failed; start the program again, and look at nvidia-smi if it lasts."
                raise DeviceFailed(Message(text)) from exc
            _log.warning("the GPU failed; until the bot is started again the CPU paints: %s", exc)
            self._device, self._precision = "cpu", "fp32" if self._precision == "fp32" else "auto"
            models = self._load(name, self._device, self._precision)
        # Until they were loaded, other threads saw the old ones, and used nothing of them that computes.
        self._sets.clear()
        self._sets.put(models)
        self._kind, self._device_failed = device_kind(models.device), False

    def _load_set(self, name: str) -> Models:
        models = self._load(name, self._device, self._precision)
        self._kind = device_kind(models.device)
        return models

    def _load(self, name: str, device: str, precision: str) -> Models:
        return load_models(
            self._name if name == self.default else name,
            device,
            own=self._files_of(name),
            precision=precision,
            memory_share=self._memory_share,
            upscaler=self._upscaler,
        )

    def _files_of(self, name: str) -> OwnModels | None:
        return self._own if name == self.default else OwnModels.of(name, digests=self._digests)

    @functools.cached_property
    def _small_models(self) -> Models:
        """The starter on the CPU, to advise with while the device has other models in memory."""
        return load_models(STARTER, "cpu")

    def _outline(self, name: str) -> ModelOutline:
        return outline_of(self._name if name == self.default else name, self._files_of(name))

    def _check_offered(self, name: str) -> None:
        if name not in self._offered:
            text = "This picture needs the models {wanted}, and this bot paints with {ours} now; ask for it anew."
            ours = ", ".join(map(repr, self._offered))
            raise InvalidRequest(Message(text, wanted=repr(name), ours=ours), "models")
