"""Model set in memory: a VQGAN, one or several perceptors and an optional prior, on one device."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch

from generator.models.clip import Perceptor
from generator.models.drawers.fourier import FourierPicture
from generator.models.drawers.interface import Drawer
from generator.models.drawers.pixels import PixelGrid
from generator.models.drawings.prototypes import Prototypes
from generator.models.language.reading import Reader, Reading, ReadPrompts
from generator.models.prior import Prior
from generator.models.upscaler import Upscaler
from generator.models.vqgan import VQGAN
from generator.notation.palette import rgb_of
from generator.provenance import Provenance, current_provenance
from generator.request import GenerationRequest
from generator.runtime.memory import MemoryBudget
from generator.runtime.precision import Precision
from generator.settings import Settings


@dataclass(frozen=True, eq=False)
class Models:
    """Frozen models that generate together, on one device.

    Attributes:
        name: of the model set.
        vqgan: decodes latents.
        perceptors: evaluate pictures; several are weighted equally.
        prior: proposes starts; optional.
        reader: reads prompts in other languages and with mistakes; optional.
        device: that all of them are on.
        defaults: settings that suit them.
        starts: deviating settings by start.
        files: SHA-256 of each source file by name, for recipes.
        budget: memory that their dreams may use.
        graphs: capture steps as CUDA graphs if the device is a GPU.
        things: words for things that they know, to suggest in place of unknown ones; empty where they know most words.
        examples: prompts that they paint well.
        upscaler: enlarges finished pictures that ask for it; optional.
        prototypes: drawings that the perceptor can compare a picture with, to name its thing; optional.
    """

    name: str
    vqgan: VQGAN
    perceptors: tuple[Perceptor, ...]
    prior: Prior | None
    device: torch.device
    defaults: Mapping[str, object]
    files: Mapping[str, str] = field(default_factory=dict)
    starts: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    budget: MemoryBudget = field(default_factory=MemoryBudget)
    graphs: bool = True
    reader: Reader | None = None
    things: Set[str] = frozenset()
    examples: tuple[str, ...] = ()
    upscaler: Upscaler | None = None
    prototypes: Prototypes | None = None

    @property
    def precision(self) -> Precision:
        """Number format that they compute in."""
        return self.vqgan.precision

    @property
    def weight_bytes(self) -> int:
        """Memory that the weights take."""
        modules = [self.vqgan, *(perceptor.model for perceptor in self.perceptors)]
        modules += [] if self.prior is None else [self.prior.network]
        tensors = (tensor for module in modules for tensor in (*module.parameters(), *module.buffers()))
        return sum({tensor.data_ptr(): tensor.nbytes for tensor in tensors}.values())

    @property
    def upscaler_name(self) -> str | None:
        """Name of the upscaler, if there is one."""
        return None if self.upscaler is None else self.upscaler.name

    def drawer(self, settings: Settings) -> Drawer:
        """The drawer that the settings ask for."""
        if settings.drawer == "pixel":
            return PixelGrid(settings.pixel_size, rgb_of(settings.palette), self.device)
        if settings.drawer == "fourier":
            return FourierPicture(self.device)
        return self.vqgan

    def made_with(self, cutouts_at_once: int = 0, upscaled: bool = False) -> Provenance:
        """Provenance of pictures made with these models now, and enlarged or not; for the number, see Provenance."""
        return current_provenance(
            self.device.type,
            {**self.files, **(self.upscaler.files if upscaled and self.upscaler is not None else {})},
            precision=self.precision.value,
            threads=torch.get_num_threads() if self.device.type == "cpu" else 0,
            cutouts_at_once=cutouts_at_once,
        )

    def read(self, request: GenerationRequest) -> ReadPrompts:
        """Read the prompts of a request with `translate`; others, and without a reader, as typed."""
        if self.reader is None or not request.settings.translate:
            return ReadPrompts(request.scenes)
        return self.reader.read_scenes(request.scenes)

    def read_words(self, request: GenerationRequest, typed: str) -> Reading:
        """Read other words of a request, such as those of a region, in the same way."""
        if self.reader is None or not request.settings.translate:
            return Reading(typed)
        return self.reader.read(typed)

    def in_precision(self, precision: Precision) -> Models:
        """Return these models computing in `precision`: copies, or themselves if they already do."""
        if precision is self.precision:
            return self
        vqgan, perceptors = copy.deepcopy(self.vqgan), []
        vqgan.compute_in(precision)
        for perceptor in self.perceptors:
            perceptors.append(copy.deepcopy(perceptor))
            perceptors[-1].compute_in(precision)
        prior = None if self.prior is None else self.prior.with_vqgan(vqgan)
        return replace(self, vqgan=vqgan, perceptors=tuple(perceptors), prior=prior)

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of codebook and perceptors; snapshots are only valid for models with the same one."""
        digest = hashlib.sha256(self.vqgan.codebook.detach().float().cpu().numpy().tobytes())
        if self.vqgan.factor < 8:  # snapshots of before version 0.4 do not name it, and had larger ones
            digest.update(f"\0{self.vqgan.factor}".encode())
        for perceptor in self.perceptors:
            digest.update(f"\0{perceptor.name} {perceptor.resolution} {perceptor.dimension}".encode())
        return digest.hexdigest()
