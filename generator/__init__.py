"""Generate pictures from text with VQGAN and CLIP. These are the public names.

A name is imported from its module on first use (PEP 562), so `import generator` is fast and does not import torch.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

from generator.runtime.processor import multiplies_bfloat16
from generator.version import __version__

# If the CPU computes in float32, torch's threads should sleep while waiting, as others need the cores (see
# generator.models.winograd); otherwise they may spin briefly. OpenMP reads this once, when torch is loaded; a value
# that is already set is kept.
if not multiplies_bfloat16():
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from generator.checkpoints.catalogue import model_names
    from generator.checkpoints.sources import OwnModels
    from generator.checkpoints.upscalers import UpscalerSource
    from generator.errors import (
        CheckpointError,
        DeviceFailed,
        GeneratorError,
        InvalidRequest,
        OutOfMemory,
    )
    from generator.filming.apart import UntrustedFilm
    from generator.filming.film import Film
    from generator.filming.folder import FilmFolder
    from generator.filming.morph import film_through
    from generator.films.plan import LISTENS_TO, FilmPlan
    from generator.films.templates import TEMPLATES, plan_film
    from generator.images.files import encode, normalise, normalise_mask, write_file
    from generator.images.films import default_format, write_film
    from generator.images.sandbox import normalise_apart
    from generator.images.timelapse import Timelapse
    from generator.inspection import Condition, ModelFile, ModelOutline, look_at_set, look_at_upscaler, outline_of
    from generator.loading import load_models
    from generator.messages import Message
    from generator.models.model_set import Models
    from generator.models.zero_shot.description import describe_picture
    from generator.models.zero_shot.safety import safety_perceptors, unsafe_share
    from generator.optimisation.dream import Dream
    from generator.optimisation.memory.plan import fits_whole
    from generator.optimisation.moving import moved_snapshot
    from generator.optimisation.request_warnings import check_request, check_upscaler, request_warnings
    from generator.optimisation.snapshot import latent_of
    from generator.prompts import (
        MAX_PROMPT_CHARACTERS,
        MAX_WEIGHT,
        Scene,
        TextPrompt,
        explain_story,
        parse_story,
        wanted_words,
    )
    from generator.provenance import Provenance, current_provenance, differences
    from generator.recipe import (
        Recipe,
        read_recipe,
        recipe_from_json,
        recipe_to_json,
        request_from_json,
        request_to_json,
    )
    from generator.request import (
        Answer,
        Description,
        GenerationRequest,
        ImagePrompt,
        Picture,
        Progress,
        PromptLoss,
        canvas_size,
    )
    from generator.runtime.device import device_kind, release_unused, set_thread_count, thread_count
    from generator.runtime.host_memory import HostMemory, look_at_memory
    from generator.runtime.memory import gpu_memory
    from generator.runtime.system import GPU, Machine, look_at_machine
    from generator.settings import Settings, Size, read_setting, suggestions_for

_MODULES = {
    "filming.apart": ("UntrustedFilm",),
    "filming.film": ("Film",),
    "filming.folder": ("FilmFolder",),
    "filming.morph": ("film_through",),
    "films.plan": ("LISTENS_TO", "FilmPlan"),
    "films.templates": ("TEMPLATES", "plan_film"),
    "images.films": ("default_format", "write_film"),
    "images.sandbox": ("normalise_apart",),
    "inspection": ("Condition", "ModelFile", "ModelOutline", "look_at_set", "look_at_upscaler", "outline_of"),
    "checkpoints.catalogue": ("model_names",),
    "optimisation.dream": ("Dream",),
    "errors": ("CheckpointError", "DeviceFailed", "GeneratorError", "InvalidRequest", "OutOfMemory"),
    "runtime.device": ("device_kind", "release_unused", "set_thread_count", "thread_count"),
    "optimisation.memory.plan": ("fits_whole",),
    "runtime.host_memory": ("HostMemory", "look_at_memory"),
    "images.files": ("encode", "normalise", "normalise_mask", "write_file"),
    "runtime.system": ("GPU", "Machine", "look_at_machine"),
    "runtime.memory": ("gpu_memory",),
    "optimisation.moving": ("moved_snapshot",),
    "loading": ("load_models",),
    "models.zero_shot.description": ("describe_picture",),
    "models.model_set": ("Models",),
    "optimisation.request_warnings": ("check_request", "check_upscaler", "request_warnings"),
    "prompts": (
        "MAX_PROMPT_CHARACTERS",
        "MAX_WEIGHT",
        "Scene",
        "TextPrompt",
        "explain_story",
        "parse_story",
        "wanted_words",
    ),
    "checkpoints.sources": ("OwnModels",),
    "checkpoints.upscalers": ("UpscalerSource",),
    "provenance": ("Provenance", "differences", "current_provenance"),
    "recipe": (
        "Recipe",
        "read_recipe",
        "recipe_from_json",
        "recipe_to_json",
        "request_from_json",
        "request_to_json",
    ),
    "request": (
        "Answer",
        "Description",
        "GenerationRequest",
        "ImagePrompt",
        "Picture",
        "Progress",
        "PromptLoss",
        "canvas_size",
    ),
    "models.zero_shot.safety": ("safety_perceptors", "unsafe_share"),
    "messages": ("Message",),
    "settings": ("Settings", "Size", "read_setting", "suggestions_for"),
    "optimisation.snapshot": ("latent_of",),
    "images.timelapse": ("Timelapse",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "GPU",
    "LISTENS_TO",
    "MAX_PROMPT_CHARACTERS",
    "MAX_WEIGHT",
    "TEMPLATES",
    "Answer",
    "CheckpointError",
    "Condition",
    "Description",
    "DeviceFailed",
    "Dream",
    "Film",
    "FilmFolder",
    "FilmPlan",
    "GenerationRequest",
    "GeneratorError",
    "HostMemory",
    "ImagePrompt",
    "InvalidRequest",
    "Machine",
    "Message",
    "ModelFile",
    "ModelOutline",
    "Models",
    "OutOfMemory",
    "OwnModels",
    "Picture",
    "Progress",
    "PromptLoss",
    "Provenance",
    "Recipe",
    "Scene",
    "Settings",
    "Size",
    "TextPrompt",
    "Timelapse",
    "UntrustedFilm",
    "UpscalerSource",
    "__version__",
    "canvas_size",
    "check_request",
    "check_upscaler",
    "current_provenance",
    "default_format",
    "describe_picture",
    "device_kind",
    "differences",
    "encode",
    "explain_story",
    "film_through",
    "fits_whole",
    "gpu_memory",
    "latent_of",
    "load_models",
    "look_at_machine",
    "look_at_memory",
    "look_at_set",
    "look_at_upscaler",
    "model_names",
    "moved_snapshot",
    "normalise",
    "normalise_apart",
    "normalise_mask",
    "outline_of",
    "parse_story",
    "plan_film",
    "read_recipe",
    "read_setting",
    "recipe_from_json",
    "recipe_to_json",
    "release_unused",
    "request_from_json",
    "request_to_json",
    "request_warnings",
    "safety_perceptors",
    "set_thread_count",
    "suggestions_for",
    "thread_count",
    "unsafe_share",
    "wanted_words",
    "write_file",
    "write_film",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'generator' has no attribute {name!r}")
    value: object = getattr(import_module(f"generator.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
