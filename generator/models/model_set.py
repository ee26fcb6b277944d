"""A model set in memory: a VQGAN, one or several perceptors and perhaps a prior, on one device."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch

from generator.models.clip import Perceptor
from generator.models.prior import Prior
from generator.models.vqgan import VQGAN
from generator.provenance import Provenance, current_provenance
from generator.runtime.memory import MemoryBudget
from generator.runtime.precision import Precision


@dataclass(frozen=True, eq=False)
class Models:
    """Frozen models that dream together, on one device.

    Attributes:
        name: of the model set.
        vqgan: paints.
        perceptors: judge; several have an equal say.
        prior: proposes starts, if there is one.
        device: where all of them live.
        defaults: settings that suit them.
        starts: by start, what suits them otherwise.
        files: SHA-256 of each file they come from, by its name; recipes tell them.
        budget: what memory their dreams may use.
        graphs: capture steps as CUDA graphs where the device is a GPU.
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

    @property
    def precision(self) -> Precision:
        """In which number format they compute."""
        return self.vqgan.precision

    def made_with(self, cutouts_at_once: int = 0) -> Provenance:
        """By what a picture is made that they paint now; for the number see there."""
        return current_provenance(
            self.device.type,
            self.files,
            precision=self.precision.value,
            threads=torch.get_num_threads() if self.device.type == "cpu" else 0,
            cutouts_at_once=cutouts_at_once,
        )

    def in_precision(self, precision: Precision) -> Models:
        """These models with networks that compute in `precision`: copies, or themselves if they do already."""
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
        """Differs between models for which a snapshot means different things: by codebook and perceptors."""
        digest = hashlib.sha256(self.vqgan.codebook.detach().float().cpu().numpy().tobytes())
        for perceptor in self.perceptors:
            digest.update(f"\0{perceptor.name} {perceptor.resolution} {perceptor.dimension}".encode())
        return digest.hexdigest()
